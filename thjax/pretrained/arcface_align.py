"""The public alignment for ArcFace: five points of a face are moved onto a template by a similarity."""

import numpy as np

from thjax.core.errors import UserError
from thjax.pretrained.arcface import SIDE

TEMPLATE = np.array([
    (38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041),
])
"""[5, 2] x, y in pixels of 112: centres of the eyes (the picture's left one first), nose tip, corners of the mouth."""


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """[..., 68, 2] landmarks (iBUG order) -> [..., 5, 2] points as `TEMPLATE` has them."""
    eyes = [landmarks[..., a:b, :].mean(-2) for a, b in ((36, 42), (42, 48))]
    return np.stack([*eyes, *(landmarks[..., i, :] for i in (30, 48, 54))], axis=-2)


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[2, 3] rotation, scale and shift that take points nearest to their targets (Umeyama 1991), without reflection.

    Args:
        points, target: [P, 2] x, y.

    Raises:
        UserError: points that all coincide, or are not finite.
    """
    points, target = np.asarray(points, np.float64), np.asarray(target, np.float64)
    centre, goal = points.mean(0), target.mean(0)
    spread = np.square(points - centre).sum()
    if not np.isfinite(points).all() or spread < 1e-12:
        raise UserError(f"points {points.tolist()} fix no alignment; give distinct, finite ones")
    u, s, vt = np.linalg.svd((target - goal).T @ (points - centre))
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    matrix = (s * sign).sum() / spread * (u * sign) @ vt
    return np.column_stack([matrix, goal - matrix @ centre])


def align(frames: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Aligned faces.

    Interpolates between four pixels, black outside, pixel centres at whole numbers, as the public program does with
    `cv2.warpAffine`, which rounds positions to 1/32 pixel where this does not.

    Args:
        frames: [T, H, W, 3] uint8.
        points: [T, 5, 2] x, y in pixels, in the order of `TEMPLATE`.

    Returns:
        [T, 112, 112, 3] float32 in [-1, 1], as ArcFace takes them.

    Raises:
        UserError: other shapes; points that fix no alignment.
    """
    if frames.ndim != 4 or points.shape != (len(frames), 5, 2):
        raise UserError(f"frames {frames.shape} and points {points.shape}: give [T, H, W, 3] and [T, 5, 2]")
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).reshape(-1, 2)
    faces = np.empty((len(frames), SIDE, SIDE, frames.shape[-1]), np.float32)
    for face, frame, five in zip(faces, frames, points, strict=True):
        matrix = similarity(five, TEMPLATE)
        source = np.linalg.solve(matrix[:, :2], (grid - matrix[:, 2]).T).T
        face[:] = sample(frame, source).reshape(face.shape)
    return faces / 127.5 - 1


def sample(frame: np.ndarray, at: np.ndarray) -> np.ndarray:
    """[P, C] bilinear values of [H, W, C] at [P, 2] x, y; zero outside."""
    height, width = frame.shape[:2]
    low = np.floor(at).astype(int)
    weight = at - low
    total = np.zeros((len(at), frame.shape[-1]))
    for right in (0, 1):
        for down in (0, 1):
            x, y = low[:, 0] + right, low[:, 1] + down
            share = np.abs(1 - right - weight[:, 0]) * np.abs(1 - down - weight[:, 1])
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            pixels = frame[y.clip(0, height - 1), x.clip(0, width - 1)]
            total += (share * inside)[:, None] * pixels
    return total
