"""Variation of mouths and sounds in the training of the sync expert, inside the jitted step.

What must not decide whether lips and sound agree is varied: voice, loudness, room and noise of the sound; place, shake
and sharpness of the picture. Brightness and contrast need no variation, the network takes them out.
"""

import jax
import jax.numpy as jnp

from thjax.judges.sync import SIDE

GAIN = 0.6
"""Largest change of loudness, in units of `log_mel`: 8 dB."""
WARP = (0.85, 1.18)
"""Stretch of the band axis: longer and shorter vocal tracts."""
BAND_SHIFT = 1.5
"""Largest shift of the band axis."""
TILT_TERMS, TILT = 4, 0.25
"""Cosines over the bands, and their deviation: microphones and rooms."""
NOISE = 0.1
"""Deviation of the noise of every value."""
FLOOR = (-1.1, 0.3)
"""Where steady background noise drowns quiet bands, from silence to quiet speech."""


def vary_mouth(mouth: jax.Array, key: jax.Array, shift: float, jitter: float, blur: float) -> jax.Array:
    """Crops of 40 pixels that lie anywhere, shake, and are sharp or blurred.

    Args:
        mouth: uint8 [B, W, F, 48, 48].
        key: of the draws.
        shift: largest shift of a clip's crops, pixels.
        jitter: largest rms of a window's shake from frame to frame, pixels and axis.
        blur: largest deviation of the blur of half of the clips, pixels.

    Returns:
        float32 [B, W, F, 40, 40], 0 to 255.
    """
    clips, windows, frames, side = mouth.shape[:4]
    where, shake, size, sharp, wide = jax.random.split(key, 5)
    places = jax.random.uniform(where, (clips, 1, 1, 2), minval=-shift, maxval=shift)
    rms = jax.random.uniform(size, (clips, windows, 1, 1), maxval=jitter)
    places = places + rms * jax.random.normal(shake, (clips, windows, frames, 2))
    deviation = jnp.where(jax.random.bernoulli(sharp, 0.5, (clips,)), jax.random.uniform(wide, (clips,)) * blur, 0.0)
    taps = interpolation(places + (side - SIDE) / 2, SIDE, side)
    taps = jnp.einsum("bwfaij,bjk->bwfaik", taps, _gaussians(deviation, side))
    rows, columns = taps[..., 0, :, :], taps[..., 1, :, :]
    return jnp.einsum("bwfik,bwfkl,bwfjl->bwfij", rows, mouth.astype(jnp.float32), columns)


def interpolation(start: jax.Array, out: int, side: int) -> jax.Array:
    """Linear interpolation as matrices [..., out, side]: result i is read at start + i; beyond the edge, the edge."""
    places = jnp.clip(start[..., None] + jnp.arange(out), 0, side - 1)
    return jnp.maximum(1 - jnp.abs(places[..., None] - jnp.arange(side)), 0)


def _gaussians(deviation: jax.Array, side: int) -> jax.Array:
    """Blurs [B, side, side] of deviations [B], the identity at 0; rows sum to one."""
    distance = jnp.arange(side)[:, None] - jnp.arange(side)
    taps = jnp.exp(-jnp.square(distance) / (2 * jnp.square(deviation[:, None, None]) + 1e-3))
    return taps / taps.sum(-1, keepdims=True)


def vary_sound(columns: jax.Array, key: jax.Array) -> jax.Array:
    """Another voice, loudness, room and noise for every clip: `log_mel` columns [B, W, C, 40], shape kept."""
    clips, _, _, bands = columns.shape
    gain, warp, shift, tilt, noise, floor = jax.random.split(key, 6)
    stretch = jax.random.uniform(warp, (clips, 1), minval=WARP[0], maxval=WARP[1])
    moved = jax.random.uniform(shift, (clips, 1), minval=-BAND_SHIFT, maxval=BAND_SHIFT)
    places = jnp.clip(stretch * jnp.arange(bands) + moved, 0, bands - 1)
    taps = jnp.maximum(1 - jnp.abs(places[..., None] - jnp.arange(bands)), 0)
    waves = jnp.cos(jnp.pi * jnp.arange(1, TILT_TERMS + 1)[:, None] * (jnp.arange(bands) + 0.5) / bands)
    colour = TILT * jax.random.normal(tilt, (clips, TILT_TERMS)) @ waves
    colour = colour + jax.random.uniform(gain, (clips, 1), minval=-GAIN, maxval=GAIN)
    heard = jnp.einsum("bwci,bji->bwcj", columns, taps) + colour[:, None, None]
    quiet = jax.random.uniform(floor, (clips, 1, 1, 1), minval=FLOOR[0], maxval=FLOOR[1])
    return jnp.maximum(heard, quiet) + NOISE * jax.random.normal(noise, heard.shape)
