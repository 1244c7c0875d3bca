"""Gradient accumulation: an optimizer held back until several micro-steps are averaged."""

import jax
import jax.numpy as jnp
import optax

from thjax.core.precision import policy


def hold_back(chain: optax.GradientTransformation, micro_steps: int) -> optax.GradientTransformation:
    """`chain` that averages the gradients of `micro_steps` calls and updates on the last; zero updates before.

    Args:
        chain: any optimizer; it counts updates, not micro-steps, so schedules keep their meaning.
        micro_steps: calls per update, at least 1; 1 returns `chain` itself.
    """
    if micro_steps < 1:
        raise ValueError(f"accumulate {micro_steps} must be at least 1")
    if micro_steps == 1:
        return chain
    held = optax.MultiSteps(chain, every_k_schedule=micro_steps, accumulator_dtype=policy("f32").params)
    return held.gradient_transformation()


def updates_made(before, after) -> jax.Array:
    """Bool: the optimizer went from state `before` to `after` with an update, rather than held it back."""
    if isinstance(after, optax.MultiStepsState):
        return after.gradient_step != before.gradient_step
    return jnp.bool_(True)
