"""Picture quality: PSNR and SSIM."""

import numpy as np
from scipy import ndimage

PEAK = 255.0
PSNR_CAP = 100.0
"""dB reported for identical pictures, where PSNR is infinite."""

# Wang et al. 2004, section III-B: an 11 x 11 circular Gaussian of 1.5 pixels, K1 = 0.01, K2 = 0.03.
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_C1 = (0.01 * PEAK) ** 2
SSIM_C2 = (0.03 * PEAK) ** 2


def psnr(truth: np.ndarray, other: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio of a clip, from the squared error pooled over the clip.

    Args:
        truth: [T, H, W, C] uint8 or values on 0..255.
        other: the same shape.
        mask: [T, H, W] bool, pixels that count; None counts all.

    Returns:
        dB, higher is better, at most `PSNR_CAP`.

    Raises:
        ValueError: shapes differ, or no pixel counts.
    """
    _same_shape(truth, other)
    squared = (truth.astype(np.float64) - other.astype(np.float64)) ** 2
    if mask is not None:
        squared = squared[mask]
    if squared.size == 0:
        raise ValueError("psnr over no pixel at all; the mask is empty")
    error = squared.mean()
    return PSNR_CAP if error == 0 else min(PSNR_CAP, 10 * np.log10(PEAK**2 / error))


def ssim(truth: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity `gauss11` (Wang et al. 2004), mean over frames and colour channels.

    Args:
        truth: [T, H, W, C] uint8 or values on 0..255, H and W at least 11.
        other: the same shape.

    Returns:
        -1..1, higher is better. Statistics are taken where the 11 x 11 window lies inside the frame.
    """
    _same_shape(truth, other)
    if min(truth.shape[1:3]) <= 2 * SSIM_RADIUS:
        raise ValueError(f"ssim needs frames of at least 11 x 11 pixels, got {truth.shape[1]} x {truth.shape[2]}")
    x, y = truth.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    var_x = _window(x * x) - mean_x**2
    var_y = _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (var_x + var_y + SSIM_C2)
    inside = slice(SSIM_RADIUS, -SSIM_RADIUS)
    return float((luminance * structure)[:, inside, inside].mean())


def _window(x: np.ndarray) -> np.ndarray:
    """The Gaussian window's mean at every pixel of [T, H, W, C]."""
    return ndimage.gaussian_filter(x, (0, SSIM_SIGMA, SSIM_SIGMA, 0), radius=(0, SSIM_RADIUS, SSIM_RADIUS, 0))


def _same_shape(truth: np.ndarray, other: np.ndarray) -> None:
    if truth.shape != other.shape or truth.ndim != 4:
        raise ValueError(f"expected two clips [T, H, W, C] of one shape, got {truth.shape} and {other.shape}")
