"""The procedural head: a linear morphable model with its triangles, texture coordinates and landmarks.

Built from formulas, once per process. Vertices are in millimetres in the head's own frame, which has the camera's axes:
x to the image's right, y down, z away from the viewer, so that a head without rotation looks into the camera.
"""

import dataclasses
import functools

import numpy as np

from data_pipelines.synthetic import action_units, shape, texture
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.hair import hair_parts
from data_pipelines.synthetic.parts import LIP_DEPTH, Part, fixed_parts, mouth_parts
from data_pipelines.synthetic.template import EYE_X, EYE_Y, MOUTH_Y, Template, build
from thjax.face3d.morphable import LinearModel

HEAD_UNIT_MM = 84.0
PROPORTIONS = np.array([1.05, 0.94, 1.0])
"""Width, height and depth of the built head per head unit."""
TO_CAMERA = PROPORTIONS * [1, -1, -1] * HEAD_UNIT_MM
NECK_PIVOT_MM = np.array([0.0, -0.62, -0.32]) * TO_CAMERA
"""Where the head turns on the neck."""
EYEBALL_RADIUS_MM = 14.0
EYEBALL_BEHIND_LIDS_MM = 1.2
"""How far the front of the eyeball lies behind the lids' plane."""
TEETH_FOLLOW_JAW = 0.96
IDENTITY_NAMES = tuple(f"shape_{name}" for name in shape.SHAPE_NAMES)


@dataclasses.dataclass(frozen=True)
class Mesh:
    """The head with one hair style.

    Attributes:
        model: `LinearModel` of N vertices, mm. Only the first `deforming` vertices have expression.
        deforming: number of vertices with expression (face and what is in the mouth).
        face: number of vertices of the face, the first ones.
        triangles: int32 `[M, 3]`, front faces clockwise in the image, in the order of the ranges below.
        one_sided, two_sided, eye_left, eye_right, mouth, interior: (start, stop) in `triangles`. `eye_*` and `mouth`
            are membranes across openings: where one is seen, what lies behind it may be drawn, and only there.
            `eye_left` is on the image's left.
        uv: float32 `[N, 2]`, atlas texels (column, row).
        follows_head: float32 `[N]`, 1 moves with the head, 0 stays with the shoulders.
        eye_centres: `[2]` vertex indices of the eyeballs' centres (of no triangle), image left and right.
        landmarks: `[68]` vertex indices, iBUG order.
        clothes: triangles' ranges are the same for all styles; `clothes` and `collar` are atlas patches.
    """

    model: LinearModel
    deforming: int
    face: int
    triangles: np.ndarray
    one_sided: tuple
    two_sided: tuple
    eye_left: tuple
    eye_right: tuple
    mouth: tuple
    interior: tuple
    uv: np.ndarray
    follows_head: np.ndarray
    eye_centres: np.ndarray
    landmarks: np.ndarray


class Head:
    """The head's meshes, one for each hair style. Get it by `Head.load()`."""

    def __init__(self):
        self.template = build()
        self._mouth = mouth_parts()
        self._fixed = fixed_parts()
        self._hair = hair_parts()

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def load() -> "Head":
        """The head, built at the first call in a process."""
        return Head()

    @functools.lru_cache(maxsize=None)  # noqa: B019: one head lives as long as the process
    def mesh(self, hair: str) -> Mesh:
        """The head with a hair style of `HAIR_STYLES` (or its mirror image)."""
        if hair not in self._hair:
            raise ValueError(f"unknown hair style {hair!r}; known: {', '.join(self._hair)}")
        return _assemble(self.template, self._mouth, self._fixed, self._hair[hair])


def _membrane(upper, lower):
    """Strip between two contours that share their ends, split along mirrored diagonals, as the face winds: `[M, 3]`."""
    triangles = []
    last = len(upper) - 1
    for i in range(last):
        a, b, c, d = upper[i], upper[i + 1], lower[i + 1], lower[i]
        cell = [(a, d, c), (a, c, b)] if i < last / 2 else [(a, d, b), (d, c, b)]
        triangles += [triangle for triangle in cell if len(set(triangle)) == 3]
    return np.array(triangles)


def _membranes(curves):
    mouth = _membrane(curves["upper_0"], np.concatenate([curves["upper_0"][:1], curves["lower_0"], curves["upper_0"][-1:]]))
    eyes = {}
    for side in ("left", "right"):
        upper, lower = curves[f"lid_upper_{side}"], curves[f"lid_lower_{side}"]
        lower = np.concatenate([upper[:1], lower, upper[-1:]])
        if side == "left":  # stored from the inner corner outwards; wind as seen from the image's left
            upper, lower = upper[::-1], lower[::-1]
        eyes[side] = _membrane(upper, lower)
    return eyes["left"], eyes["right"], mouth


