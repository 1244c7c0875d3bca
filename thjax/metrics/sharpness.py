"""Sharpness without a reference: CPBD and FDBM."""

import numpy as np
from scipy import ndimage

from thjax.metrics.canny import canny
from thjax.metrics.colour import grey

BLOCK = 64
"""Side of the blocks of CPBD in pixels; what lies beyond the last whole block is not looked at."""
EDGE_SHARE = 0.002
"""A block counts when more than this share of its pixels are edges."""
BETA = 3.6
WIDTH_LOW_CONTRAST, WIDTH_HIGH_CONTRAST = 5.0, 3.0
"""Just noticeable blur in pixels of edge width, for block contrasts up to `LOW_CONTRAST` and above."""
LOW_CONTRAST = 50
LONGEST_WALK = 100
BINS_BELOW_NOTICE = 64
"""Bins 0 to 63 of 100: blur is noticed with less than 63 % probability."""
FREQUENCY_SHARE = 1000
"""A frequency counts when its magnitude exceeds the largest one divided by this."""


def cpbd(frames: np.ndarray) -> float:
    """Cumulative probability of blur detection: share of edges whose blur is below what people notice.

    Each vertical edge pixel of a block has a width; blur of that width is noticed with probability
    1 - exp(-(width / just noticeable width) ** 3.6). The value is the share of edges with less than 63 %.
    Source: Narvekar and Karam 2011, as the public `cpbd` package 1.0.7 computes it, its squared Sobel threshold
    included. A 128 x 96 frame has two blocks only.

    Args:
        frames: [T, H, W, 3] RGB or [T, H, W, 1], uint8 or on 0..255, at least 64 x 64.

    Returns:
        0..1, mean over frames, higher is sharper; best near the truth's own value, for noise counts as sharp edges.
        A frame without edges has 0.

    Raises:
        ValueError: frames are smaller than one block.
    """
    planes = grey(frames)
    if min(planes.shape[1:]) < BLOCK:
        raise ValueError(f"cpbd needs frames of at least {BLOCK} x {BLOCK} pixels, got {planes.shape[1]} x "
                         f"{planes.shape[2]}; measure larger frames, or enlarge truth and result alike and say so")
    return float(np.mean([_cpbd_of_plane(plane.astype(np.float64)) for plane in planes]))


def fdbm(frames: np.ndarray) -> float:
    """Frequency-domain blurriness measure: share of the spectrum that is not negligible.

    The share of coefficients of the 2-D Fourier transform whose magnitude exceeds a thousandth of the largest.
    Source: De and Masilamani 2013, "Image sharpness measure for blurred images in frequency domain".

    Args:
        frames: [T, H, W, 3] RGB or [T, H, W, 1], uint8 or on 0..255.

    Returns:
        1 / (H W) to 1, mean over frames, higher is sharper; best near the truth's own value, for it grows with noise.
        A black frame has 0. It depends on the size of the frame.
    """
    magnitude = np.abs(np.fft.fft2(grey(frames).astype(np.float64)))
    largest = magnitude.max(axis=(1, 2), keepdims=True)
    return float((magnitude > largest / FREQUENCY_SHARE).mean())


def _cpbd_of_plane(plane: np.ndarray) -> float:
    widths, edges = _edge_widths(plane), canny(plane)
    noticed = np.zeros(101)
    rows, columns = (size // BLOCK for size in plane.shape)
    for row in range(rows):
        for column in range(columns):
            block = (slice(row * BLOCK, (row + 1) * BLOCK), slice(column * BLOCK, (column + 1) * BLOCK))
            if edges[block].sum() > BLOCK * BLOCK * EDGE_SHARE:
                width = widths[block][widths[block] > 0]
                contrast = int(plane[block].max() - plane[block].min())
                unit = WIDTH_LOW_CONTRAST if contrast <= LOW_CONTRAST else WIDTH_HIGH_CONTRAST
                probability = 1 - np.exp(-((width / unit) ** BETA))
                noticed += np.bincount(np.rint(100 * probability).astype(int), minlength=101)
    return float(noticed[:BINS_BELOW_NOTICE].sum() / noticed.sum()) if noticed.any() else 0.0


def _edge_widths(plane: np.ndarray) -> np.ndarray:
    """[H, W] widths in pixels of the vertical edges, 0 elsewhere (Marziliano et al. 2002)."""
    across, down = np.gradient(plane, axis=1), np.gradient(plane, axis=0)
    # The reference leaves pixels of a purely vertical gradient at angle 0.
    angles = np.where(across == 0, 0.0, np.degrees(np.arctan2(down, across)))
    if not angles.any():
        return np.zeros_like(plane)
    rounded = 45 * np.round(angles / 45)
    edges = _thin_vertical_edges(plane)
    edges[[0, -1]] = edges[:, [0, -1]] = False
    step = np.diff(plane, axis=1)
    rising = _walk(step > 0)
    falling = _walk(step < 0)
    return np.where(edges & (rounded == 0), rising, np.where(edges & (np.abs(rounded) == 180), falling, 0))


def _walk(monotone: np.ndarray) -> np.ndarray:
    """[H, W] width of the ramp through each pixel, given [H, W - 1] whether the step to the right goes its way.

    From the neighbour on each side it walks on while the ramp does, at most `LONGEST_WALK` pixels.
    """
    height, steps = monotone.shape
    width = np.zeros((height, steps + 1))
    to_left = np.minimum(_run_length(monotone), LONGEST_WALK)
    to_right = np.minimum(_run_length(monotone[:, ::-1])[:, ::-1], LONGEST_WALK)
    # The left neighbour c - 1 walks over the steps that end at c - 2; the right one over those that begin at c + 1.
    width[:, 1:-1] = 2
    width[:, 2:-1] += to_left[:, :-2]
    width[:, 1:-2] += to_right[:, 2:]
    return width


def _run_length(flags: np.ndarray) -> np.ndarray:
    """Along the rows: how many flags in a row are set up to and with each place."""
    places = np.broadcast_to(np.arange(1, flags.shape[1] + 1), flags.shape)
    return places - np.maximum.accumulate(np.where(flags, 0, places), axis=1)


def _thin_vertical_edges(plane: np.ndarray) -> np.ndarray:
    """[H, W] bool: local maxima of the squared Sobel response above its threshold."""
    kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8
    strength = ndimage.convolve(plane, kernel) ** 2
    # A threshold of the response, applied to its square: the reference's slip, taken over from Octave.
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    padded = np.pad(strength, 1)
    across = (strength > padded[1:-1, :-2]) & (strength > padded[1:-1, 2:])
    down = (strength > padded[:-2, 1:-1]) & (strength > padded[2:, 1:-1])
    return across | down
