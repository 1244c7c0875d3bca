"""The face's flat template: feature curves, triangulation, landmarks.

Template coordinates are in head units (`HEAD_UNIT_MM` mm) with x to the image's right, y up, looking at the face. The
right half (x >= 0) is laid out and triangulated, then mirrored, so the mesh is symmetric to the last bit. Mouth and
eyes are real openings. In `layout` the lips stand a little apart, so that they can be triangulated and textured; in
`flat` both inner lip contours are the same curve, so that every field that is smooth in (x, y) leaves them closed.
"""

import dataclasses
import itertools

import numpy as np
from scipy.spatial import Delaunay

MOUTH_Y = -0.62
MOUTH_HALF_WIDTH = 0.29
EYE_X, EYE_Y = 0.37, 0.13
EYE_HALF_WIDTH = 0.172
FACE_HALF_WIDTH, FACE_HALF_HEIGHT, FACE_CENTRE_Y = 0.865, 1.30, 0.05
INNER_WIDTH = 0.95
"""Where the inner lip contour ends, as a part of the mouth's half width."""

MOUTH_COLUMNS = 9
"""Columns of the lips from the middle to the corner."""
LIP_ROWS = (0.0, 0.22, 0.5, 0.78, 1.0)
"""Rows of each lip, from the inner contour to the outer border of the red."""
LAYOUT_GAP = 0.014
"""How far each inner lip stands from the lip line in the layout."""
EYE_COLUMNS = 13
FINE_SPACING, COARSE_SPACING = 0.052, 0.085
BORDER_POINTS = 33
KEEP_AWAY = 0.62
"""Free points nearer than this part of their spacing to a feature are left out."""


def lid(t, upper: bool):
    """Height of the lid's edge over the eye's axis; t from -1 (inner corner) to 1 (outer corner)."""
    if upper:
        return 0.071 * (1 - np.abs(t) ** 2.3) * (1 + 0.10 * t) + 0.014 * t
    return -0.047 * (1 - np.abs(t) ** 2.2) * (1 - 0.1 * t) + 0.014 * t


def lip_line(t):
    """Height of the closed lips' line; t from -1 to 1 over the mouth."""
    return MOUTH_Y + 0.016 * np.abs(t) ** 2.0 - 0.008 * np.exp(-((t / 0.18) ** 2))


def lip_thickness(t, upper: bool):
    """How far the outer border of the red stands from the lip line, positive; t from -1 to 1."""
    if upper:
        return 0.086 * (1 - np.abs(t) ** 1.6) - 0.018 * np.exp(-((t / 0.13) ** 2)) + 0.004
    return 0.108 * (1 - np.abs(t) ** 2.3) + 0.004


def brow_line(b):
    """Height of the brow's middle; b from -1 (inner) to 1 (outer)."""
    return 0.352 + 0.050 * (1 - (b - 0.25) ** 2)


def jaw_line(count: int):
    """Half of the jaw's curve from the chin (x = 0) up to the ear: `[count, 2]`."""
    angle = np.linspace(0, 1, count) * np.pi / 2
    x = 0.81 * np.sin(angle) ** 0.92 * (1 - 0.06 * np.sin(2 * angle) ** 2)
    return np.stack([x, 0.10 - 1.18 * np.cos(angle) ** 0.80], 1)


@dataclasses.dataclass(frozen=True)
class Template:
    """Triangulated template of the face.

    Attributes:
        layout: `[V, 2]`, lips apart; texture coordinates follow it.
        flat: `[V, 2]`, lips closed.
        triangles: `[M, 3]`, counterclockwise in (x right, y up).
        lip: `[V]` 1 on the upper lip, -1 on the lower, 0 elsewhere (corners 0).
        lip_row: `[V]` 0 on the inner contour to 1 on the outer border of the red; -1 elsewhere.
        curves: name -> vertex indices from the image's left to its right; curves of one side (`_left`, `_right`) run
            from the inside outwards; `border` is a loop from the top over the left, its first vertex repeated last.
        landmarks: `[68]` vertex indices in iBUG order.
    """

    layout: np.ndarray
    flat: np.ndarray
    triangles: np.ndarray
    lip: np.ndarray
    lip_row: np.ndarray
    curves: dict
    landmarks: np.ndarray


