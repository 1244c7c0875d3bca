"""Log-mel features, computed on the device from raw samples."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from thjax.audio.waveform import FULL_SCALE

RATE = 16_000
BANDS = 40
HOP = 160
"""Samples from one column to the next: 10 ms, four columns a video frame."""
WINDOW = 400
MARGIN = (WINDOW - HOP) // 2
"""Samples that the first column sees before its own 10 ms, and the last one after."""
FLOOR = 1e-7
"""Power below which nothing is heard, -70 dB of full scale: silence of any kind is one number."""
_FFT = 512
_EDGES_HZ = (50.0, 7_600.0)
_CENTRE, _SPREAD = -13.0, 3.0
"""Natural log of power; brings speech of usual loudness near mean 0 and deviation 1."""


def log_mel(samples: jax.Array) -> jax.Array:
    """Log power in 40 bands at equal distances on the mel scale, 25 ms Hann windows centred on their 10 ms.

    Args:
        samples: [..., 240 + 160 K] at 16 kHz, in the range of int16; column k is centred on sample 200 + 160 k.

    Returns:
        [..., K, 40] float32, about -1 (silence) to 3.5.

    Raises:
        ValueError: too few samples for a column, or samples beyond the last whole one.
    """
    columns, beyond = divmod(samples.shape[-1] - 2 * MARGIN, HOP)
    if columns < 1 or beyond:
        raise ValueError(f"{samples.shape[-1]} samples are not {2 * MARGIN} + {HOP} x columns; cut whole columns with "
                         f"{MARGIN} samples on each side")
    sound = samples.astype(jnp.float32) / FULL_SCALE
    places = np.arange(columns)[:, None] * HOP + np.arange(WINDOW)
    window = np.hanning(WINDOW + 1)[:-1]
    spectrum = jnp.fft.rfft(sound[..., places] * jnp.asarray(window / window.sum(), jnp.float32), _FFT)
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return (jnp.log(power @ jnp.asarray(_filters()) + FLOOR) - _CENTRE) / _SPREAD


@functools.cache
def _filters() -> np.ndarray:
    """[257, 40] triangles that sum to one, between points at equal mel distances (O'Shaughnessy 1987)."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in _EDGES_HZ)
    points = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    bins = np.arange(_FFT // 2 + 1)[:, None] * RATE / _FFT
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    triangles = np.maximum(np.minimum(rising, falling), 0)
    return (triangles / triangles.sum(0)).astype(np.float32)
