"""Hair: shells over the skull, one or two per style.

A shell is laid over azimuth (0 in front, positive to the image's right) and a parameter that runs from the crown to
the style's lower edge. Above the ears it lies on the inflated skull; below it hangs straight down.
"""

import dataclasses

import numpy as np

from data_pipelines.synthetic.fields import step
from data_pipelines.synthetic.parts import Part, grid
from data_pipelines.synthetic.shape import AXIS_Z, SKULL_ABOVE, skull_radius
from data_pipelines.synthetic.template import FACE_CENTRE_Y

COLUMNS, ROWS = 49, 17
EDGE_DIVES = 0.045
"""How far lying hair dives under the skin at its edge, as a part of the skull's size."""
FALL_FROM = 0.18
"""Height at which hair leaves the skull and hangs."""
KNOTS = np.radians([0, 15, 30, 45, 57, 68, 80, 95, 120, 150, 180])
"""Azimuths of the numbers in `HairStyle.edge` and `HairStyle.thickness`, the same on both sides but for the parting."""


@dataclasses.dataclass(frozen=True)
class HairStyle:
    """One style.

    Attributes:
        edge: height of the lower edge at each of `KNOTS`, head units.
        thickness: how far the hair blows the skull up, at each of `KNOTS`, as a part of its size.
        crown: the same on top.
        parting: shift of the front edge to the image's right, as an azimuth; 0 for symmetric styles.
        waves: depth of locks, as a part of the skull's size.
        soft_edge: whether the edge fades into the skin (lying hair) or hangs free.
        bun: whether a bun sits on the crown.
    """

    edge: tuple
    thickness: tuple
    crown: float
    parting: float = 0.0
    waves: float = 0.006
    soft_edge: bool = True
    bun: bool = False


SHORT_EDGE = (0.86, 0.86, 0.84, 0.78, 0.60, 0.28, 0.10, 0.24, -0.20, -0.45, -0.50)
STYLES = {
    "short": HairStyle(SHORT_EDGE, (0.09, 0.09, 0.085, 0.08, 0.07, 0.05, 0.05, 0.06, 0.07, 0.07, 0.07), 0.11),
    "crop": HairStyle(
        (0.80, 0.81, 0.83, 0.80, 0.64, 0.30, 0.02, 0.22, -0.18, -0.40, -0.45), (0.035,) * 11, 0.045, waves=0.003
    ),
    "quiff": HairStyle(
        (0.90, 0.90, 0.87, 0.76, 0.58, 0.26, 0.08, 0.24, -0.2, -0.42, -0.48),
        (0.17, 0.165, 0.14, 0.10, 0.06, 0.04, 0.04, 0.05, 0.06, 0.06, 0.06),
        0.15,
        waves=0.012,
    ),
    "side_part": HairStyle(
        (0.80, 0.83, 0.84, 0.74, 0.55, 0.24, 0.06, 0.22, -0.22, -0.46, -0.50),
        (0.10, 0.10, 0.10, 0.09, 0.075, 0.055, 0.05, 0.06, 0.07, 0.07, 0.07),
        0.13,
        parting=0.30,
        waves=0.010,
    ),
    "fringe": HairStyle(
        (0.55, 0.55, 0.545, 0.53, 0.42, 0.05, -0.25, -0.45, -0.62, -0.66, -0.68),
        (0.075, 0.075, 0.075, 0.075, 0.085, 0.11, 0.13, 0.15, 0.15, 0.15, 0.15),
        0.12,
        waves=0.012,
        soft_edge=False,
    ),
    "bob": HairStyle(
        (0.90, 0.88, 0.80, 0.66, 0.36, -0.50, -0.72, -0.78, -0.82, -0.84, -0.85),
        (0.09, 0.09, 0.09, 0.09, 0.10, 0.13, 0.17, 0.19, 0.19, 0.18, 0.17),
        0.12,
        parting=0.18,
        waves=0.014,
        soft_edge=False,
    ),
    "long": HairStyle(
        (0.90, 0.88, 0.80, 0.66, 0.34, -0.95, -1.55, -1.70, -1.72, -1.74, -1.75),
        (0.09, 0.09, 0.09, 0.09, 0.10, 0.12, 0.15, 0.17, 0.17, 0.16, 0.15),
        0.12,
        waves=0.018,
        soft_edge=False,
    ),
    "bun": HairStyle(
        (0.88, 0.87, 0.84, 0.76, 0.58, 0.30, 0.14, 0.26, -0.10, -0.35, -0.40),
        (0.05, 0.05, 0.05, 0.05, 0.05, 0.045, 0.045, 0.05, 0.05, 0.05, 0.05),
        0.065,
        waves=0.005,
        bun=True,
    ),
    "curly": HairStyle(
        (0.80, 0.80, 0.78, 0.72, 0.56, 0.22, -0.05, -0.20, -0.40, -0.50, -0.55),
        (0.20, 0.20, 0.20, 0.20, 0.20, 0.20, 0.21, 0.23, 0.24, 0.23, 0.22),
        0.23,
        waves=0.035,
    ),
    "receding": HairStyle(
        (1.06, 1.08, 1.16, 1.10, 0.80, 0.34, 0.10, 0.24, -0.18, -0.42, -0.48),
        (0.03, 0.03, 0.03, 0.03, 0.035, 0.035, 0.04, 0.05, 0.05, 0.05, 0.05),
        0.035,
        waves=0.004,
    ),
    "bald": None,
}
HAIR_STYLES = tuple(STYLES)
MIRRORED = "_mirrored"
"""Added to a style's name for the style of the mirrored picture."""


