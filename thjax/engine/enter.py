"""`enter_stage`: creates, takes over, freezes and drops networks at the border between two stages."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from thjax.core.rngs import fold_in_name
from thjax.engine.guard import init_guard
from thjax.engine.stage import GradPhase, Stage
from thjax.engine.state import NetState, TrainState
from thjax.engine.system import Network
from thjax.optim import hold_back


def with_accumulation(stage: Stage, accumulate: int) -> Stage:
    """The stage with every optimizer held back until the gradients of `accumulate` micro-steps are averaged."""
    if accumulate == 1:
        return stage

    def hold(trained):
        return dataclasses.replace(
            trained, optimizer=hold_back(trained.optimizer, accumulate), config=trained.identity
        )

    phases = tuple(
        dataclasses.replace(phase, trains=tuple(map(hold, phase.trains))) if isinstance(phase, GradPhase) else phase
        for phase in stage.phases
    )
    return dataclasses.replace(stage, phases=phases)


def init_network(network: Network, name: str, key: jax.Array) -> NetState:
    """Fresh weights, which depend on the run's key and the network's name alone."""
    # Compiled: an eager init runs the network's whole forward pass, op by op.
    variables = dict(jax.jit(network.init)(fold_in_name(key, name)))
    return NetState(params=variables.pop("params", {}), variables=variables)


def enter_stage(
    networks: Mapping[str, Network],
    stage: Stage,
    state: TrainState | None,
    key: jax.Array,
    donors: Mapping[str, NetState] | None = None,
    previous: Stage | None = None,
) -> TrainState:
    """The state with which a stage starts. Pure: donors were loaded by the caller.

    Networks taken over share their buffers with `state` and `donors`: once the first step has donated the result,
    those are gone.

    Args:
        networks: of the system.
        stage: the stage to enter, already `with_accumulation`.
        state: the state at the end of the stage before, or None at the start of a run.
        key: the key of the run.
        donors: {net: NetState} for networks whose source is a checkpoint or converted weights.
        previous: the stage that `state` comes from; a network keeps its optimizer state only where both stages
            train it alike (`Trained.identity`).

    Raises:
        ValueError: a source cannot be satisfied; names the network and what is missing.
    """
    nets = {name: _take(networks, stage, name, state, key, donors or {}) for name in stage.init}
    before = previous.trains if previous else {}
    for name, trained in stage.trains.items():
        taken = stage.init[name].kind == "previous"
        if not (taken and name in before and before[name].identity == trained.identity):
            nets[name] = nets[name].replace(opt_state=trained.optimizer.init(nets[name].params))
    for name in nets.keys() - set(stage.trains):
        nets[name] = nets[name].replace(opt_state=())

    ema, ema_updates = {}, {}
    for name in stage.ema.nets:
        if stage.init[name].kind == "previous" and name in state.ema:
            ema[name], ema_updates[name] = state.ema[name], state.ema_updates[name]
        else:
            # A copy: the step donates params and ema, which must not share a buffer.
            ema[name], ema_updates[name] = jax.tree.map(jnp.copy, nets[name].params), jnp.int32(0)
    return TrainState(
        step=jnp.int32(0) if state is None else state.step,
        stage_step=jnp.int32(0),
        nets=nets,
        ema=ema,
        ema_updates=ema_updates,
        guard=init_guard(len(stage.gradient_phases), None if state is None else state.guard),
    )


def _take(networks, stage: Stage, name: str, state: TrainState | None, key, donors) -> NetState:
    """The network `name` from the source that the stage gives for it."""
    source = stage.init[name]
    if name not in networks:
        raise ValueError(f"stage {stage.name!r} names network {name!r}; the system has {sorted(networks)}")
    if source.kind == "fresh":
        return init_network(networks[name], name, key)
    if source.kind == "previous":
        if state is None or name not in state.nets:
            have = [] if state is None else sorted(state.nets)
            raise ValueError(f"stage {stage.name!r} takes {name!r} from the stage before, which has {have}")
        return state.nets[name]
    if name in donors:
        return donors[name]
    raise ValueError(f"stage {stage.name!r} takes {name!r} from {source.path!r}, which was not loaded")