def _identity_of(template: Template, parts: list[Part], markers):
    """Identity basis of all vertices, head units: `[22, N, 3]`. What is in the mouth moves with the lips before it."""
    x, y = template.flat.T
    points = [np.stack([x, y, shape.face_depth(x, y)], 1)]
    for part in parts:
        at = part.vertices.copy()
        if part.patch in ("teeth_upper", "teeth_lower", "tongue"):
            at[:, 1], at[:, 2] = MOUTH_Y, LIP_DEPTH
        points.append(at)
    points.append(np.stack([markers[:, 0], markers[:, 1], np.full(2, 0.7)], 1))
    basis = shape.identity_basis(np.concatenate(points))
    return basis * np.concatenate([np.ones(len(x)), *[_takes_identity(part) for part in parts], np.ones(2)])[None, :, None]


def _takes_identity(part: Part):
    """1 on the head, fading down the neck, 0 on the shoulders."""
    return np.ones(len(part.vertices)) if part.follows_head is None else np.asarray(part.follows_head, np.float64)


def _assemble(template, mouth, fixed, hair) -> Mesh:
    parts = [*mouth, *fixed, *hair]
    two_sided = {part.name for part in hair} | {"ear_left", "ear_right", "collar"}
    starts = np.cumsum([len(template.layout)] + [len(part.vertices) for part in parts])
    markers = np.array([[-EYE_X, EYE_Y], [EYE_X, EYE_Y]])
    depth = shape.face_depth(*markers.T) - (EYEBALL_RADIUS_MM + EYEBALL_BEHIND_LIDS_MM) / HEAD_UNIT_MM
    mean = np.concatenate([shape.mean_face(*template.flat.T), *[part.vertices for part in parts],
                           np.concatenate([markers, depth[:, None]], 1)])
    deforming = int(starts[len(mouth)])
    expression = np.zeros((len(EXPRESSION_NAMES), deforming, 3))
    expression[:, : len(template.layout)] = action_units.expression_basis(template)
    for part, start in zip(mouth, starts):
        if part.jaw:
            expression[EXPRESSION_INDEX["AU26"], start : start + len(part.vertices)] = (
                TEETH_FOLLOW_JAW * np.asarray(action_units.JAW_DROP))
    groups = {"one_sided": [template.triangles], "two_sided": [], "interior": []}
    for part, start in zip(parts, starts):
        group = "interior" if part in mouth else "two_sided" if part.name in two_sided else "one_sided"
        groups[group].append(part.triangles + start)
    left, right, lips = _membranes(template.curves)
    ordered = {"one_sided": np.concatenate(groups["one_sided"]), "two_sided": np.concatenate(groups["two_sided"]),
               "eye_left": left, "eye_right": right, "mouth": lips, "interior": np.concatenate(groups["interior"])}
    stops = np.cumsum([len(part) for part in ordered.values()])
    ranges = {name: (int(stop) - len(part), int(stop)) for (name, part), stop in zip(ordered.items(), stops)}
    uv = [texture.face_uv(template.layout), *[texture.patch_uv(part.patch, part.uv) for part in parts], np.zeros((2, 2))]
    follows = [np.ones(len(template.layout)), *[_takes_identity(part) for part in parts], np.ones(2)]
    identity = _identity_of(template, parts, markers)
    model = LinearModel(_millimetres(mean), _millimetres(identity), _millimetres(expression_padded(expression, len(mean))))
    return Mesh(model=model, deforming=deforming, face=len(template.layout),
                # Flipping y and z keeps the sense of rotation, and the image shows y down: turn all.
                triangles=np.ascontiguousarray(np.concatenate(list(ordered.values()))[:, [0, 2, 1]], np.int32),
                uv=np.concatenate(uv).astype(np.float32), follows_head=np.concatenate(follows).astype(np.float32),
                eye_centres=np.array([len(mean) - 2, len(mean) - 1]), landmarks=template.landmarks, **ranges)


def expression_padded(expression, count):
    """Adds vertices without expression: `[E, D, 3]` -> `[E, count, 3]`."""
    return np.concatenate([expression, np.zeros((len(expression), count - expression.shape[1], 3))], 1)


def _millimetres(points):
    return (points * TO_CAMERA).astype(np.float32)
