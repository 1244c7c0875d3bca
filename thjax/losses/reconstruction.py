"""Reconstruction: weighted L1 over valid frames, and the maps that say which pixels count.

Every map has mean one over the image, so that changing the map never changes the scale of the loss.
"""

import jax
import jax.numpy as jnp

from thjax.core.context import Context

MOUTH = slice(48, 68)
"""Mouth landmarks in iBUG order."""
MOUTH_SPREAD = (6 / 64, 7 / 48)
"""Standard deviations (rows, columns) of the mouth's Gaussian as shares of the image: 6 and 7 pixels at 64 x 48."""


def weighted_l1(
    generated: jax.Array, truth: jax.Array, weights: jax.Array, valid: jax.Array, ctx: Context
) -> jax.Array:
    """Mean of `weights * |generated - truth|` over the pixels of valid frames of all shards.

    Args:
        generated: [b, T, H, W, C] frames.
        truth: [b, T, H, W, C] frames, same range.
        weights: broadcastable to [b, T, H, W], mean one over the image.
        valid: [b, T], one where the frame counts.
        ctx: reduces over all shards.

    Returns:
        A scalar in the units of the frames.
    """
    wide = jnp.promote_types(generated.dtype, jnp.float32)
    difference = jnp.abs(generated.astype(wide) - truth.astype(wide))
    return ctx.mean(difference * weights[..., None].astype(wide), valid)


def whole_map(height: int, width: int) -> jax.Array:
    """[H, W] ones: every pixel counts alike."""
    return jnp.ones((height, width))


def lower_half_map(height: int, width: int) -> jax.Array:
    """[H, W] map of the rows from H/2 on (vougioukas2019, eq. 2), which leaves brows and lids to the discriminators.

    Raises:
        ValueError: the image has fewer than two rows, so it has no lower half.
    """
    if height < 2:
        raise ValueError(f"an image of {height} rows has no lower half; use at least 2 rows")
    rows = (jnp.arange(height) >= height // 2).astype(jnp.float32)
    return jnp.broadcast_to((rows / rows.mean())[:, None], (height, width))


def mouth_map(landmarks: jax.Array, height: int, width: int, weight: float = 4.0) -> jax.Array:
    """Map `(1 + weight * m) / (1 + weight)`; m is a Gaussian of mean one on the true centre of the mouth.

    Args:
        landmarks: [..., 68, 2] x, y in pixels, pixel centres at +0.5.
        height: rows of the image.
        width: columns of the image.
        weight: of the Gaussian against the flat part.

    Returns:
        [..., H, W] maps of mean one.
    """
    centre = landmarks[..., MOUTH, :].mean(axis=-2)
    # A mouth outside the image has no pixels to weigh: the nearest edge takes its place, and the sum stays positive.
    x = jnp.clip(centre[..., 0], 0, width)
    y = jnp.clip(centre[..., 1], 0, height)
    across = _bell(jnp.arange(width) + 0.5, x, MOUTH_SPREAD[1] * width)
    down = _bell(jnp.arange(height) + 0.5, y, MOUTH_SPREAD[0] * height)
    gaussian = down[..., :, None] * across[..., None, :]
    gaussian = gaussian / gaussian.mean(axis=(-2, -1), keepdims=True)
    return (1 + weight * gaussian) / (1 + weight)


def _bell(places: jax.Array, centre: jax.Array, spread: float) -> jax.Array:
    """[..., N] unnormalised Gaussian at `places` [N] around `centre` [...]."""
    return jnp.exp(-(((places - centre[..., None]) / spread) ** 2) / 2)