def _shell(name: str, style: HairStyle, flip: int) -> Part:
    def surface(u, v):
        azimuth = 2 * np.pi * (u - 0.5)
        around = np.abs(
            np.abs(azimuth) if style.parting == 0 else azimuth - flip * style.parting * np.cos(azimuth / 2) ** 2
        )
        around = np.minimum(around, np.pi)
        edge = np.interp(around, KNOTS, style.edge)
        thickness = np.interp(around, KNOTS, style.thickness)
        top = FACE_CENTRE_Y + (1 + style.crown) * SKULL_ABOVE
        y = edge + (top - edge) * np.cos(v * np.pi / 2)
        inflation = thickness + (style.crown - thickness) * step(0.55, 0.05, v)
        if style.soft_edge:
            inflation = inflation * step(1.0, 0.70, v) + 0.010 - EDGE_DIVES * step(0.82, 1.0, v)
        locks = style.waves * (np.cos(9 * around + 2.2 * v) + 0.6 * np.cos(17 * around - 5 * v)) * step(0.08, 0.4, v)
        inflation = inflation + locks * (step(1.0, 0.8, v) if style.soft_edge else 1)
        x_direction, z_direction = np.sin(azimuth), np.cos(azimuth)
        radius = skull_radius(x_direction, z_direction, np.maximum(y, FALL_FROM), inflation)
        inwards = 1 - 0.16 * step(-0.45, -1.2, y) - 0.03 * step(FALL_FROM, -0.4, y)
        radius = radius * inwards
        return radius * x_direction, y, AXIS_Z + radius * z_direction

    part = grid(COLUMNS, ROWS, surface, name, "hair", outside_of=(0, 0.2, AXIS_Z))
    if not style.soft_edge:
        part = dataclasses.replace(part, uv=part.uv * [1, 0.80])
    return part


def _bun(name: str) -> Part:
    def surface(u, v):
        angle, lift = 2 * np.pi * u, np.pi * (v - 0.5)
        return (
            0.25 * np.cos(lift) * np.sin(angle),
            1.36 + 0.20 * np.sin(-lift),
            -0.42 + 0.25 * np.cos(lift) * np.cos(angle),
        )

    part = grid(17, 9, surface, name, "hair", outside_of=(0, 1.36, -0.42))
    return dataclasses.replace(part, uv=part.uv * [1, 0.6])


def hair_parts() -> dict[str, list[Part]]:
    """Parts of every style, also of the mirror images of those with a parting."""
    parts = {}
    for name, style in STYLES.items():
        if style is None:
            parts[name] = []
            continue
        for suffix, flip in (("", 1), (MIRRORED, -1)):
            if suffix and style.parting == 0:
                continue
            shells = [_shell(f"hair_{name}{suffix}", style, flip)]
            if style.bun:
                shells.append(_bun(f"hair_{name}_bun"))
            parts[name + suffix] = [
                dataclasses.replace(part, follows_head=np.ones(len(part.vertices))) for part in shells
            ]
    return parts
