"""Action units guessed from 68 landmarks: how strongly a known head would have to move to look like that.

Landmarks are brought to the frontal view by the head's pose, compared with the clip's own face at rest, and the
difference is explained by the expressions of the embedded corpus's head, all at once, none below zero (non-negative
least squares, Lawson and Hanson 1974). One formula a unit would take one unit for another. It is a geometric
approximation in that head's definition of the units, and too weak in most: no human coder of FACS was ever asked, and
more than half of the units are not told at all (`UNSEEN`).
"""

import functools

import numpy as np
from scipy.optimize import nnls

from data_pipelines import schema
from data_pipelines.labels.head_pose import mean_landmarks
from data_pipelines.synthetic.expression import AU_SCALE, EXPRESSION_NAMES
from thjax.face3d.camera import rotation_matrix

SOURCE = "geometric(approximate)"
"""What these values are called wherever the source of a label is told."""
UNSEEN = ("AU05", "AU06", "AU07", "AU09", "AU10", "AU14", "AU15", "AU17", "AU23")
"""Units that are not read, always 0: read like the others, none reached an r of 0.5 with the truth (mediapipe, within
clips of rendered people who talked), and the others got worse. What those reach: `python -m benchmarks.labels`."""
COMPARED = tuple(range(7, 10)) + tuple(range(17, 68))
"""Landmarks that are explained: the chin and all that lies within the face. The jaw's line depends on the view."""
AT_REST = 0.1
"""Share of a clip's frames, those with the lips nearest together, whose median is the face at rest."""
FEWEST_AT_REST = 5
RIDGE = 40.0
"""Weight of the squared coefficients against squared millimetres: what the tracker's noise could be is held small."""
_OUTER_LIDS, _INNER_LIPS = (36, 45), ((61, 67), (62, 66), (63, 65))


def action_units(landmarks: np.ndarray, pose: np.ndarray, focal: float, centre: tuple[float, float]) -> np.ndarray:
    """Intensities of one person's clip.

    Args:
        landmarks: `[M, 68, 2]` pixels, all of frames with a face.
        pose: `[M, 6]` from `head_pose` of the same landmarks.
        focal, centre: of the camera, pixels.

    Returns:
        float32 `[M, 17]`, 0 to 5, order `schema.AU_INTENSITY`.
    """
    face = frontal(landmarks, pose, focal, centre)
    gap = sum(face[:, lower, 1] - face[:, upper, 1] for upper, lower in _INNER_LIPS)
    closed = np.argsort(gap, kind="stable")[: max(FEWEST_AT_REST, int(AT_REST * len(gap)))]
    moved = (face - np.median(face[closed], 0))[:, COMPARED].reshape(len(face), -1)
    names, basis = _expressions()
    system = np.concatenate([basis, np.sqrt(RIDGE) * np.eye(len(names))])
    still = np.zeros(len(names))
    found = np.array([nnls(system, np.concatenate([row, still]))[0] for row in moved])
    out = np.zeros((len(face), len(schema.AU_INTENSITY)), np.float32)
    for column, name in enumerate(schema.AU_INTENSITY):
        if name in names:
            out[:, column] = np.clip(AU_SCALE * found[:, names.index(name)], 0, AU_SCALE)
    return out


def frontal(landmarks: np.ndarray, pose: np.ndarray, focal: float, centre: tuple[float, float]) -> np.ndarray:
    """Landmarks as a head of the mean head's size would show them without pose: `[M, 68, 2]` mm, x right, y down.

    Every point is taken to lie as deep in the head as that of the mean head.
    """
    mean, rotation = mean_landmarks(), rotation_matrix(np.asarray(pose, np.float64)[:, 3:])
    shift = np.asarray(pose, np.float64)[:, None, :3]
    rays = (np.asarray(landmarks, np.float64) - centre) / focal
    rays = np.concatenate([rays, np.ones((*rays.shape[:2], 1))], -1)
    # The ray at s: R^T (s ray - T) is a point of the head; s follows from its depth there.
    turned, offset = rays @ rotation, shift @ rotation
    along = (mean[:, 2] + offset[..., 2]) / turned[..., 2]
    face = (along[..., None] * turned - offset)[..., :2]
    left, right = _OUTER_LIDS
    width = np.linalg.norm(face[:, right] - face[:, left], axis=-1).mean()
    middle = (face[:, right] + face[:, left]) / 2
    return (face - middle[:, None]) * (np.linalg.norm(mean[right, :2] - mean[left, :2]) / width)


@functools.cache
def _expressions() -> tuple[list[str], np.ndarray]:
    """Names of what may move, and what each at 1 adds to the compared landmarks, `[2 C, E]` mm."""
    from data_pipelines.synthetic.head import Head

    mesh = Head.load().mesh("bob")
    moved = mesh.model.expression[:, mesh.landmarks].astype(np.float64)
    middle = moved[:, _OUTER_LIDS].mean(1, keepdims=True)
    moved = (moved - middle)[:, COMPARED, :2].reshape(len(moved), -1)
    names = [name for name in EXPRESSION_NAMES if name not in UNSEEN]
    return names, moved[[EXPRESSION_NAMES.index(name) for name in names]].T
