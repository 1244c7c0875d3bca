"""What keeps keypoints apart and in front, and makes them points of the head (Wang, Mallya, Liu 2021, section 3)."""

import jax
import jax.numpy as jnp

from thjax.core.context import Context

LEAST_SQUARED_DISTANCE = 0.1
MEAN_DEPTH = -0.33
"""Their 0.33: here z points away from the camera, so what is seen of a head lies before its origin."""


def prior(points: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """Penalises pairs nearer than a squared distance of 0.1, and a mean depth other than -0.33.

    Args:
        points: [b, K, 3] x, y, z in [-1, 1], z away from the camera.
        mask: [b], one where the example counts.
        ctx: reduces over all shards.

    Returns:
        A scalar: the sum over ordered pairs of what is missing to the distance, plus the deviation in depth.
    """
    squared = jnp.square(points[:, :, None] - points[:, None]).sum(-1)
    missing = jnp.maximum(0, LEAST_SQUARED_DISTANCE - squared) * (1 - jnp.eye(points.shape[1], dtype=points.dtype))
    return ctx.mean(missing.sum((1, 2)) + jnp.abs(points[..., 2].mean(1) - MEAN_DEPTH), mask)


def agreement(points: jax.Array, others: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """Mean absolute difference of the canonical points of two pictures of one head: pose is not theirs to show.

    It stands where face-vid2vid warps a picture and asks for warped points (equivariance): canonical points are those
    of the head at rest, the same in every frame of it.

    Args:
        points, others: [b, K, 3].
        mask: [b], one where the example counts.
        ctx: reduces over all shards.
    """
    return ctx.mean(jnp.abs(points - others), mask)
