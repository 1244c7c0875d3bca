"""`OptimizerConfig` and the optax chain it describes."""

import dataclasses
from typing import Literal

import optax

from thjax.optim.schedules import learning_rate_schedule

Decay = Literal["constant", "exponential", "drop", "cosine"]


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Adam (Kingma & Ba 2015) for one network."""

    learning_rate: float = 2e-4
    """Rate after warm-up and before decay."""
    b1: float = 0.5
    """Decay of the first moment, in [0, 1)."""
    b2: float = 0.999
    """Decay of the second moment, in [0, 1)."""
    warmup_steps: int = 0
    """Updates over which the rate rises linearly to its full value; 0 starts at it."""
    decay: Decay = "constant"
    """constant | exponential: times decay_factor every epoch after decay_after_epochs | drop: times decay_factor once,
    after decay_after_epochs | cosine: down to decay_floor over decay_steps."""
    decay_factor: float = 0.9
    """Of exponential and drop, in (0, 1]."""
    decay_after_epochs: int = 20
    """Epochs at the full rate, of exponential and drop."""
    decay_steps: int = 0
    """Updates until the cosine has reached its floor."""
    decay_floor: float = 0.02
    """Final rate of the cosine as a share of learning_rate, in [0, 1]."""
    clip_norm: float = 0.0
    """Gradients of the network are scaled down to this global norm; 0 leaves them as they are."""

    def __post_init__(self):
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate {self.learning_rate} must be above 0")
        for name in ("b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in [0, 1)")
        for name in ("warmup_steps", "decay_after_epochs", "decay_steps", "clip_norm"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative; use 0 to switch it off")
        if not 0 < self.decay_factor <= 1:
            raise ValueError(f"decay_factor {self.decay_factor} must lie in (0, 1]")
        if not 0 <= self.decay_floor <= 1:
            raise ValueError(f"decay_floor {self.decay_floor} must lie in [0, 1]")
        if self.decay not in ("constant", "exponential", "drop", "cosine"):
            raise ValueError(f"decay {self.decay!r} is unknown; use constant, exponential, drop or cosine")
        if self.decay == "cosine" and not self.decay_steps:
            raise ValueError("decay 'cosine' needs decay_steps, the updates until its floor")


def make_optimizer(config: OptimizerConfig, steps_per_epoch: int = 1) -> optax.GradientTransformation:
    """The optax chain of a config: clipping, then Adam under the schedule.

    Args:
        config: what to build.
        steps_per_epoch: optimizer updates in an epoch (batches divided by `accumulate`); read by the decays that
            count epochs. Never the length of the run: capping a run moves no schedule.
    """
    schedule = learning_rate_schedule(config, steps_per_epoch)
    adam = optax.adam(schedule, b1=config.b1, b2=config.b2)
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam) if config.clip_norm else adam
