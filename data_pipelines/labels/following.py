"""Which of the faces in each picture is the clip's."""

import dataclasses

import numpy as np

SAME_FACE = 0.3
"""Overlap, intersection over union of the boxes round the landmarks, from which two faces are one person's."""


@dataclasses.dataclass
class _Person:
    """Faces of one person.

    Attributes:
        faces: picture -> landmarks `[68, 2]`.
        box: (x0, y0, x1, y1) of the last one.
    """

    faces: dict[int, np.ndarray]
    box: np.ndarray

    def rank(self) -> tuple[int, float]:
        """More pictures first, then the larger face."""
        return len(self.faces), float(np.prod(self.box[2:] - self.box[:2]))


def follow(pictures: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The landmarks of the one person who is in most pictures; of several, of whom is larger.

    A face belongs to the person whose last face it overlaps most, and by at least `SAME_FACE`; a face that jumps is
    another person's.

    Args:
        pictures: of each picture, in order, the landmarks of its faces, `[68, 2]` pixels.

    Returns:
        float32 `[M, 68, 2]`, 0 where that person was not found, and where he was, bool `[M]`.
    """
    people: list[_Person] = []
    for number, faces in enumerate(pictures):
        free = list(people)
        for points in faces:
            box = np.concatenate([points.min(0), points.max(0)])
            nearest = max(free, key=lambda person: overlap(person.box, box), default=None)
            if nearest is None or overlap(nearest.box, box) < SAME_FACE:
                people.append(_Person({number: points}, box))
            else:
                nearest.faces[number], nearest.box = points, box
                free.remove(nearest)
    found, landmarks = np.zeros(len(pictures), bool), np.zeros((len(pictures), 68, 2), np.float32)
    for number, points in max(people, key=_Person.rank).faces.items() if people else ():
        found[number], landmarks[number] = True, points
    return landmarks, found


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1)."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    whole = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / whole if whole > 0 else 0.0