class _HalfLayout:
    """Collects the points of the half x >= 0."""

    def __init__(self):
        self.layout, self.flat, self.lip, self.lip_row, self.curves = [], [], [], [], {}

    def add(self, name, layout, flat=None, lip=0, lip_row=-1.0):
        layout = np.asarray(layout, np.float64)
        start = sum(len(part) for part in self.layout)
        self.curves[name] = np.arange(start, start + len(layout))
        self.layout.append(layout)
        self.flat.append(layout if flat is None else np.asarray(flat, np.float64))
        self.lip.append(np.full(len(layout), lip))
        self.lip_row.append(np.full(len(layout), lip_row))

    def arrays(self):
        return tuple(np.concatenate(parts) for parts in (self.layout, self.flat, self.lip, self.lip_row))


def _add_eye(half: _HalfLayout):
    t = np.linspace(-1, 1, EYE_COLUMNS)
    inner = t[1:-1]
    half.add("lid_upper", np.stack([EYE_X + EYE_HALF_WIDTH * t, EYE_Y + lid(t, True)], 1))
    half.add("lid_lower", np.stack([EYE_X + EYE_HALF_WIDTH * inner, EYE_Y + lid(inner, False)], 1))
    for name, factor, offset in (("lid_middle", 1.25, 0.012), ("crease", 1.60, 0.024)):
        half.add(name, np.stack([EYE_X + 0.185 * t, EYE_Y + factor * np.maximum(lid(t, True), 0.014) + offset], 1))
    half.add("bag", np.stack([EYE_X + 0.185 * inner, EYE_Y + 1.7 * lid(inner, False) - 0.012], 1))
    b = np.linspace(-1, 1, 9)
    for name, offset in (("brow_upper", 0.030), ("brow_lower", -0.024)):
        half.add(name, np.stack([EYE_X + 0.015 + 0.24 * b, brow_line(b) + offset], 1))


def _add_mouth(half: _HalfLayout):
    t = np.linspace(0, 1, MOUTH_COLUMNS)
    for upper, sign, name in ((True, 1, "upper"), (False, -1, "lower")):
        for row, part in enumerate(LIP_ROWS):
            columns = t if upper else t[:-1]  # the corners belong to the upper rows
            if 0 < row < len(LIP_ROWS) - 1:
                columns = t[:-1]
            x = MOUTH_HALF_WIDTH * (INNER_WIDTH + (1 - INNER_WIDTH) * part) * columns
            thickness = lip_thickness(columns, upper)
            gap = LAYOUT_GAP * (1 - columns**2)
            y = lip_line(columns) + sign * part * thickness
            y_layout = lip_line(columns) + sign * (gap + part * (thickness - gap))
            half.add(f"{name}_{row}", np.stack([x, y_layout], 1), np.stack([x, y], 1), sign, part)
            half.lip[-1][columns == 1] = 0
    for index, (width, height) in enumerate(((1.20, 0.155), (1.45, 0.215))):
        angle = np.linspace(0, np.pi, 15)
        x = width * MOUTH_HALF_WIDTH * np.sin(angle)
        x[[0, -1]] = 0
        half.add(f"ring_{index}", np.stack([x, MOUTH_Y - 0.012 + height * np.cos(angle)], 1))


def _add_nose(half: _HalfLayout):
    half.add("bridge", [(0, 0.17), (0, 0.05), (0, -0.07), (0, -0.195)])
    half.add("base", [(0, -0.335), (0.068, -0.328), (0.128, -0.302)])
    half.add(
        "wing",
        [
            (0.172, -0.25),
            (0.152, -0.19),
            (0.06, -0.235),
            (0.10, -0.272),
            (0.185, -0.30),
            (0.075, -0.19),
            (0.115, -0.215),
            (0.04, -0.285),
            (0.03, -0.35),
            (0.085, -0.355),
            (0.045, -0.12),
            (0.04, -0.02),
            (0.095, -0.10),
            (0.085, 0.02),
        ],
    )


