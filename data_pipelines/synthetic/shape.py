"""The mean head's surface and the linear identity basis, in head units (x right, y up, z towards the viewer).

The basis is this head's own: 22 fields that each change one nameable trait. Coefficients are drawn from N(0, 1.28)
and clipped at 2.88, 1.6 times as wide as the spread at which trained identity embeddings began to tell heads apart.
"""

import numpy as np

from data_pipelines.synthetic.fields import both_sides, bump, step, vectors
from data_pipelines.synthetic.template import (
    EYE_X,
    EYE_Y,
    FACE_CENTRE_Y,
    MOUTH_HALF_WIDTH,
    MOUTH_Y,
    lid_vertices,
    lip_line,
)

FRONT_DEPTH, FRONT_POWER = 0.84, 0.46
BACK_DEPTH, BACK_POWER = 1.02, 0.50
SKULL_HALF_WIDTH, SKULL_BELOW, SKULL_ABOVE, CROWN_POWER = 0.885, 1.33, 1.19, 3.1
"""Half width; height below and above the middle; the crown's outline is rounder than an ellipse (power 2)."""
FOREHEAD_FROM, FOREHEAD_SQUEEZE = 0.45, 0.86
"""Above this height the flat template is squeezed onto the skull."""
JAW_NARROWING = 0.09

SHAPE_NAMES = (
    "width",
    "height",
    "jaw_width",
    "chin_length",
    "chin_forward",
    "cheekbones",
    "cheek_fullness",
    "nose_width",
    "nose_forward",
    "nose_length",
    "nose_bridge",
    "eye_size",
    "eye_spacing",
    "eye_tilt",
    "brow_height",
    "brow_ridge",
    "brow_thickness",
    "mouth_width",
    "mouth_height",
    "lip_thickness",
    "forehead",
    "face_depth",
)
SHAPE_SPREAD, SHAPE_LIMIT = 1.28, 2.88
"""Standard deviation and limit of each shape coefficient."""


def _inside(x, y):
    """Positive inside the skull's outline seen from the front, 1 in its middle."""
    over = y - FACE_CENTRE_Y
    height = np.where(over > 0, (np.abs(over) / SKULL_ABOVE) ** CROWN_POWER, (over / SKULL_BELOW) ** 2)
    outline = 1 - (x / SKULL_HALF_WIDTH) ** 2 - height
    return np.clip(outline, 0, None)


def skull_front(x, y):
    """Depth of the smooth skull in front."""
    return FRONT_DEPTH * _inside(x, y) ** FRONT_POWER


def skull_back(x, y):
    """Depth of the smooth skull behind, negative."""
    return -BACK_DEPTH * _inside(x, y) ** BACK_POWER


def _nose(x, y):
    k = step(0.32, -0.20, y)
    ridge = (0.050 + 0.215 * k) * np.exp(-0.5 * (x / (0.062 + 0.050 * k)) ** 2)
    ridge = ridge * step(0.42, 0.14, y) * step(-0.365, -0.262, y)
    wings = 0.078 * both_sides(x, y, 0.128, -0.268, 0.045, 0.050)
    return ridge + wings + 0.035 * bump(x, y, 0, -0.20, 0.085, 0.07)


def _mouth(x, y):
    t = np.clip(x / MOUTH_HALF_WIDTH, -1.2, 1.2)
    line = lip_line(t)
    mound = 0.040 * bump(x, y, 0, MOUTH_Y, 0.34, 0.15)
    lips = 0.052 * bump(x, y - line, 0, 0.045, 0.19, 0.036) + 0.066 * bump(x, y - line, 0, -0.052, 0.17, 0.042)
    groove = -0.040 * bump(x, y - line, 0, 0, 0.27, 0.016)
    below = -0.060 * bump(x, y, 0, MOUTH_Y - 0.175, 0.21, 0.05)
    corners = -0.028 * both_sides(x, y, MOUTH_HALF_WIDTH + 0.02, MOUTH_Y, 0.05, 0.05)
    return mound + lips + groove + below + corners - 0.014 * bump(x, y, 0, -0.43, 0.028, 0.055)


def face_depth(x, y):
    """Depth of the mean face at x and (already squeezed) y: arrays of one shape."""
    z = skull_front(x, y) + _nose(x, y) + _mouth(x, y)
    z = z - 0.105 * both_sides(x, y, EYE_X - 0.03, 0.150, 0.150, 0.105)  # sockets
    z = z + 0.030 * both_sides(x, y, EYE_X + 0.01, EYE_Y, 0.13, 0.060)  # the eyeballs behind the lids
    z = z + 0.050 * both_sides(x, y, 0.30, 0.385, 0.22, 0.065)  # brow ridges
    z = z + 0.050 * both_sides(x, y, 0.52, -0.09, 0.17, 0.14)  # cheekbones
    z = z - 0.022 * both_sides(x, y, 0.30, -0.44, 0.045, 0.14)  # folds beside the mouth
    return z + 0.105 * bump(x, y, 0, -0.99, 0.21, 0.105)  # chin


def squeezed(y):
    """Height on the head of a height on the flat template."""
    return np.where(y > FOREHEAD_FROM, FOREHEAD_FROM + (y - FOREHEAD_FROM) * FOREHEAD_SQUEEZE, y)


def mean_face(x, y):
    """Mean face over flat template points: -> `[N, 3]`."""
    y = squeezed(y)
    narrow = 1 - JAW_NARROWING * step(-0.40, -1.12, y)
    return vectors(x * narrow, y, face_depth(x, y))


