"""The procedural head: a linear morphable model with its triangles, texture coordinates and landmarks.

Built from formulas, once per process. Vertices are in millimetres in the head's own frame, which has the camera's axes:
x to the image's right, y down, z away from the viewer, so that a head without rotation looks into the camera.
"""

import dataclasses
import functools

import numpy as np

from data_pipelines.synthetic import action_units, shape, texture
from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from data_pipelines.synthetic.hair import hair_parts
from data_pipelines.synthetic.parts import LIP_DEPTH, Part, Skull, fixed_parts, mouth_parts, skull
from data_pipelines.synthetic.template import EYE_X, EYE_Y, MOUTH_Y, Template, build
from thjax.face3d.morphable import LinearModel

HEAD_UNIT_MM = 84.0
PROPORTIONS = np.array([1.0, 0.97, 1.0])
"""Width, height and depth of the built head per head unit."""
TO_CAMERA = PROPORTIONS * [1, -1, -1] * HEAD_UNIT_MM
NECK_PIVOT_MM = np.array([0.0, -0.62, -0.32]) * TO_CAMERA
"""Where the head turns on the neck."""
EYEBALL_RADIUS_MM = 14.0
EYEBALL_BEHIND_LIDS_MM = 1.2
"""How far the front of the eyeball lies behind the lids' plane."""
TEETH_FOLLOW_JAW = 0.96
SKULL_TEXTURE_INSET = 0.985
"""The back of the head repeats the face's texture at this part of its extent."""


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
        self._meshes: dict[str, Mesh] = {}

    @staticmethod
    @functools.lru_cache(maxsize=1)
    def load() -> "Head":
        """The head, built at the first call in a process."""
        return Head()

    def mesh(self, hair: str) -> Mesh:
        """The head with a hair style of `HAIR_STYLES` (or its mirror image)."""
        if hair not in self._hair:
            raise ValueError(f"unknown hair style {hair!r}; known: {', '.join(self._hair)}")
        if hair not in self._meshes:
            self._meshes[hair] = _assemble(self.template, self._mouth, self._fixed, self._hair[hair])
        return self._meshes[hair]


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
    mouth = _membrane(
        curves["upper_0"], np.concatenate([curves["upper_0"][:1], curves["lower_0"], curves["upper_0"][-1:]])
    )
    eyes = {}
    for side in ("left", "right"):
        upper, lower = curves[f"lid_upper_{side}"], curves[f"lid_lower_{side}"]
        lower = np.concatenate([upper[:1], lower, upper[-1:]])
        if side == "left":  # stored from the inner corner outwards; wind as seen from the image's left
            upper, lower = upper[::-1], lower[::-1]
        eyes[side] = _membrane(upper, lower)
    return eyes["left"], eyes["right"], mouth


def _identity_of(template: Template, parts: list[Part], back: Skull, markers):
    """Identity basis of all vertices, head units: `[22, N, 3]`. What is in the mouth moves with the lips before it."""
    points, weights = [back.vertices], [np.ones(len(back.vertices))]
    for part in parts:
        at = part.vertices.copy()
        if part.patch in ("teeth_upper", "teeth_lower", "tongue"):
            at[:, 1], at[:, 2] = MOUTH_Y, LIP_DEPTH
        points.append(at)
        weights.append(_follows_head(part))
    points.append(np.stack([markers[:, 0], markers[:, 1], shape.face_depth(*markers[:, :2].T)], 1))
    behind = shape.identity_basis(np.concatenate(points)) * np.concatenate([*weights, np.ones(2)])[None, :, None]
    return np.concatenate([shape.face_identity_basis(template), behind], 1)


def _follows_head(part: Part):
    """1 on the head, fading down the neck, 0 on the shoulders: `[V]`."""
    return np.ones(len(part.vertices)) if part.follows_head is None else np.asarray(part.follows_head, np.float64)


