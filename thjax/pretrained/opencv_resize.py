"""Frames at another size as OpenCV's `resize` makes them with `INTER_AREA`, which public scripts call."""

import numpy as np


def area_resized(frames: np.ndarray, side: int) -> np.ndarray:
    """Square frames of a given side.

    Where neither side grows, every pixel is the mean over the area that it covers. Where one grows, OpenCV takes two
    pixels of each axis, and the second only by the share of it that the new pixel covers: twice the size repeats
    pixels. Source: OpenCV, `cv::resize`.

    Args:
        frames: [T, H, W, 3] uint8.
        side: pixels of the result.

    Returns:
        [T, side, side, 3] uint8, within one level of OpenCV, which rounds otherwise.
    """
    height, width = frames.shape[1:3]
    if min(height, width) >= side:
        resized = (_means(_means(frame, side, 0), side, 1) for frame in frames)
    else:
        rows, columns = _taps(height, side), _taps(width, side)
        resized = (_mixed(_mixed(frame.astype(np.float32), *rows, 0), *columns, 1) for frame in frames)
    return np.stack([(frame + 0.5).astype(np.uint8) for frame in resized])


def _means(x: np.ndarray, side: int, axis: int) -> np.ndarray:
    """Means over equal parts of an axis, whose edges may lie inside a pixel: differences of the running sum."""
    size = x.shape[axis]
    start = np.zeros_like(x.take([0], axis), np.float64)
    total = np.concatenate([start, np.cumsum(x, axis, dtype=np.float64), start], axis)
    edge = np.arange(side + 1) * size / side
    whole = np.floor(edge).astype(int)
    upto = _mixed(total, whole, whole + 1, edge - whole, axis)
    return np.diff(upto, axis=axis) * (side / size)


def _taps(size: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each new place the old one under its left edge, the next one, and the share of that; each [side]."""
    place = np.arange(side)
    first = place * size // side
    share = (place + 1) - (first + 1) * side / size
    share = np.where(share <= 0, 0, share - np.floor(share))
    return first, np.minimum(first + 1, size - 1), share.astype(np.float32)


def _mixed(x: np.ndarray, first: np.ndarray, second: np.ndarray, share: np.ndarray, axis: int) -> np.ndarray:
    share = share.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x.take(first, axis) * (1 - share) + x.take(second, axis) * share
