"""Picture quality: PSNR and SSIM, in the variants that papers report."""

import numpy as np
from scipy import ndimage

from thjax.metrics.colour import grey
from thjax.metrics.shapes import same_clips

PEAK = 255.0
PSNR_CAP = 100.0
"""dB reported for identical pictures, where PSNR is infinite."""

# Wang et al. 2004, section III-B: an 11 x 11 circular Gaussian of 1.5 pixels, K1 = 0.01, K2 = 0.03.
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_C1 = (0.01 * PEAK) ** 2
SSIM_C2 = (0.03 * PEAK) ** 2
UNIFORM_SIDE = 7
"""Side of scikit-image's default window."""


def psnr(truth: np.ndarray, other: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio of a clip, from the squared error pooled over the clip ("whole video").

    Source: 10 log10(255^2 / MSE); pooled as Vougioukas et al. 2019 measure it (sda issue 53).

    Args:
        truth: [T, H, W, C] uint8 or values on 0..255.
        other: the same shape.
        mask: [T, H, W] bool, pixels that count; None counts all.

    Returns:
        dB, 0 to `PSNR_CAP` for uint8 frames, higher is better.

    Raises:
        ValueError: shapes differ, or no pixel counts.
    """
    squared = _squared_error(truth, other)
    if mask is not None:
        if mask.shape != truth.shape[:3]:
            raise ValueError(f"the mask is {mask.shape}, but frames {truth.shape} need [T, H, W] = {truth.shape[:3]}")
        squared = squared[mask]
    if squared.size == 0:
        raise ValueError("psnr over no pixel at all; the mask is empty")
    return float(_decibels(squared.mean()))


def psnr_per_frame(truth: np.ndarray, other: np.ndarray) -> float:
    """Mean over frames of each frame's PSNR; dB, 0 to `PSNR_CAP`, higher is better. Shapes as `psnr`.

    Never below `psnr` of the same clip: a few good frames raise it. Source: the usual practice of the field, and the
    public script of Chen et al. 2019 (ATVG), which also sets the cap of 100 dB for identical frames.
    """
    return float(_decibels(_squared_error(truth, other).mean(axis=(1, 2, 3))).mean())


def psnr_uint8_overflow(truth: np.ndarray, other: np.ndarray) -> float:
    """PSNR as the public script of Chen et al. 2019 (ATVG, evaluation_matrix.py) prints it: wrong, and named so.

    The script turns both frames to grey, then subtracts and squares uint8 arrays, which wrap around at 256. A true
    11 dB prints about 28; it is right only where no pixel errs by 16 or more. Report it beside `psnr_per_frame`, and
    only to compare with tables made by that script. The script resizes both frames to 256 x 256 first; do the same.

    Args:
        truth: [T, H, W, 3] or [T, H, W, 1] uint8.
        other: the same shape, uint8.

    Returns:
        dB, mean over frames, 24 to `PSNR_CAP`, higher is better; random pictures print 28.

    Raises:
        ValueError: shapes differ, or a clip is not uint8, where nothing would wrap.
    """
    same_clips(truth, other)
    for name, clip in (("truth", truth), ("other", other)):
        if clip.dtype != np.uint8:
            raise ValueError(f"{name} is {clip.dtype}, but the overflow exists in uint8 only; round and convert it, "
                             "or use psnr_per_frame")
    difference = grey(truth) - grey(other)  # uint8 minus uint8 wraps, and so does the square
    wrapped = difference * difference
    return float(_decibels(wrapped.mean(axis=(1, 2), dtype=np.float64)).mean())


def ssim(truth: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity `gauss11`: Gaussian window inside the frame, mean over frames and colour channels.

    Source: Wang et al. 2004.

    Args:
        truth: [T, H, W, C] uint8 or values on 0..255, H and W at least 11.
        other: the same shape.

    Returns:
        -1..1, higher is better. Statistics are taken where the 11 x 11 window lies inside the frame.

    Raises:
        ValueError: shapes differ, or frames are smaller than the window.
    """
    _check_window(truth, other, 2 * SSIM_RADIUS + 1)
    return _mean_similarity(truth, other, _gaussian, border=SSIM_RADIUS)


def ssim_skimage7(truth: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity `skimage7`: scikit-image's default. Shapes, range and direction as `ssim`, 7 x 7 at least.

    A uniform 7 x 7 window inside the frame, sample covariance (N - 1). Source: scikit-image, as the public script of
    Chen et al. 2019 (ATVG) calls it on 256 x 256 frames, and probably Vougioukas et al. 2019 (sda issue 53).
    """
    _check_window(truth, other, UNIFORM_SIDE)
    pixels = UNIFORM_SIDE**2
    return _mean_similarity(truth, other, _uniform, border=UNIFORM_SIDE // 2, correction=pixels / (pixels - 1))


def ssim_torch11(truth: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity `torch11`: the Gaussian of `ssim` over zero-padded frames, border pixels counted.

    Shapes, range and direction as `ssim`; frames of any size. Source: the `pytorch_ssim` module that Chen et al. 2019
    (ATVG) ship. Borders see zeros on both sides, which raises the value on small frames.
    """
    same_clips(truth, other)
    return _mean_similarity(truth, other, _gaussian_zero_padded, border=0)


def _mean_similarity(truth, other, window, border: int, correction: float = 1.0) -> float:
    """Mean of the SSIM map without its border, frame by frame, so that a frame stays in the processor's cache."""
    kept = (slice(border, truth.shape[1] - border), slice(border, truth.shape[2] - border))
    pairs = zip(truth, other, strict=True)
    return float(np.mean([_similarity(a, b, window, correction)[kept].mean() for a, b in pairs]))


def _similarity(truth, other, window, correction: float) -> np.ndarray:
    """[H, W, C] the SSIM map; `window` takes local means, `correction` turns them into the wanted covariance."""
    x, y = truth.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = window(x), window(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    variances = correction * (window(x * x + y * y) - squares)
    covariance = correction * (window(x * y) - product)
    return (2 * product + SSIM_C1) / (squares + SSIM_C1) * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)


def _gaussian(x: np.ndarray, mode: str = "reflect") -> np.ndarray:
    """The Gaussian window's mean at every pixel of [H, W, C]."""
    return ndimage.gaussian_filter(x, SSIM_SIGMA, radius=SSIM_RADIUS, mode=mode, axes=(0, 1))


def _gaussian_zero_padded(x: np.ndarray) -> np.ndarray:
    return _gaussian(x, mode="constant")


def _uniform(x: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(x, UNIFORM_SIDE, axes=(0, 1))


def _squared_error(truth: np.ndarray, other: np.ndarray) -> np.ndarray:
    same_clips(truth, other)
    return (truth.astype(np.float64) - other.astype(np.float64)) ** 2


def _decibels(error: np.ndarray) -> np.ndarray:
    """PSNR of mean squared errors, capped where they vanish."""
    with np.errstate(divide="ignore"):
        return np.minimum(PSNR_CAP, 10 * np.log10(PEAK**2 / error))


def _check_window(truth: np.ndarray, other: np.ndarray, side: int) -> None:
    same_clips(truth, other)
    if min(truth.shape[1:3]) < side:
        raise ValueError(f"this ssim needs frames of at least {side} x {side} pixels, got {truth.shape[1]} x "
                         f"{truth.shape[2]}; resize both clips, or use ssim_torch11, which pads")