def _border():
    """Half of the face's border, from the bottom to the top: `[B, 2]`."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, BORDER_POINTS)
    border = np.stack([FACE_HALF_WIDTH * np.cos(angle), FACE_CENTRE_Y + FACE_HALF_HEIGHT * np.sin(angle)], 1)
    border[[0, -1], 0] = 0
    return border


def _free_points(fixed):
    """A hexagonal grid, finer in the middle of the face, away from the fixed points: `[P, 2]`."""
    grid = []
    for spacing, fine in ((FINE_SPACING, True), (COARSE_SPACING, False)):
        for row, y in enumerate(np.arange(-1.30, 1.36, spacing * 0.88)):
            for x in np.arange(0, 0.92, spacing) + (row % 2) * spacing / 2:
                central = x < 0.60 and -1.12 < y < 0.56
                inside = (x / FACE_HALF_WIDTH) ** 2 + ((y - FACE_CENTRE_Y) / FACE_HALF_HEIGHT) ** 2 < 0.985
                if inside and central == fine:
                    grid.append((x, y, spacing))
    grid = np.array(grid)
    distance = np.linalg.norm(grid[:, None, :2] - fixed[None], axis=2).min(1)
    keep = (distance > KEEP_AWAY * grid[:, 2]) & ~_in_opening(grid[:, 0], grid[:, 1], margin=0.01)
    return grid[keep, :2]


def _in_opening(x, y, margin=0.0):
    """Whether layout points with x >= 0 lie in the eye's or the mouth's opening, widened by `margin`."""
    t = np.clip((x - EYE_X) / EYE_HALF_WIDTH, -1, 1)
    eye = (
        (np.abs(x - EYE_X) < EYE_HALF_WIDTH)
        & (y < EYE_Y + lid(t, True) + margin)
        & (y > EYE_Y + lid(t, False) - margin)
    )
    t = x / (MOUTH_HALF_WIDTH * INNER_WIDTH)
    gap = LAYOUT_GAP * (1 - np.clip(t, 0, 1) ** 2) + margin
    return eye | ((t < 1) & (np.abs(y - lip_line(np.clip(t, 0, 1))) < gap))


def _triangulate(layout, curves):
    """Delaunay triangles of the half, counterclockwise (y up), without those in the openings: `[M, 3]`."""
    triangles = Delaunay(layout).simplices
    a, b, c = (layout[triangles[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    triangles[area < 0] = triangles[area < 0][:, [0, 2, 1]]
    middle = (a + b + c) / 3
    eye = np.isin(triangles, np.concatenate([curves["lid_upper"], curves["lid_lower"]])).all(1)
    eye &= _in_opening(*middle.T)
    # Towards the corner the lips' rows come closer than their columns and Delaunay would bridge them: use strips.
    upper, lower = layout[curves["upper_4"]], layout[np.append(curves["lower_4"], curves["upper_4"][-1])]
    lips = np.isin(triangles, np.concatenate([index for name, index in curves.items() if _is_lip(name)])).all(1)
    lips &= (middle[:, 1] < np.interp(middle[:, 0], *upper.T)) & (middle[:, 1] > np.interp(middle[:, 0], *lower.T))
    return np.concatenate([triangles[~(eye | lips) & (np.abs(area) > 1e-7)], _lip_strips(curves)])


def _is_lip(name):
    return name[:6] in ("upper_", "lower_")


def _lip_strips(curves):
    """Triangles of both lips' halves between neighbouring rows, fanned at the corner, counterclockwise: `[M, 3]`."""
    last = MOUTH_COLUMNS - 2
    inner_corner, outer_corner = curves["upper_0"][-1], curves["upper_4"][-1]
    strips = []
    for name, flip in (("upper", False), ("lower", True)):
        rows = [curves[f"{name}_{row}"] for row in range(len(LIP_ROWS))]
        triangles = []
        for inner, outer in itertools.pairwise(rows):
            for i in range(last):
                triangles += [(inner[i], inner[i + 1], outer[i + 1]), (inner[i], outer[i + 1], outer[i])]
            triangles.append((inner[last], inner_corner, outer[last]))
        triangles.append((inner_corner, outer_corner, rows[-1][last]))
        strips.append(np.array(triangles)[:, [0, 2, 1]] if flip else np.array(triangles))
    return np.concatenate(strips)


