"""Lips that an animation vector shows: those of the neutral embedded head, moved by its 17 action units alone.

Two curves in units of the outer-eye distance. They are the same function of both sides, so that what the embedded
head cannot show of a real face costs a row and its truth alike. The embedded corpus has three lip shapes that no unit
names (pucker, press, funnel); `of_expression` shows them, too, and says what their absence costs.
"""

import functools

import numpy as np

from data_pipelines.schema import AU_INTENSITY
from data_pipelines.synthetic.expression import AU_SCALE, EXPRESSION_NAMES
from data_pipelines.synthetic.hair import HAIR_STYLES
from data_pipelines.synthetic.head import Head

UPPER, LOWER, CORNERS, OUTER_EYES = 62, 66, (60, 64), (36, 45)
"""iBUG landmarks: middles of the inner lips, inner corners of the mouth, outer corners of the eyes."""


def of_units(intensities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Opening and width of lips.

    Args:
        intensities: [..., 17], 0 to 5, order `schema.AU_INTENSITY`.

    Returns:
        [...] each, outer-eye distances: the height between the inner lips, and the distance of the mouth's corners.
    """
    expression = np.zeros((*intensities.shape[:-1], len(EXPRESSION_NAMES)))
    expression[..., : len(AU_INTENSITY)] = np.clip(intensities / AU_SCALE, 0, 1)
    return of_expression(expression)


def of_expression(expression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `of_units`, from all coefficients [..., 20] of the embedded head, 0 to 1."""
    rest, moves, eyes = _points()
    points = rest + np.tensordot(expression, moves, axes=1)
    opening = points[..., 1, 1] - points[..., 0, 1]
    return opening / eyes, np.linalg.norm(points[..., 3, :] - points[..., 2, :], axis=-1) / eyes


@functools.cache
def _points() -> tuple[np.ndarray, np.ndarray, float]:
    """Upper lip, lower lip and corners at rest [4, 3], what each coefficient adds [20, 4, 3], outer-eye distance."""
    mesh = Head.load().mesh(HAIR_STYLES[0])
    lips = mesh.landmarks[[UPPER, LOWER, *CORNERS]]
    eyes = mesh.model.mean[mesh.landmarks[list(OUTER_EYES)]]
    return mesh.model.mean[lips], mesh.model.expression[:, lips], float(np.linalg.norm(eyes[0] - eyes[1]))
