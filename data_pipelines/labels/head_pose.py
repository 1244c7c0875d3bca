"""Head pose from 68 landmarks: the pose in which a mean head's points are seen nearest to them (PnP).

The mean head is the embedded corpus's, so poses refer to its frame and its millimetres, and people are not it: even
exact points of rendered people give a pitch that is off by degrees, much the same in all frames of a clip.
"""

import functools

import numpy as np
from scipy.spatial.transform import Rotation

from thjax.face3d.camera import rotation_angles

STEADY = (17, 26, 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45, 48, 54)
"""Landmarks that expression and the rim of the face move little: outer brows, nose, corners of eyes and mouth."""
STEPS = 20
_DAMPING = 1e-3  # of Levenberg and Marquardt, at the start


@functools.cache
def mean_landmarks() -> np.ndarray:
    """Where the mean head without expression has its landmarks: float64 `[68, 3]` mm, see thjax/face3d/camera.py."""
    from data_pipelines.synthetic.head import Head

    mesh = Head.load().mesh("bob")  # the hair moves no landmark
    return mesh.model.mean[mesh.landmarks].astype(np.float64)


def head_pose(landmarks: np.ndarray, focal: float, centre: tuple[float, float]) -> np.ndarray:
    """Poses of the mean head that show its `STEADY` points nearest to where they are seen, by least squares in pixels.

    Args:
        landmarks: `[M, 68, 2]` pixels.
        focal: of the camera, pixels.
        centre: (x, y) that it looks along.

    Returns:
        float64 `[M, 6]`, order `schema.POSE`, mm and rad. Rows of points that no head in front of the camera shows
        (Tz not above 0, or not finite) are as they came out.
    """
    rays = (np.asarray(landmarks, np.float64)[:, STEADY] - centre) / focal
    return solve(rays, mean_landmarks()[list(STEADY)])


def solve(rays: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Perspective n points by Levenberg and Marquardt from a weak-perspective start.

    Args:
        rays: `[M, N, 2]`, x / z and y / z of where the points are seen.
        points: `[N, 3]` mm, not in one plane.

    Returns:
        float64 `[M, 6]`, order `schema.POSE`.
    """
    rotation, shift = _weak_perspective(rays, points)
    damping = np.full(len(rays), _DAMPING)
    with np.errstate(all="ignore"):  # a row that went wild stays so and is told from its values
        error, slope = _linear(rays, points, rotation, shift)
        for _ in range(STEPS):
            normal = slope.transpose(0, 2, 1) @ slope
            held = normal + damping[:, None, None] * (normal * np.eye(6))
            step = -np.linalg.solve(_regular(held), (slope.transpose(0, 2, 1) @ error[..., None]))[..., 0]
            turned = Rotation.from_rotvec(np.nan_to_num(step[:, 3:])).as_matrix() @ rotation
            tried, slope_there = _linear(rays, points, turned, shift + step[:, :3])
            better = (tried**2).sum(1) < (error**2).sum(1)
            rotation = np.where(better[:, None, None], turned, rotation)
            shift = np.where(better[:, None], shift + step[:, :3], shift)
            error, slope = np.where(better[:, None], tried, error), np.where(better[:, None, None], slope_there, slope)
            damping = np.where(better, damping / 10, damping * 10)
    return np.concatenate([shift, rotation_angles(rotation)], 1)


def _weak_perspective(rays: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations `[M, 3, 3]` and translations `[M, 3]` of a head so far away that all its points have one depth."""
    middle, seen = points.mean(0), rays.mean(1)
    affine = (np.linalg.pinv(points - middle) @ (rays - seen[:, None])).transpose(0, 2, 1)  # [M, 2, 3]
    left, sizes, right = np.linalg.svd(np.nan_to_num(affine), full_matrices=False)
    rows = left @ right
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    depth = 1 / np.maximum(sizes.mean(1, keepdims=True), 1e-9)
    at = np.concatenate([seen * depth, depth], 1)
    return rotation, at - rotation @ middle


def _linear(rays: np.ndarray, points: np.ndarray, rotation: np.ndarray,
            shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors `[M, 2 N]` and their derivatives by translation and by a further turn, `[M, 2 N, 6]`."""
    turned = points @ rotation.transpose(0, 2, 1)
    x, y, z = np.moveaxis(turned + shift[:, None], -1, 0)
    error = np.stack([x / z, y / z], -1) - rays
    zero = np.zeros_like(z)
    by_place = np.stack([np.stack([1 / z, zero, -x / z**2], -1), np.stack([zero, 1 / z, -y / z**2], -1)], -2)
    # A small turn w moves a point p by w x p, so its derivative by w is the row crossed from the left: p x row.
    by_turn = np.cross(turned[:, :, None], by_place)
    slope = np.concatenate([by_place, by_turn], -1)
    rows = 2 * len(points)
    return error.reshape(len(rays), rows), slope.reshape(len(rays), rows, 6)


def _regular(matrices: np.ndarray) -> np.ndarray:
    """The matrices, those that cannot be inverted replaced by the identity."""
    sound = np.isfinite(matrices).all((1, 2)) & (np.linalg.cond(np.nan_to_num(matrices)) < 1e15)
    return np.where(sound[:, None, None], matrices, np.eye(6))