def _mirror(layout, flat, lip, lip_row, triangles, curves):
    """Adds the other half; points on x = 0 are shared. Returns the whole and `partner`: index -> mirrored index."""
    seam = layout[:, 0] == 0
    partner = np.arange(len(layout))
    partner[~seam] = len(layout) + np.arange((~seam).sum())
    other = triangles[:, [0, 2, 1]]
    whole = [
        np.concatenate([part, part[~seam] * sign])
        for part, sign in ((layout, [-1, 1]), (flat, [-1, 1]), (lip, 1), (lip_row, 1))
    ]
    both = {}
    for name, index in curves.items():
        if seam[index[0]]:  # from the middle outwards: join both halves into one curve
            both[name] = np.concatenate([partner[index[:0:-1]], index])
        else:
            both[name + "_right"] = index  # image right, inner to outer
            both[name + "_left"] = partner[index]  # image left, inner to outer
    return whole, np.concatenate([triangles, partner[other]]), both


def lid_vertices(template: Template):
    """Indices of the vertices on the edges of the four lids."""
    return np.concatenate(
        [template.curves[f"lid_{lid}_{side}"] for lid in ("upper", "lower") for side in ("left", "right")]
    )


def _landmarks(curves, jaw_left_to_right):
    left_brow, right_brow = ([*curves[f"brow_upper_{side}"][[0, 2, 4, 6]], curves[f"brow_lower_{side}"][8]]
                             for side in ("left", "right"))  # the outer end droops, as in people's annotations
    picked = list(jaw_left_to_right) + left_brow[::-1] + right_brow
    picked += list(curves["bridge_line"]) + list(curves["base"])
    for side, order in (("left", (12, 8, 4, 0)), ("right", (0, 4, 8, 12))):
        upper, lower = curves[f"lid_upper_{side}"], curves[f"lid_lower_{side}"]
        picked += list(upper[list(order)])
        picked += list(lower[[3, 7]] if side == "left" else lower[[7, 3]])
    outer_upper, outer_lower = curves["upper_4"], curves["lower_4"]
    inner_upper, inner_lower = curves["upper_0"], curves["lower_0"]
    picked += list(outer_upper[[0, 3, 6, 8, 10, 13, 16]]) + list(outer_lower[[12, 9, 7, 5, 2]])
    picked += list(inner_upper[[0, 5, 8, 11, 16]]) + list(inner_lower[[10, 7, 4]])
    return np.array(picked)


def build() -> Template:
    """Lays out and triangulates the template: about 1,500 vertices."""
    half = _HalfLayout()
    _add_eye(half)
    _add_mouth(half)
    _add_nose(half)
    half.add("jaw", jaw_line(9))
    half.add("border", _border())
    half.add("free", _free_points(np.concatenate(half.layout)))
    half.curves["bridge_line"] = half.curves.pop("bridge")
    layout, flat, lip, lip_row = half.arrays()
    triangles = _triangulate(layout, half.curves)
    bridge = half.curves.pop("bridge_line")
    (layout, flat, lip, lip_row), triangles, curves = _mirror(layout, flat, lip, lip_row, triangles, half.curves)
    curves["bridge_line"] = bridge
    return Template(layout, flat, triangles, lip, lip_row, curves, _landmarks(curves, curves["jaw"]))
