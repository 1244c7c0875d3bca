"""Exponential moving averages of weights."""

import jax
import jax.numpy as jnp


def average_decay(decay: float, updates: jax.Array) -> jax.Array:
    """Decay of the average at its `updates`-th update, min(decay, (1 + n) / (10 + n)): young averages forget quickly.

    Args:
        decay: of an old average, in [0, 1).
        updates: int32, updates that the average has seen, this one included.
    """
    return jnp.minimum(decay, (1.0 + updates) / (10.0 + updates))


def average(old, new, decay: jax.Array, moves: jax.Array):
    """Decay * old + (1 - decay) * new over pytrees of parameters, in the types of `old`; `old` where not `moves`."""

    def blend(old, new):
        return jnp.where(moves, (decay * old + (1 - decay) * new).astype(old.dtype), old)

    return jax.tree.map(blend, old, new)
