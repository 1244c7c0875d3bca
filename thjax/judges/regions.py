"""What of a frame a judge sees: regions that follow the head, not the jaw, so that speech stays in the picture."""

import numpy as np
import scipy.ndimage

from data_pipelines.crops import CANONICAL, STABLE_LANDMARKS, similarity, transform_points, warp

MOUTH_SIDE = 48
"""Pixels of a mouth window's side; about the resolution of a 128 px frame of the embedded corpus."""
MOUTH_BOX = (9.0, 29.0, 30.0)
"""Left, top and side of the mouth window in 64ths of the canonical crop's height: 1.9 mouths wide, nose to chin."""
TRACK_SMOOTHING = 3.0
"""Standard deviation in frames of the smoothing of landmarks: a shaking tracker must not move the lips."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def mouth_affine(landmarks: np.ndarray) -> np.ndarray:
    """Maps frames to mouth windows, float32 `[T, 2, 3]`, from landmarks `[T, 68, 2]` of one clip, pixels.

    The nose base and the corners of the eyes decide, smoothed over time; the jaw and the lips do not.
    """
    stable = scipy.ndimage.gaussian_filter1d(
        landmarks[:, STABLE_LANDMARKS].astype(np.float64), TRACK_SMOOTHING, axis=0, mode="nearest"
    )
    left, top, side = MOUTH_BOX
    template = (CANONICAL.astype(np.float64) * 64 - (left, top)) * (MOUTH_SIDE / side)
    return similarity(stable, template)


def mouth_windows(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Grey mouth windows of one clip.

    Args:
        frames: uint8 `[T, H, W, 3]` RGB.
        landmarks: `[T, 68, 2]` pixels of `frames`.

    Returns:
        uint8 `[T, 48, 48]`.
    """
    return grey(warp(frames, mouth_affine(landmarks), (MOUTH_SIDE, MOUTH_SIDE)))


def in_mouth_windows(landmarks: np.ndarray) -> np.ndarray:
    """The landmarks `[T, 68, 2]` of one clip in pixels of its mouth windows."""
    return transform_points(landmarks, mouth_affine(landmarks))


def grey(frames: np.ndarray) -> np.ndarray:
    """Luma (BT.601) of RGB frames, uint8 `[..., 3]` -> uint8 `[...]`."""
    return np.rint(frames @ LUMA).astype(np.uint8)
