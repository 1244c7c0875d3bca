"""The public alignment for OpenFace: outer eye corners and nose base are moved onto a template by an affine map."""

import numpy as np

from thjax.core.errors import UserError
from thjax.pretrained.arcface_align import sample
from thjax.pretrained.openface import SIDE

LANDMARKS = (36, 45, 33)
"""Outer eye corners and nose base among the 68 points."""
_LOW, _HIGH = np.array((0.0792396913815, 0.182360984545)), np.array((0.971193274221, 1.06080371126))
"""Corners of the public mean face; its three points follow."""
_MEAN = np.array([(0.252418718401, 0.331052263829), (0.782865376271, 0.321305281656), (0.520712933176, 0.634268222208)])
TEMPLATE = SIDE * (_MEAN - _LOW) / (_HIGH - _LOW)
"""[3, 2] x, y in pixels of 96."""


def align(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Aligned faces; interpolated as in `thjax.pretrained.arcface_align.align`.

    Args:
        frames: [T, H, W, 3] uint8 RGB.
        landmarks: [T, 68, 2] x, y in pixels.

    Returns:
        [T, 96, 96, 3] float32 in [0, 1], as OpenFace takes them.

    Raises:
        UserError: other shapes; three points on one line.
    """
    if frames.ndim != 4 or landmarks.shape != (len(frames), 68, 2):
        raise UserError(f"frames {frames.shape} and landmarks {landmarks.shape}: give [T, H, W, 3] and [T, 68, 2]")
    grid = np.stack([*np.meshgrid(np.arange(SIDE), np.arange(SIDE)), np.ones((SIDE, SIDE))], -1).reshape(-1, 3)
    onto = np.column_stack([TEMPLATE, np.ones(3)])
    faces = np.empty((len(frames), SIDE, SIDE, frames.shape[-1]), np.float32)
    for t, (face, frame, points) in enumerate(zip(faces, frames, landmarks[:, LANDMARKS], strict=True)):
        (a, b), (c, d) = points[1:] - points[0]
        if not abs(a * d - b * c) > 1e-6:
            raise UserError(f"frame {t}: eye corners and nose {points.tolist()} lie on one line; give other landmarks")
        face[:] = sample(frame, grid @ np.linalg.solve(onto, points)).reshape(face.shape)
    return faces / 255
