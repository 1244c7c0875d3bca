"""Lens and sensor: blur, noise and tone curve. Numba kernels, one thread, repeatable to the bit."""

import numpy as np

from data_pipelines.synthetic.noise import normal
from thjax.face3d.kernels import kernel

TONE_STEPS = 4096
TONE_GAMMA = 1.15
MIN_BLUR, BLUR_REACH = 0.15, 3
"""Standard deviation in pixels below which the lens is sharp; reach of the blur in standard deviations."""


def tone_curve() -> np.ndarray:
    """What the sensor makes of light 0 to 1: uint8 `[4096]`."""
    return (np.linspace(0, 1, TONE_STEPS) ** (1 / TONE_GAMMA) * 255 + 0.5).astype(np.uint8)


def blur_weights(sigma: float) -> np.ndarray:
    """Gaussian of `sigma` pixels from the middle outwards: float32 `[R + 1]`; both sides together sum to 1."""
    radius = int(np.ceil(BLUR_REACH * sigma)) if sigma > MIN_BLUR else 0
    weights = np.exp(-0.5 * (np.arange(radius + 1) / max(sigma, 1e-6)) ** 2)
    return (weights / (2 * weights.sum() - weights[0])).astype(np.float32)


@kernel
def blur(picture, weights, scratch):
    """Separable symmetric blur in place, borders repeated.

    Args:
        picture: float32 `[H, W, 3]`.
        weights: float32 `[R + 1]` from the middle outwards; both sides together sum to 1.
        scratch: float32 `[H, W, 3]`.
    """
    height, width, radius = picture.shape[0], picture.shape[1], weights.shape[0] - 1
    for y in range(height):
        for x in range(width):
            for c in range(3):
                total = weights[0] * picture[y, x, c]
                for r in range(1, radius + 1):
                    total += weights[r] * (picture[y, max(x - r, 0), c] + picture[y, min(x + r, width - 1), c])
                scratch[y, x, c] = total
    for y in range(height):
        for x in range(width):
            for c in range(3):
                total = weights[0] * scratch[y, x, c]
                for r in range(1, radius + 1):
                    total += weights[r] * (scratch[max(y - r, 0), x, c] + scratch[min(y + r, height - 1), x, c])
                picture[y, x, c] = total


@kernel
def develop(picture, noise, key, tone, frame):
    """Sensor noise, tone curve, 8 bits.

    Args:
        picture: float32 `[H, W, 3]` light.
        noise: standard deviation at full light; falls to 0.4 of it in the dark, as shot noise does.
        key: uint64 of this frame; every value of the frame draws its own number from it.
        tone: uint8 `[4096]` of `tone_curve`.
        frame: uint8 `[H, W, 3]`, filled.
    """
    count = np.uint64(0)
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            for c in range(3):
                value = picture[y, x, c]
                if noise > 0:
                    shot = noise * (np.float32(0.4) + np.float32(0.6) * np.sqrt(max(value, np.float32(0))))
                    value += shot * normal(key + count * np.uint64(0x9E3779B97F4A7C15))
                count += np.uint64(1)
                frame[y, x, c] = tone[
                    int(min(max(value, np.float32(0)), np.float32(1)) * np.float32(4095) + np.float32(0.5))
                ]
