"""Learning rates as functions of the number of updates made."""

import jax.numpy as jnp
import optax


def constant(rate: float) -> optax.Schedule:
    """`rate` for ever."""
    return lambda count: jnp.asarray(rate, jnp.float32)


def exponential_after(rate: float, factor: float, after_epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """`rate` for `after_epochs` epochs, then multiplied by `factor` at the start of every further epoch.

    "Decay after epoch 20 with a rate of 10 %" read as losing a tenth per epoch is `factor=0.9, after_epochs=20`: the
    21st epoch runs at 0.9 of the rate, the 22nd at 0.81.
    """

    def schedule(count):
        epochs_beyond = jnp.maximum(count // steps_per_epoch - after_epochs + 1, 0)
        return rate * jnp.asarray(factor, jnp.float32) ** epochs_beyond

    return schedule


def drop_after(rate: float, factor: float, after_epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """`rate` for `after_epochs` epochs, then `factor * rate` for ever.

    The other reading of "decay after epoch 20 with a rate of 10 %": down to a tenth, once, is `factor=0.1`.
    """
    return lambda count: jnp.where(count // steps_per_epoch < after_epochs, jnp.float32(rate), rate * factor)


def cosine(rate: float, steps: int, floor: float) -> optax.Schedule:
    """Half a cosine from `rate` down to `floor * rate` at update `steps`, constant afterwards."""

    def schedule(count):
        progress = jnp.clip(count / steps, 0.0, 1.0)
        return rate * (floor + (1.0 - floor) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress)))

    return schedule


def warmed_up(schedule: optax.Schedule, steps: int) -> optax.Schedule:
    """`schedule` times a ramp that reaches one at the `steps`-th update; the first update already moves."""
    if not steps:
        return schedule
    return lambda count: schedule(count) * jnp.minimum((count + 1) / steps, 1.0)


def learning_rate_schedule(config, steps_per_epoch: int) -> optax.Schedule:
    """The schedule that an `OptimizerConfig` describes.

    Args:
        config: see `thjax.optim.chains.OptimizerConfig`.
        steps_per_epoch: optimizer updates in an epoch, i.e. batches divided by `accumulate`; at least 1.

    Returns:
        updates made so far (int32) -> learning rate.
    """
    if steps_per_epoch < 1:
        raise ValueError(f"steps_per_epoch {steps_per_epoch} must be at least 1")
    rate = config.learning_rate
    if config.decay == "constant":
        schedule = constant(rate)
    elif config.decay == "exponential":
        schedule = exponential_after(rate, config.decay_factor, config.decay_after_epochs, steps_per_epoch)
    elif config.decay == "drop":
        schedule = drop_after(rate, config.decay_factor, config.decay_after_epochs, steps_per_epoch)
    else:
        schedule = cosine(rate, config.decay_steps, config.decay_floor)
    return warmed_up(schedule, config.warmup_steps)