def skull_radius(x_direction, z_direction, y, inflation):
    """Distance from the vertical axis through the skull's middle to the skull's surface, by bisection.

    Args:
        x_direction, z_direction: unit horizontal direction, arrays of one shape.
        y: height, same shape.
        inflation: how much the skull is blown up about its middle, same shape; 0.1 is 10 %.
    """
    low, high = np.zeros_like(y), np.full_like(y, 2.0)
    scale = 1 / (1 + inflation)
    for _ in range(24):
        middle = (low + high) / 2
        x, z = middle * x_direction * scale, (middle * z_direction + AXIS_Z) * scale
        height = FACE_CENTRE_Y + (y - FACE_CENTRE_Y) * scale
        inside = (_inside(x, height) > 0) & (z < skull_front(x, height)) & (z > skull_back(x, height))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


AXIS_Z = -0.12
"""Depth of the vertical axis from which the skull and the hair are measured."""


def identity_basis(points):
    """What one unit of each shape coefficient adds: points `[N, 3]` of the mean head -> `[22, N, 3]`.

    For the face, pass the flat template's x and squeezed y and the face's depth. Points away from the face's front
    follow the traits of the whole head and fade out of the others.
    """
    x, y, z = points.T
    front = step(-0.15, 0.30, z)
    sign = np.sign(x)
    eyes = both_sides(x, y, EYE_X, EYE_Y, 0.17, 0.10)
    mouth = bump(x, y, 0, MOUTH_Y, 0.30, 0.15)
    lips = bump(x, y, 0, MOUTH_Y, 0.26, 0.10)
    over_lip = y - lip_line(np.clip(x / MOUTH_HALF_WIDTH, -1.2, 1.2))
    traits = {
        "width": vectors(x=0.050 * x),
        "height": vectors(y=0.040 * (y - 0.1)),
        "jaw_width": vectors(x=0.085 * x * step(-0.10, -0.90, y) * step(-1.6, -1.1, y)),
        "chin_length": vectors(y=-0.050 * bump(x, y, 0, -1.08, 0.36, 0.26)) * front[:, None],
        "chin_forward": vectors(z=0.038 * bump(x, y, 0, -1.0, 0.21, 0.18)) * front[:, None],
        "cheekbones": vectors(
            x=0.018 * sign * both_sides(x, y, 0.62, -0.08, 0.16, 0.16),
            z=0.034 * both_sides(x, y, 0.54, -0.08, 0.17, 0.14),
        ),
        "cheek_fullness": vectors(
            x=0.030 * sign * both_sides(x, y, 0.62, -0.50, 0.2, 0.25),
            z=0.036 * both_sides(x, y, 0.46, -0.45, 0.15, 0.20),
        ),
        "nose_width": vectors(x=0.26 * x * bump(x, y, 0, -0.24, 0.15, 0.13)),
        "nose_forward": vectors(z=0.050 * bump(x, y, 0, -0.20, 0.10, 0.13)),
        "nose_length": vectors(y=-0.040 * bump(x, y, 0, -0.27, 0.17, 0.11)),
        "nose_bridge": vectors(z=0.028 * bump(x, y, 0, 0.05, 0.065, 0.13)),
        "eye_size": vectors(x=0.09 * (np.abs(x) - EYE_X) * sign * eyes),
        "eye_spacing": vectors(x=0.022 * sign * both_sides(x, y, EYE_X, 0.18, 0.20, 0.24)),
        "eye_tilt": vectors(y=0.10 * (np.abs(x) - EYE_X) * both_sides(x, y, EYE_X, EYE_Y, 0.22, 0.13)),
        "brow_height": vectors(y=0.030 * both_sides(x, y, EYE_X, 0.40, 0.26, 0.09)),
        "brow_ridge": vectors(z=0.026 * both_sides(x, y, 0.28, 0.36, 0.26, 0.08)),
        "brow_thickness": vectors(y=0.20 * (y - 0.375) * both_sides(x, y, EYE_X, 0.375, 0.26, 0.07)),
        "mouth_width": vectors(x=0.075 * x * mouth),
        "mouth_height": vectors(y=0.022 * bump(x, y, 0, MOUTH_Y, 0.42, 0.20)),
        "lip_thickness": vectors(y=0.24 * over_lip * lips, z=0.20 * np.abs(over_lip) * lips),
        "forehead": vectors(z=0.045 * step(0.45, 1.05, y)),
        "face_depth": vectors(z=0.035 * z * step(0.9, 0.3, np.abs(x))),
    }
    local = ("cheekbones", "cheek_fullness", "mouth_height", "mouth_width", "lip_thickness", "forehead")
    local += tuple(name for name in SHAPE_NAMES if name.startswith(("nose", "eye", "brow")))
    for name in local:
        traits[name] = traits[name] * front[:, None]
    return np.stack([traits[name] for name in SHAPE_NAMES])


EYE_HEIGHT_CHANGE = 0.042
"""How much one unit of `eye_size` opens the eyes, as a part of the mean opening."""


def face_identity_basis(template):
    """`identity_basis` of the face's vertices: `[22, V, 3]`.

    Both lids are moved alike, by what the eye's axis does, so that they still meet when they close; `eye_size` alone
    opens the eyes wider.
    """
    at = np.stack([template.flat[:, 0], squeezed(template.flat[:, 1]), np.zeros(len(template.flat))], 1)
    at[:, 2] = face_depth(at[:, 0], at[:, 1])
    lids = lid_vertices(template)
    over = np.zeros(len(at))
    over[lids] = at[lids, 1] - EYE_Y
    at[lids, 1] = EYE_Y
    basis = identity_basis(at)
    basis[SHAPE_NAMES.index("eye_size"), :, 1] += EYE_HEIGHT_CHANGE * over
    return basis
