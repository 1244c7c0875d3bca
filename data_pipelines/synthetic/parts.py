"""Everything of the mean head but the face and the hair: back of the head, ears, neck, shoulders, teeth, tongue.

A part is a grid of vertices in head units (x right, y up, z towards the viewer) with texture coordinates 0 to 1 within
its patch of the atlas. Grids are symmetric in x: their cells are split along mirrored diagonals.
"""

import dataclasses

import numpy as np

from data_pipelines.synthetic.fields import bump, step
from data_pipelines.synthetic.shape import face_depth, skull_back
from data_pipelines.synthetic.template import MOUTH_Y


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of the head.

    Attributes:
        name: of the part.
        patch: which patch of the atlas colours it.
        vertices: `[V, 3]` head units.
        triangles: `[M, 3]`, counterclockwise seen from outside.
        uv: `[V, 2]` 0 to 1 within the patch, u to the right, v down.
        jaw: whether it moves with the jaw.
        follows_head: `[V]` 1 moves with the head, 0 stays with the shoulders.
    """

    name: str
    patch: str
    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    jaw: bool = False
    follows_head: np.ndarray | None = None


def grid(columns: int, rows: int, surface, name: str, patch: str, outside_of=None, **options) -> Part:
    """Part over a grid of `columns` x `rows` vertices.

    Args:
        surface: (u, v) in 0..1 -> (x, y, z); u = 1/2 is the middle of a part that is symmetric in x.
        outside_of: a point that the front faces look away from; None keeps u to the right, v down as seen in front.
    """
    u, v = (part.ravel() for part in np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows)))
    vertices = np.stack(np.broadcast_arrays(*surface(u, v)), 1).astype(np.float64)
    triangles = _grid_triangles(np.arange(columns * rows).reshape(rows, columns))
    if outside_of is not None:
        triangles = orient(vertices, triangles, np.asarray(outside_of))
    return Part(name, patch, vertices, triangles, np.stack([u, v], 1), **options)


def _grid_triangles(index):
    """Triangles over a grid of vertex indices `[rows, columns]`, split along diagonals that mirror about its middle."""
    columns = index.shape[1]
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    left = (np.arange(columns - 1) < (columns - 1) / 2)[None, :, None]
    first = np.where(left, np.stack([a, d, c], -1), np.stack([a, d, b], -1))
    second = np.where(left, np.stack([a, c, b], -1), np.stack([d, c, b], -1))
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def orient(vertices, triangles, centre):
    """Turns all triangles so that on average they look away from `centre`."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    outwards = np.einsum("md,md->m", normal, (a + b + c) / 3 - centre).sum()
    return triangles if outwards > 0 else triangles[:, [0, 2, 1]]


SKULL_RINGS = 7
SKULL_POLE = np.array([0.0, 0.22, skull_back(np.zeros(1), np.full(1, 0.22))[0]])


@dataclasses.dataclass(frozen=True)
class Skull:
    """The head behind the face: rings that start at the face's border and close at the back.

    Attributes:
        vertices: `[R, 3]`, new vertices.
        source: `[R]` the face's border vertex that each continues: texture and expression come from it.
        fade: `[R]` 1 next to the face to 0 behind: how much of the source's expression a vertex takes.
        triangles: `[M, 3]`; indices below `first` are the face's, the others `first` + index of a new vertex.
    """

    vertices: np.ndarray
    source: np.ndarray
    fade: np.ndarray
    triangles: np.ndarray


def skull(face: np.ndarray, border: np.ndarray, first: int) -> Skull:
    """Continues the face backwards.

    Args:
        face: `[V, 3]` mean face.
        border: `[B + 1]` its border as a closed loop from the top over the left.
        first: index that the first new vertex will have.
    """
    loop = border[:-1]
    start = face[loop]
    rings, fades = [], []
    for ring in range(1, SKULL_RINGS + 1):
        angle = 0.98 * ring / SKULL_RINGS * np.pi / 2
        around = SKULL_POLE + (start - SKULL_POLE) * np.cos(angle)
        around[:, 2] = start[:, 2] + (SKULL_POLE[2] - start[:, 2]) * np.sin(angle)
        rings.append(around)
        fades.append(np.full(len(loop), max(0.0, 1 - 2.2 * ring / SKULL_RINGS)))
    index = np.concatenate([loop[None], first + np.arange(SKULL_RINGS * len(loop)).reshape(SKULL_RINGS, -1)])
    index = np.concatenate([index, index[:, :1]], 1)
    vertices = np.concatenate(rings)
    # `vertices` of all that the triangles name, with the face's in front.
    triangles = _grid_triangles(index)
    every = np.concatenate([face, np.zeros((first - len(face), 3)), vertices])
    return Skull(
        vertices, np.tile(loop, SKULL_RINGS), np.concatenate(fades), orient(every, triangles, np.array([0, 0.1, 0]))
    )


EAR_X, EAR_Y, EAR_Z = 0.855, 0.00, -0.02
EAR_HALF_WIDTH, EAR_HALF_HEIGHT = 0.115, 0.225