def _expression_of(template: Template, mouth: list[Part], back: Skull, count: int):
    """Expression basis of all `count` vertices, head units: `[20, count, 3]`; zero but on the first ones."""
    face = action_units.expression_basis(template)
    jaw = np.zeros(len(face))
    jaw[EXPRESSION_INDEX["AU26"]] = TEETH_FOLLOW_JAW
    parts = [face, face[:, back.source] * back.fade[:, None]]
    parts += [
        np.broadcast_to((jaw[:, None] * action_units.JAW_DROP)[:, None] * part.jaw, (len(jaw), len(part.vertices), 3))
        for part in mouth
    ]
    expression = np.concatenate(parts, 1)
    return np.concatenate([expression, np.zeros((len(face), count - expression.shape[1], 3))], 1)


def _ranges(template, back, parts, starts, interior):
    """All triangles in the order of `Mesh`'s ranges, and the ranges."""
    groups = {
        "one_sided": [template.triangles, back.triangles],
        "two_sided": [],
        "eye_left": [],
        "eye_right": [],
        "mouth": [],
        "interior": [],
    }
    for part, start in zip(parts, starts[:-1], strict=True):
        name = (
            "interior" if part in interior else "two_sided" if part.patch in ("hair", "ear", "collar") else "one_sided"
        )
        groups[name].append(part.triangles + start)
    groups["eye_left"], groups["eye_right"], groups["mouth"] = ([membrane] for membrane in _membranes(template.curves))
    triangles = {name: np.concatenate(members) for name, members in groups.items()}
    stops = np.cumsum([len(members) for members in triangles.values()])
    ranges = {
        name: (int(stop) - len(members), int(stop))
        for (name, members), stop in zip(triangles.items(), stops, strict=True)
    }
    return np.concatenate(list(triangles.values())), ranges


def _assemble(template, mouth, fixed, hair) -> Mesh:
    """The mesh; order of the vertices: face, back of the head, mouth's inside, ears, neck, shoulders, hair, eyes."""
    parts = [*mouth, *fixed, *hair]
    face = shape.mean_face(*template.flat.T)
    back = skull(face, template.curves["border"], len(face))
    starts = len(face) + len(back.vertices) + np.cumsum([0] + [len(part.vertices) for part in parts])
    eyes = np.array([[-EYE_X, EYE_Y], [EYE_X, EYE_Y]])
    depth = shape.face_depth(*eyes.T) - (EYEBALL_RADIUS_MM + EYEBALL_BEHIND_LIDS_MM) / HEAD_UNIT_MM
    eyes = np.concatenate([eyes, depth[:, None]], 1)
    mean = np.concatenate([face, back.vertices, *[part.vertices for part in parts], eyes])
    triangles, ranges = _ranges(template, back, parts, starts, mouth)
    face_uv = texture.face_uv(template.layout)
    uv = [
        face_uv,
        texture.face_uv(SKULL_TEXTURE_INSET * template.layout)[back.source],
        *[texture.patch_uv(part.patch, part.uv) for part in parts],
        np.zeros((2, 2)),
    ]
    follows = [np.ones(len(face) + len(back.vertices)), *[_follows_head(part) for part in parts], np.ones(2)]
    model = LinearModel(
        _millimetres(mean),
        _millimetres(_identity_of(template, parts, back, eyes)),
        _millimetres(_expression_of(template, mouth, back, len(mean))),
    )
    return Mesh(
        model=model,
        deforming=int(starts[len(mouth)]),
        face=len(face) + len(back.vertices),
        # y down and z away leave the sense of rotation as it is; front faces are to be clockwise.
        triangles=np.ascontiguousarray(triangles[:, [0, 2, 1]], np.int32),
        uv=np.concatenate(uv).astype(np.float32),
        follows_head=np.concatenate(follows).astype(np.float32),
        eye_centres=np.array([len(mean) - 2, len(mean) - 1]),
        landmarks=template.landmarks,
        **ranges,
    )


def _millimetres(points):
    return (points * TO_CAMERA).astype(np.float32)
