"""Where a head has lately been: the slow mean of its pose, and where it is expected next, a little nearer to rest.

A clip shows one posture, and what the head does about it is the same wherever it is. A mapper that is told the absolute
pose has to learn this for every posture, and to be pulled back from the outer ones by a few thousandths of a deviation
a frame, for which cross-entropy hardly asks: over minutes its heads come to rest at the ends of their ranges.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

REST = 0.5
"""Unit coordinate of the middle of a pose channel's range."""
MEAN_FRAMES = 50
"""Of the exponential mean; until so many are known it is their mean."""
LEAK = 0.015
"""Share of the way to rest by which the next frame is expected nearer to it than the mean is. A head that keeps 0.98
of its distance from the mean, as a fresh mapper does, comes back to 1 / e in 4 s; one that keeps none in 133 s."""


class Posture(struct.PyTreeNode):
    """The slow mean of what is known.

    Attributes:
        mean: [B, 6] unit coordinates.
        known: [B] number of frames that it is made of.
    """

    mean: jax.Array
    known: jax.Array


def blank_posture(batch: int, channels: int, dtype: Any) -> Posture:
    """Before anything is known."""
    return Posture(jnp.full((batch, channels), REST, dtype), jnp.zeros(batch, dtype))


def followed(posture: Posture, pose: jax.Array, known: jax.Array) -> Posture:
    """The mean with one frame more: pose [B, 6], which counts where known [B]."""
    count = posture.known + known.astype(posture.known.dtype)
    rate = jnp.maximum(1 / jnp.maximum(count, 1), 1 / MEAN_FRAMES)[:, None]
    mean = posture.mean + jnp.where(known[:, None], rate * (pose - posture.mean), 0)
    return Posture(mean, count)


def means(pose: jax.Array, known: jax.Array) -> jax.Array:
    """[B, T, 6]: the slow mean up to and with each frame, of pose [B, T, 6] where known [B, T]."""

    def one(posture, frame):
        posture = followed(posture, *frame)
        return posture, posture.mean

    start = blank_posture(pose.shape[0], pose.shape[-1], pose.dtype)
    _, found = jax.lax.scan(one, start, (jnp.swapaxes(pose, 0, 1), known.T))
    return jnp.swapaxes(found, 0, 1)


def expected(mean: jax.Array) -> jax.Array:
    """Where the next frame is expected [..., 6]: a little nearer to rest than the mean [..., 6]."""
    return REST + (1 - LEAK) * (mean - REST)
