"""Canny's edge detector, as CPBD uses it to tell blocks with edges."""

import numpy as np
from scipy import ndimage

SIGMA = 1.0
LOW, HIGH = 0.1, 0.2
"""Hysteresis thresholds of scikit-image for floats. CPBD applies them to grey levels of 0..255, so that almost every
local maximum is an edge: they are the reference's."""


def canny(plane: np.ndarray) -> np.ndarray:
    """[H, W] bool edges of a plane [H, W] of float64.

    Gaussian with the border renormalised, Sobel, suppression of what is not a maximum along the gradient
    (interpolated between neighbours), then hysteresis over 8 neighbours. Source: Canny 1986.
    """
    inside = ndimage.gaussian_filter(np.ones_like(plane), SIGMA, mode="constant")
    smooth = ndimage.gaussian_filter(plane, SIGMA, mode="constant") / (inside + np.finfo(np.float64).eps)
    down, across = ndimage.sobel(smooth, axis=0), ndimage.sobel(smooth, axis=1)
    magnitude = np.sqrt(down * down + across * across)
    candidates = _is_maximum(down, across, magnitude) & (magnitude >= LOW)
    labels, count = ndimage.label(candidates, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[labels[candidates & (magnitude >= HIGH)]] = True
    strong[0] = False
    return strong[labels]


def _is_maximum(down: np.ndarray, across: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """[H, W] bool: not below the magnitude one step along the gradient, either way; never on the border."""
    result = np.zeros(magnitude.shape, bool)
    if min(magnitude.shape) < 3:
        return result
    rows, columns = np.mgrid[1 : magnitude.shape[0] - 1, 1 : magnitude.shape[1] - 1]
    centre = (slice(1, -1), slice(1, -1))
    i, j, here = down[centre], across[centre], magnitude[centre]
    row_step, column_step = np.where(i > 0, 1, -1), np.where(j > 0, 1, -1)
    steep = np.abs(i) > np.abs(j)
    long, short = np.maximum(np.abs(i), np.abs(j)), np.minimum(np.abs(i), np.abs(j))
    weight = short / np.where(long > 0, long, 1.0)

    def along(sign):
        straight = magnitude[rows + sign * np.where(steep, row_step, 0),
                             columns + sign * np.where(steep, 0, column_step)]
        diagonal = magnitude[rows + sign * row_step, columns + sign * column_step]
        return diagonal * weight + straight * (1 - weight)

    result[centre] = (along(1) <= here) & (along(-1) <= here)
    return result
