"""Optimizers as small pure functions that return optax chains: schedules, accumulation, averaged weights."""

from thjax.optim.accumulation import hold_back, updates_made
from thjax.optim.averages import average, average_decay
from thjax.optim.chains import OptimizerConfig, make_optimizer
from thjax.optim.schedules import learning_rate_schedule

__all__ = [
    "OptimizerConfig",
    "average",
    "average_decay",
    "hold_back",
    "learning_rate_schedule",
    "make_optimizer",
    "updates_made",
]
