"""Configuration sections shared by all systems: frozen dataclasses, checked when made, overridable by dotted names."""

import dataclasses
from typing import Literal

from thjax.core import seeds
from thjax.core.precision import Precision

Executor = Literal["jit", "shard_map", "pmap"]


@dataclasses.dataclass(frozen=True)
class ParallelConfig:
    """Where the step runs."""

    executor: Executor = "jit"
    """How the step is spread over devices; all three give the same result."""
    devices: int = 0
    """Devices to use; 0 uses all of them."""
    fsdp: int = 1
    """Devices that share one copy of parameters, averages and optimizer states, each with examples of its own; for
    systems that name the axes of their parameters. Under `jit` alone."""
    tensor: int = 1
    """Devices that share such a copy and its examples: heads, feed-forward channels and categories are cut."""
    remat: str = "none"
    """Activations to recompute in the backward pass, which saves memory and costs time: none | all | all but the
    activations that a network has given these names, separated by commas."""

    def __post_init__(self):
        if self.devices < 0:
            raise ValueError(f"parallel.devices {self.devices} must be at least 1, or 0 for all of them")
        for name in ("fsdp", "tensor"):
            if getattr(self, name) < 1:
                raise ValueError(f"parallel.{name} {getattr(self, name)} must be at least 1")
            if getattr(self, name) > 1 and self.executor != "jit":
                raise ValueError(f"parallel.{name} {getattr(self, name)} needs parallel.executor jit; {self.executor} "
                                 "holds the whole state on every device")


@dataclasses.dataclass(frozen=True)
class GuardConfig:
    """What a step does when something in it is not finite or its gradient jumps."""

    on_bad: Literal["stop", "skip"] = "stop"
    """A step whose inputs or results are not finite: stop the run, or keep the old weights and go on."""
    spike_factor: float = 0.0
    """A gradient norm above this many times its running mean is a spike and is skipped; 0 switches this off."""
    max_spikes: int = 10
    """Spikes in a row after which the run stops."""

    def __post_init__(self):
        if self.spike_factor and self.spike_factor <= 1:
            raise ValueError(f"guard.spike_factor {self.spike_factor} must be 0 (off) or above 1")
        if self.max_spikes < 1:
            raise ValueError(f"guard.max_spikes {self.max_spikes} must be at least 1")


@dataclasses.dataclass(frozen=True)
class LoaderConfig:
    """How the host feeds the step. Changes speed only, never a byte of a batch."""

    workers: int = 0
    """Worker processes that decode; 0 decodes in threads of this process."""
    prefetch: int = 2
    """Batches decoded ahead of the step."""

    def __post_init__(self):
        for name in ("workers", "prefetch"):
            if getattr(self, name) < 0:
                raise ValueError(f"loader.{name} {getattr(self, name)} must be at least 0")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The loop around the step."""

    steps: int = 0
    """Caps the run at this many steps over all stages and moves no schedule; 0 lets the stages end themselves."""
    log_every: int = 20
    """Steps between two lines of metrics."""
    evaluate_every: int = 500
    """Steps between two evaluations on the validation split; 0 evaluates at the end of a stage only."""
    evaluate_clips: int = 16
    """Clips of the validation split in an evaluation."""
    checkpoint_every: int = 500
    """Steps between two checkpoints; the end of a stage and a signal always save."""
    keep: int = 3
    """Newest checkpoints kept, beside the best one."""

    def __post_init__(self):
        for name, least in (("steps", 0), ("log_every", 1), ("evaluate_every", 0), ("evaluate_clips", 1),
                            ("checkpoint_every", 1), ("keep", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"train.{name} {getattr(self, name)} must be at least {least}")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What every system's config has; a system's own config class adds `data`, `model`, `losses`, `optimizers`."""

    system: str = ""
    """Name of the system, a folder of thjax/systems."""
    variant: str = ""
    """Name of the variant in configs/<system>.py that this config started from."""
    seed: int = 0
    """Seed of initial weights, data order and noise."""
    precision: Precision = "f32"
    """Compute type of the networks; parameters and losses stay f32. bf16 pays on GPU and TPU, not on CPU."""
    accumulate: int = 1
    """Micro-steps whose gradients are averaged into one update."""
    train: TrainConfig = TrainConfig()
    parallel: ParallelConfig = ParallelConfig()
    guard: GuardConfig = GuardConfig()
    loader: LoaderConfig = LoaderConfig()

    def __post_init__(self):
        seeds.check(self.seed)
        if self.accumulate < 1:
            raise ValueError(f"accumulate {self.accumulate} must be at least 1")


# Keys that a resumed run may change without --accept_changes: they alter speed or reporting, never the weights.
FREE_ON_RESUME = (
    "train.steps", "train.log_every", "train.keep", "train.checkpoint_every",
    "parallel.executor", "parallel.devices", "parallel.fsdp", "parallel.tensor", "loader.workers", "loader.prefetch",
)
