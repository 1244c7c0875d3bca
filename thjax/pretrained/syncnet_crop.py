"""How frames reach SyncNet: the whole picture, or a square that follows the face; resized as OpenCV's `resize` does.

Source: joonson/syncnet_python, `run_pipeline.py`. There a detector gives the boxes; here they are the bounds of the 68
landmarks, which leave the forehead out.
"""

import numpy as np
from scipy import ndimage

from thjax.core.errors import UserError
from thjax.pretrained.opencv_resize import bilinear
from thjax.pretrained.syncnet import SIDE

_MARGIN = 0.40
"""Of the box, added on both sides, and twice below."""
_SMOOTHED = 13
"""Frames of the median filter over boxes."""
_OUTSIDE = 110
"""Grey level beyond the picture."""


def whole_frames(frames: np.ndarray) -> np.ndarray:
    """[T, H, W, 3] uint8 -> [T, 224, 224, 3] uint8, interpolated between four pixels, larger pictures too."""
    return np.stack([bilinear(frame, SIDE) for frame in frames])


def face_track(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The square around the face in every frame.

    Args:
        frames: [T, H, W, 3] uint8 RGB.
        landmarks: [T, 68, 2] x, y in pixels.

    Returns:
        [T, 224, 224, 3] uint8.

    Raises:
        UserError: other shapes; landmarks that are not finite, or further outside the picture than a crop reaches.
    """
    if frames.ndim != 4 or landmarks.shape != (len(frames), 68, 2) or not np.isfinite(landmarks).all():
        raise UserError(f"frames {frames.shape} and landmarks {landmarks.shape}: give [T, H, W, 3] and finite "
                        "[T, 68, 2]")
    low, high = landmarks.min(axis=1), landmarks.max(axis=1)
    smooth = lambda values: ndimage.median_filter(values.astype(np.float64), _SMOOTHED, mode="constant")
    half = smooth((high - low).max(axis=1) / 2)
    x, y = (smooth((low + high)[:, axis] / 2) for axis in (0, 1))
    crops = [_crop(*each) for each in zip(frames, x, y, half, strict=True)]
    if any(0 in crop.shape for crop in crops):
        raise UserError("the face lies outside the picture, or its box is empty; give landmarks of these frames")
    return np.stack([bilinear(crop, SIDE) for crop in crops])


def _crop(frame: np.ndarray, x: float, y: float, half: float) -> np.ndarray:
    reach = int(half * (1 + 2 * _MARGIN))
    padded = np.pad(frame, ((reach, reach), (reach, reach), (0, 0)), constant_values=_OUTSIDE)
    x, y = x + reach, y + reach
    rows = slice(max(int(y - half), 0), max(int(y + half * (1 + 2 * _MARGIN)), 0))
    columns = slice(max(int(x - half * (1 + _MARGIN)), 0), max(int(x + half * (1 + _MARGIN)), 0))
    return padded[rows, columns]
