"""The linear expression basis: what each action unit and lip shape adds to the face, in head units.

Fields are functions of the flat template, so both inner lip contours, which lie on the same curve there, move together
unless a field asks which lip a vertex belongs to. Only AU25, AU26 and `funnel` part the lips; `press` overlaps them.
"""

import numpy as np

from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.fields import both_sides, bump, step, vectors
from data_pipelines.synthetic.shape import face_depth
from data_pipelines.synthetic.template import (
    EYE_COLUMNS,
    EYE_HALF_WIDTH,
    EYE_X,
    EYE_Y,
    INNER_WIDTH,
    MOUTH_HALF_WIDTH,
    MOUTH_Y,
    Template,
    lid,
    lid_vertices,
    lip_line,
    lip_thickness,
)

JAW_DROP = (0.0, -0.290, -0.100)
"""What AU26 adds to the chin and to what is fixed to the jaw."""
CORNER_FOLLOWS = 0.22
"""Part of the jaw's drop that the mouth's corners follow."""
LOWER_LIP_PARTS, UPPER_LIP_PARTS = 0.080, 0.045
"""How far AU25 moves each lip."""
LIP_OVERLAP = 0.024
"""How far `press` moves each inner contour past the other: closes a jaw open by up to 0.15."""
LIDS_CLOSE = 1.14
"""How far AU45 closes the lids, as a part of the mean head's eye opening: enough for the largest eyes."""
ROLLED_IN = 0.70
"""Part of the red of each lip that `press` hides."""


class _Mouth:
    """Weights around the mouth that the fields share; arrays `[V]`."""

    def __init__(self, template: Template):
        x, y = template.flat.T
        self.t = np.clip(np.abs(x) / (MOUTH_HALF_WIDTH * INNER_WIDTH), 0, 1)
        self.line = lip_line(np.clip(x / MOUTH_HALF_WIDTH, -1, 1))
        self.over = y - self.line
        on_lip = template.lip != 0
        side = np.where(on_lip, template.lip, 0)
        self.upper = np.where(on_lip, side > 0, step(-0.015, 0.015, self.over))
        self.lower = 1 - self.upper
        corner = (template.lip == 0) & (template.lip_row >= 0)
        self.upper, self.lower = np.where(corner, 0.5, self.upper), np.where(corner, 0.5, self.lower)
        self.on_lip = on_lip | corner
        self.corner = corner
        self.centre = 1 - self.t**2
        self.corners = both_sides(x, y, MOUTH_HALF_WIDTH, MOUTH_Y, 0.13, 0.12)


def _jaw_weight(template, mouth):
    """How much of the jaw's drop each vertex follows: 1 on chin and lower lip's middle, 0 from the cheekbones up."""
    x, y = np.abs(template.flat[:, 0]), template.flat[:, 1]
    width = 0.012 + 0.55 * np.maximum(0, x - 0.18) ** 1.15
    weight = 1 / (1 + np.exp(np.clip(-(mouth.line - y) / width * 1.5, -40, 40)))
    weight = weight * step(1.08, 0.45, x) * step(-0.05, -0.35, y)
    lower = CORNER_FOLLOWS + (1 - CORNER_FOLLOWS) * (1 - mouth.t**3)
    upper = CORNER_FOLLOWS * mouth.t**4
    weight = np.where(template.lip < 0, lower, weight)
    weight = np.where(template.lip > 0, upper, weight)
    return np.where(mouth.corner, CORNER_FOLLOWS, weight)


def _lips_part(template, mouth):
    x, y = template.flat.T
    lower = mouth.lower * mouth.centre * np.exp(-0.5 * (np.minimum(mouth.over, 0) / 0.15) ** 2)
    upper = mouth.upper * mouth.centre * np.exp(-0.5 * (np.maximum(mouth.over, 0) / 0.11) ** 2)
    return lower, upper


def _mouth_fields(template, mouth):
    x, y = template.flat.T
    sign = np.sign(x)
    part_lower, part_upper = _lips_part(template, mouth)
    near_lips = bump(x, y, 0, MOUTH_Y, 0.27, 0.115)
    around = bump(x, y, 0, MOUTH_Y, 0.34, 0.17)
    upper_area = bump(x, y, 0, MOUTH_Y + 0.07, 0.20, 0.10)
    lower_area = bump(x, y, 0, MOUTH_Y - 0.08, 0.20, 0.12)
    corners = mouth.corners
    chin = bump(x, y, 0, -0.88, 0.22, 0.14)
    flare = 0.05 * (part_upper * 0.55 - part_lower * 0.7)
    return {
        "AU26": np.asarray(JAW_DROP) * _jaw_weight(template, mouth)[:, None],
        "AU25": vectors(y=UPPER_LIP_PARTS * part_upper - LOWER_LIP_PARTS * part_lower),
        "AU10": vectors(y=0.050 * upper_area + 0.035 * both_sides(x, y, 0.2, -0.42, 0.1, 0.1), z=0.020 * upper_area),
        "AU12": vectors(
            x=0.095 * sign * corners,
            y=0.095 * corners + 0.05 * both_sides(x, y, 0.45, -0.30, 0.16, 0.14),
            z=-0.050 * corners + 0.055 * both_sides(x, y, 0.44, -0.27, 0.13, 0.13),
        ),
        "AU14": vectors(x=0.045 * sign * corners, y=0.015 * corners, z=-0.070 * corners),
        "AU15": vectors(x=0.020 * sign * corners, y=-0.085 * corners, z=-0.020 * corners),
        "AU17": vectors(y=0.085 * chin + 0.050 * lower_area + 0.020 * upper_area, z=0.055 * chin + 0.02 * lower_area),
        "AU20": vectors(x=0.125 * sign * corners, y=-0.030 * corners, z=-0.060 * corners),
        "AU23": vectors(
            x=-0.22 * x * around, y=-0.32 * mouth.over * near_lips, z=-0.10 * np.abs(mouth.over) * near_lips
        ),
        "pucker": vectors(x=-0.48 * x * around, y=0.10 * mouth.over * near_lips, z=0.105 * around),
        "funnel": vectors(x=-0.30 * x * around, y=flare + 0.35 * mouth.over * near_lips, z=0.095 * around),
        "press": _press(template, mouth),
    }