def _ear(side: int) -> Part:
    def surface(u, v):
        radius, angle = 0.02 + 0.98 * v, 2 * np.pi * u
        across, up = radius * np.cos(angle), radius * np.sin(angle)
        # A rim near the edge, a hollow inside, a lobe that tapers.
        lift = 0.045 * np.exp(-(((radius - 0.86) / 0.13) ** 2)) - 0.02 * np.exp(-((radius / 0.45) ** 2))
        lift = lift + 0.060 * across * step(-1.2, 1, across) + 0.040
        lift = lift * step(1.35, 0.6, radius * (1 - 0.4 * across)) - 0.05 * step(0.86, 1.0, radius)
        taper = 1 - 0.28 * step(0.2, -1, up)
        z = EAR_Z - EAR_HALF_WIDTH * (0.35 + across * taper) - 0.04 * up
        return side * (EAR_X + lift), EAR_Y + EAR_HALF_HEIGHT * up, z

    # Columns run backwards on the left, so that both ears are mirror images down to their triangles.
    part = grid(19, 7, surface, f"ear_{'left' if side < 0 else 'right'}", "ear", outside_of=None)
    a, b, c = (part.vertices[part.triangles[:, corner]] for corner in range(3))
    outwards = np.cross(b - a, c - a)[:, 0].sum() * side
    return part if outwards > 0 else dataclasses.replace(part, triangles=part.triangles[:, [0, 2, 1]])


NECK_TOP, NECK_BOTTOM = -0.70, -1.70


def _neck() -> Part:
    def surface(u, v):
        angle = np.pi * 1.15 * (u - 0.5)
        y = NECK_TOP + (NECK_BOTTOM - NECK_TOP) * v
        spread = 1 + 0.12 * step(-1.10, -1.70, y)
        muscle = 0.018 * np.exp(-(((np.abs(u - 0.5) - 0.14) / 0.05) ** 2)) * step(-0.9, -1.3, y)
        throat = 0.03 * bump(u - 0.5, y, 0, -1.30, 0.05, 0.10)
        radius = 0.50 + muscle + throat
        z = -0.30 + 0.44 / 0.50 * radius * np.cos(angle) * (1 + 0.15 * (spread - 1))
        return radius * spread * np.sin(angle), y, z

    part = grid(25, 12, surface, "neck", "neck", outside_of=(0, -1.3, -0.4))
    return dataclasses.replace(part, follows_head=step(-1.40, -0.80, part.vertices[:, 1]))


SHOULDER_TOP = -1.22


def _shoulders() -> Part:
    def surface(u, v):
        # v runs from the collar outwards and down, u around from shoulder to shoulder over the chest.
        angle = np.pi * 1.1 * (u - 0.5)
        out = v**0.8
        radius_x = 0.58 + 1.35 * out
        radius_z = 0.53 + 0.45 * out
        drop = SHOULDER_TOP - 0.42 * out - 1.1 * step(0.55, 1.3, out)
        neckline = -0.17 * np.cos(angle) ** 2 * (1 - out)
        return radius_x * np.sin(angle), drop + neckline, -0.32 + radius_z * np.cos(angle)

    part = grid(33, 10, surface, "shoulders", "clothes", outside_of=(0, -3.0, -0.6))
    return dataclasses.replace(part, follows_head=np.zeros(len(part.vertices)))


def _collar() -> Part:
    def surface(u, v):
        angle = np.pi * 1.1 * (u - 0.5)
        neckline = -0.17 * np.cos(angle) ** 2
        y = SHOULDER_TOP + neckline + 0.10 * (1 - v) * step(1.65, 1.0, np.abs(angle)) - 0.02
        radius = 0.575 + 0.02 * v
        return radius * np.sin(angle) * 1.03, y, -0.32 + (radius - 0.05) * np.cos(angle)

    part = grid(33, 4, surface, "collar", "collar", outside_of=(0, -1.5, -0.3))
    return dataclasses.replace(part, follows_head=np.full(len(part.vertices), 0.08))


LIP_DEPTH = float(face_depth(np.zeros(1), np.array([MOUTH_Y]))[0])
ARCH_BEND = 0.14
"""How far the dental arch falls back from its middle to `u` = 0 and 1."""


def _arch(low, high, half_width, behind):
    """Surface of a strip that follows the dental arch, `behind` the lips, from `high` to `low` below the lip line."""

    def surface(u, v):
        x = 2 * (u - 0.5)
        return half_width * x, MOUTH_Y + high + (low - high) * v, LIP_DEPTH - behind - ARCH_BEND * x**2

    return surface


def _tongue(u, v):
    across, along = 2 * (u - 0.5), 1 - v
    half_width = 0.17 * np.sqrt(np.clip(1 - (0.9 * (1 - along) - 0.05) ** 4, 0.05, 1))
    height = MOUTH_Y - 0.120 + 0.100 * np.sin(np.pi * (0.15 + 0.75 * along)) - 0.05 * across**2 + 0.02 * np.abs(across)
    return half_width * across, height, LIP_DEPTH - 0.62 + 0.43 * (1 - along)


def mouth_parts() -> list[Part]:
    """What is seen through the lips, and only there: upper parts fixed to the skull, lower ones to the jaw."""
    return [
        grid(17, 4, _arch(-0.045, 0.100, 0.300, 0.088), "teeth_upper", "teeth_upper"),
        grid(17, 4, _arch(-0.140, -0.035, 0.260, 0.115), "teeth_lower", "teeth_lower", jaw=True),
        grid(9, 7, _tongue, "tongue", "tongue", jaw=True),
    ]


def fixed_parts() -> list[Part]:
    """Ears, neck, shoulders and collar."""
    parts = [_ear(-1), _ear(1), _neck(), _shoulders(), _collar()]
    return [
        part if part.follows_head is not None else dataclasses.replace(part, follows_head=np.ones(len(part.vertices)))
        for part in parts
    ]
