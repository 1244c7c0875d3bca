"""A stage of training: its data, its phases, when it ends. Declarations only; `thjax.engine.step` runs them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import optax

from thjax.core.context import Context
from thjax.core.data_spec import DataSpec
from thjax.core.rngs import Rngs
from thjax.engine.state import Aux, Batch, NetState, Params, Variables

Nets = Mapping[str, NetState]
Shared = Any
SharedFn = Callable[[dict[str, Params], Nets, Batch, Rngs, Context], tuple[Shared, dict[str, Variables]]]
LossFn = Callable[[dict[str, Params], Nets, Shared, Batch, Rngs, Context], tuple[Any, Aux]]
WriteFn = Callable[[Variables, Nets, Shared, Batch, Rngs, Context], Variables]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network trained by a phase, with its own optax chain.

    Attributes:
        net: its name.
        optimizer: the chain.
        config: what the chain was made from, e.g. an `OptimizerConfig`. At the border between two stages the network
            keeps its optimizer state where both stages give equal configs, and starts a new one otherwise. Without
            a config only the very same chain counts as equal.
    """

    net: str
    optimizer: optax.GradientTransformation
    config: Any = None

    @property
    def identity(self) -> Any:
        """What two stages compare to know whether they train the network alike."""
        return self.optimizer if self.config is None else self.config


@dataclasses.dataclass(frozen=True)
class GradPhase:
    """One backward pass and the updates it feeds.

    Attributes:
        trains: networks updated from this loss, each by its own chain.
        loss: (params of the trained nets, nets, shared, batch, rngs, ctx) -> (scalar, Aux).
        reads: whether the loss sees networks as earlier phases left them, or as the step found them.
        every: the phase runs when `stage_step // accumulate % every == 0`; otherwise its metrics are NaN.
        through_shared: the gradient also flows through `Stage.shared` into its parameters.
    """

    trains: tuple[Trained, ...]
    loss: LossFn
    reads: Literal["updated", "start"] = "updated"
    every: int = 1
    through_shared: bool = False


@dataclasses.dataclass(frozen=True)
class WritePhase:
    """A write without gradients, such as a memory update. `write` must not depend on the order of shards:
    gather with the context, then sort by `batch["example_id"]`."""

    net: str
    write: WriteFn


Phase = GradPhase | WritePhase


def nothing_shared(params, nets, batch, rngs, ctx):
    """The `SharedFn` of stages whose phases share no forward pass."""
    return {}, {}


@dataclasses.dataclass(frozen=True)
class Patience:
    """Early stopping: the stage ends after `epochs` epochs without a new best of `metric` on validation."""

    metric: str
    epochs: float
    mode: Literal["min", "max"] = "min"


@dataclasses.dataclass(frozen=True)
class Until:
    """When a stage ends: whichever comes first of the limits that are set.

    `train` resolves `epochs` to steps from the manifest and writes both to the config of the run.
    """

    steps: int | None = None
    epochs: float | None = None
    patience: Patience | None = None

    def __post_init__(self):
        if self.steps is None and self.epochs is None:
            raise ValueError("a stage needs `until.steps` or `until.epochs`; patience alone may never end it")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a network of a stage comes from.

    `fresh` weights depend on the run's seed and the network's name alone. `previous` takes the network from the
    stage before, optimizer state included while its optimizer stays the same. `checkpoint` and `weights` take
    donors that `train` has loaded from another run, or from a converted file.
    """

    kind: Literal["fresh", "previous", "checkpoint", "weights"] = "fresh"
    path: str = ""
    """Run directory or safetensors file, for `checkpoint` and `weights`."""


@dataclasses.dataclass(frozen=True)
class Ema:
    """Averaged weights of the named networks, decay min(decay, (1 + n) / (10 + n)) after n updates."""

    nets: tuple[str, ...] = ()
    decay: float = 0.999


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stretch of training on one kind of batch.

    Attributes:
        name: unique within the system.
        data: what a batch holds.
        phases: run in this order within every step.
        until: when the stage ends.
        shared: a forward pass that several phases use, run once per step on the start parameters.
        shared_trains: networks whose parameters `shared` differentiates.
        init: {net: Source}; every network of the stage, trained or frozen, is named here.
        ema: networks whose averaged weights are kept.
        evaluate: names of the system's evaluators to run on the validation split.
        remat: None keeps every activation of `shared` and of the losses for the backward pass; a tuple recomputes all
            but those given these names with `jax.ad_checkpoint.checkpoint_name`.
    """

    name: str
    data: DataSpec
    phases: tuple[Phase, ...]
    until: Until
    init: Mapping[str, Source]
    shared: SharedFn = nothing_shared
    shared_trains: tuple[str, ...] = ()
    ema: Ema = Ema()
    evaluate: tuple[str, ...] = ()
    remat: tuple[str, ...] | None = None

    def __post_init__(self):
        known = set(self.init)
        named = set(self.trained) | set(self.shared_trains) | set(self.ema.nets)
        named |= {phase.net for phase in self.phases if isinstance(phase, WritePhase)}
        if missing := sorted(named - known):
            raise ValueError(
                f"stage {self.name!r} uses networks {missing} that its `init` does not name ({sorted(known)})"
            )
        for phase in self.gradient_phases:
            if phase.through_shared and not {trained.net for trained in phase.trains} & set(self.shared_trains):
                raise ValueError(
                    f"stage {self.name!r}: a phase has through_shared but trains none of shared_trains "
                    f"{self.shared_trains}"
                )
            if phase.every < 1:
                raise ValueError(f"stage {self.name!r}: a phase has every={phase.every}; use at least 1")

    @property
    def gradient_phases(self) -> tuple[GradPhase, ...]:
        """The phases with a backward pass, in order."""
        return tuple(phase for phase in self.phases if isinstance(phase, GradPhase))

    @property
    def trains(self) -> dict[str, Trained]:
        """{net: how it is trained} over all gradient phases."""
        found = {}
        for phase in self.gradient_phases:
            for trained in phase.trains:
                if trained.net in found:
                    raise ValueError(f"stage {self.name!r} trains {trained.net!r} in two phases; give it one optimizer")
                found[trained.net] = trained
        return found

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the networks with an optimizer."""
        return tuple(self.trains)