def _press(template, mouth):
    """Rolls the red of both lips in: the border of the red comes to the lip line, the skin around follows."""
    x, y = template.flat.T
    t = np.clip(x / MOUTH_HALF_WIDTH, -1, 1)
    border = np.where(mouth.over > 0, lip_thickness(t, True), lip_thickness(t, False))
    past = np.maximum(np.abs(mouth.over) - border, 0)
    skin_follows = np.exp(-0.5 * (past / 0.075) ** 2) * step(1.35, 0.9, np.abs(x) / MOUTH_HALF_WIDTH)
    inwards = ROLLED_IN * np.minimum(np.abs(mouth.over), border) * skin_follows
    towards_line = np.where(template.lip != 0, template.lip, np.sign(mouth.over))
    overlap = LIP_OVERLAP * (1 - mouth.t**3) * np.exp(-0.5 * (mouth.over / 0.08) ** 2) * np.where(mouth.corner, 0, 1)
    inner = np.clip(1 - np.abs(mouth.over) / np.maximum(border, 1e-3), 0, 1) * mouth.on_lip
    bulge = (
        0.018 * np.exp(-0.5 * ((np.abs(mouth.over) - border - 0.05) / 0.04) ** 2) * bump(x, y, 0, MOUTH_Y, 0.22, 0.3)
    )
    return vectors(
        x=0.03 * np.sign(x) * mouth.corners,
        y=-towards_line * (inwards + overlap),
        z=-0.050 * skin_follows * mouth.centre * (0.35 + 0.65 * inner) + bulge,
    )


def _brow_and_cheek_fields(x, y):
    sign = np.sign(x)
    inner_brow = both_sides(x, y, 0.20, 0.41, 0.12, 0.12)
    brow = both_sides(x, y, 0.28, 0.39, 0.20, 0.08)
    cheek = both_sides(x, y, 0.45, -0.09, 0.16, 0.10)
    return {
        "AU01": vectors(y=0.095 * inner_brow),
        "AU02": vectors(y=0.095 * both_sides(x, y, 0.50, 0.42, 0.13, 0.13)),
        "AU04": vectors(
            x=-0.050 * sign * both_sides(x, y, 0.20, 0.40, 0.10, 0.09),
            y=-0.075 * brow,
            z=0.022 * both_sides(x, y, 0.16, 0.36, 0.12, 0.08),
        ),
        "AU06": vectors(y=0.055 * cheek, z=0.045 * cheek),
        "AU09": vectors(
            y=0.050 * both_sides(x, y, 0.10, -0.13, 0.08, 0.13)
            - 0.03 * inner_brow
            + 0.018 * bump(x, y, 0, MOUTH_Y + 0.1, 0.2, 0.1),
            z=0.020 * both_sides(x, y, 0.08, 0, 0.06, 0.1),
        ),
    }


def _add_lids(basis, template):
    """AU45 closes the lids of every identity, AU05 raises the upper, AU07 tightens both."""
    curves = template.curves
    t = np.linspace(-1, 1, EYE_COLUMNS)
    gap = lid(t, True) - lid(t, False)
    inner = slice(1, -1)
    bulge = 0.012 * (1 - t**2)  # over the eyeball
    x = EYE_X + EYE_HALF_WIDTH * t
    back = face_depth(x, EYE_Y + lid(t, False)) - face_depth(x, EYE_Y + lid(t, True))  # the lids meet in depth, too
    for side in ("left", "right"):
        upper, lower = curves[f"lid_upper_{side}"], curves[f"lid_lower_{side}"]
        blink, wide, tight = (basis[EXPRESSION_INDEX[name]] for name in ("AU45", "AU05", "AU07"))
        blink[upper, 1], blink[upper, 2] = -(LIDS_CLOSE - 0.07) * gap, back + bulge
        blink[lower, 1], blink[lower, 2] = 0.07 * gap[inner], bulge[inner]
        blink[curves[f"lid_middle_{side}"], 1] = -0.066 * (1 - t**2)
        blink[curves[f"lid_middle_{side}"], 2] = 0.022 * (1 - t**2)
        blink[curves[f"crease_{side}"], 1] = -0.022 * (1 - t**2)
        wide[upper, 1], wide[curves[f"lid_middle_{side}"], 1] = 0.30 * gap, 0.012 * (1 - t**2)
        tight[upper, 1], tight[lower, 1] = -0.14 * gap, 0.26 * gap[inner]
        tight[curves[f"bag_{side}"], 1], tight[curves[f"bag_{side}"], 2] = 0.018, 0.010


def expression_basis(template: Template):
    """What each coefficient at 1 adds to the face's vertices, in the order of `EXPRESSION_NAMES`: `[20, V, 3]`."""
    x, y = template.flat.T
    y = y.copy()
    y[lid_vertices(template)] = EYE_Y  # the other units move both lids alike, so that they still meet
    fields = _mouth_fields(template, _Mouth(template)) | _brow_and_cheek_fields(x, y)
    basis = np.zeros((len(EXPRESSION_NAMES), len(x), 3))
    for name, field in fields.items():
        basis[EXPRESSION_INDEX[name]] = field
    _add_lids(basis, template)
    return basis
