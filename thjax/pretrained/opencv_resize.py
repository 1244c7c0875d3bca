"""Pictures at another size as OpenCV's `resize` makes them, which the public scripts call."""

import numpy as np

Taps = tuple[np.ndarray, np.ndarray, np.ndarray]
"""For each new place two old ones and the share of the second; each [side]."""


def bilinear(picture: np.ndarray, side: int) -> np.ndarray:
    """[H, W, 3] uint8 -> [side, side, 3] uint8, `INTER_LINEAR`: between four pixels, larger pictures too; pixel centres
    at +0.5."""
    def taps(size: int) -> Taps:
        place = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
        first = np.floor(place).astype(int)
        return first, np.minimum(first + 1, size - 1), (place - first).astype(np.float32)

    height, width = picture.shape[:2]
    return _rounded(_mixed(_mixed(picture.astype(np.float32), taps(height), 0), taps(width), 1))


def area(frames: np.ndarray, side: int) -> np.ndarray:
    """Square frames of a given side, `INTER_AREA`.

    Where neither side grows, every pixel is the mean over the area that it covers. Where one grows, OpenCV takes two
    pixels of each axis, and the second only by the share of it that the new pixel covers: twice the size repeats
    pixels.

    Args:
        frames: [T, H, W, 3] uint8.
        side: pixels of the result.

    Returns:
        [T, side, side, 3] uint8, within one level of OpenCV, which rounds otherwise.
    """
    height, width = frames.shape[1:3]
    if min(height, width) >= side:
        return np.stack([_rounded(_means(_means(frame, side, 0), side, 1)) for frame in frames])

    def taps(size: int) -> Taps:
        place = np.arange(side)
        first = place * size // side
        share = (place + 1) - (first + 1) * side / size
        share = np.where(share <= 0, 0, share - np.floor(share))
        return first, np.minimum(first + 1, size - 1), share.astype(np.float32)

    rows, columns = taps(height), taps(width)
    return np.stack([_rounded(_mixed(_mixed(frame.astype(np.float32), rows, 0), columns, 1)) for frame in frames])


def _means(x: np.ndarray, side: int, axis: int) -> np.ndarray:
    """Means over equal parts of an axis, whose edges may lie inside a pixel: differences of the running sum."""
    size = x.shape[axis]
    start = np.zeros_like(x.take([0], axis), np.float64)
    total = np.concatenate([start, np.cumsum(x, axis, dtype=np.float64), start], axis)
    edge = np.arange(side + 1) * size / side
    whole = np.floor(edge).astype(int)
    upto = _mixed(total, (whole, whole + 1, edge - whole), axis)
    return np.diff(upto, axis=axis) * (side / size)


def _mixed(x: np.ndarray, taps: Taps, axis: int) -> np.ndarray:
    first, second, share = taps
    share = share.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return x.take(first, axis) * (1 - share) + x.take(second, axis) * share


def _rounded(x: np.ndarray) -> np.ndarray:
    return np.floor(x + 0.5).astype(np.uint8)
