"""The texture atlas: a linear albedo model and seeded fine detail.

albedo = mean + sum over the 20 coefficients of coefficient * basis. A coefficient moves the colour of one region (skin,
lips, brows, beard, iris, hair) in one channel by `ALBEDO_UNIT`, or adds blush or shadow under the eyes. The
coefficients are complete for the linear part; `identity.detail` multiplies it by seeded noise, freckles and moles that
no coefficient describes. Reflectances are 0 to 1. The clothes' patches are painted by the scene.
"""

import functools

import numpy as np

from data_pipelines.synthetic.fields import both_sides, bump, step
from data_pipelines.synthetic.template import (
    EYE_HALF_WIDTH,
    EYE_X,
    EYE_Y,
    MOUTH_HALF_WIDTH,
    MOUTH_Y,
    brow_line,
    lid,
    lip_line,
    lip_thickness,
)
from thjax.face3d.kernels import kernel

ATLAS_HEIGHT, ATLAS_WIDTH = 320, 512
PATCHES = {
    "face": (0, 0, 320, 256),
    "hair": (0, 256, 192, 192),
    "eye": (192, 256, 96, 96),
    "neck": (192, 352, 64, 96),
    "clothes": (256, 352, 64, 96),
    "collar": (288, 256, 16, 96),
    "teeth_upper": (0, 448, 32, 64),
    "teeth_lower": (32, 448, 32, 64),
    "tongue": (64, 448, 64, 64),
    "ear": (128, 448, 64, 64),
}
"""Top row, left column, height and width of each patch, texels."""
FACE_X, FACE_Y = 1.05, 1.36
"""Half extents of the template that the face's patch shows, head units."""
TEXELS_PER_UNIT = 256 / (2 * FACE_X)

REGIONS = {
    "skin": (0.72, 0.54, 0.45),
    "lip": (0.62, 0.33, 0.31),
    "brow": (0.40, 0.29, 0.22),
    "beard": (0.66, 0.50, 0.42),
    "iris": (0.30, 0.27, 0.22),
    "hair": (0.28, 0.21, 0.15),
}
"""Mean colour of each region whose colour the coefficients move."""
ADDED = {"blush": (0.010, -0.050, -0.042), "under_eye": (-0.045, -0.050, -0.035)}
"""What one unit of each added tint adds where its mask is 1."""
ALBEDO_UNIT = 0.10
ALBEDO_NAMES = tuple(f"{region}_{channel}" for region in REGIONS for channel in "rgb") + tuple(ADDED)

IRIS_RADIUS, PUPIL_RADIUS = 0.45, 0.18
"""Parts of the eyeball's radius, seen along the gaze."""
WRINKLES = ("forehead", "frown", "eye_corners", "cheek_folds")
"""Folds that the expression deepens; masks of `wrinkle_masks`."""


def face_uv(layout):
    """Atlas texels (column, row) of layout points: `[V, 2]` head units -> `[V, 2]`."""
    top, left, height, width = PATCHES["face"]
    u, v = (layout[:, 0] / FACE_X + 1) / 2, (1 - layout[:, 1] / FACE_Y) / 2
    return np.stack([left + u * (width - 1), top + v * (height - 1)], 1)


def patch_uv(patch: str, uv):
    """Atlas texels (column, row) of points 0 to 1 within a patch; one texel of margin: `[V, 2]` -> `[V, 2]`."""
    top, left, height, width = PATCHES[patch]
    return np.stack([left + 1 + uv[:, 0] * (width - 3), top + 1 + uv[:, 1] * (height - 3)], 1)


def view(atlas, patch: str):
    """The part of an atlas `[..., 320, 512, C]` that holds a patch."""
    top, left, height, width = PATCHES[patch]
    return atlas[..., top : top + height, left : left + width, :]


def _face_grid():
    _, _, height, width = PATCHES["face"]
    x = (2 * np.arange(width) / (width - 1) - 1) * FACE_X
    y = (1 - 2 * np.arange(height) / (height - 1)) * FACE_Y
    return np.meshgrid(x, y)


def _patch_grid(patch):
    _, _, height, width = PATCHES[patch]
    return np.meshgrid((np.arange(width) - 1) / (width - 3), (np.arange(height) - 1) / (height - 3))


class _Layers:
    """Weights of each region at each texel: colour = sum of weight * colour of region + fixed."""

    def __init__(self):
        self.weight = {name: np.zeros((ATLAS_HEIGHT, ATLAS_WIDTH, 3)) for name in REGIONS}
        self.added = {name: np.zeros((ATLAS_HEIGHT, ATLAS_WIDTH, 3)) for name in ADDED}
        self.fixed = np.zeros((ATLAS_HEIGHT, ATLAS_WIDTH, 3))

    def layers(self, patch):
        return [view(layer, patch) for layer in (*self.weight.values(), *self.added.values(), self.fixed)]

    def tint(self, patch, colour, amount):
        """Multiplies what is there by `colour` where `amount` `[H, W]` is 1."""
        factor = 1 - amount[..., None] * (1 - np.asarray(colour))
        for layer in self.layers(patch):
            layer *= factor

    def paint(self, patch, region, amount, colour=1.0):
        """Covers what is there by `colour` (of a region, or fixed where None) where `amount` `[H, W]` is 1."""
        amount = amount[..., None]
        for layer in self.layers(patch):
            layer *= 1 - amount
        view(self.fixed if region is None else self.weight[region], patch)[:] += amount * np.asarray(colour)


def _lip_masks(x, y):
    t = np.clip(x / MOUTH_HALF_WIDTH, -1, 1)
    over = y - lip_line(t)
    inside = step(-0.008, 0.010, np.where(over > 0, lip_thickness(t, True) - over, lip_thickness(t, False) + over))
    inside = inside * step(1.02, 0.97, np.abs(x) / MOUTH_HALF_WIDTH)
    line = np.exp(-0.5 * (over / 0.010) ** 2) * step(1.06, 0.96, np.abs(x) / MOUTH_HALF_WIDTH)
    return inside, line, over


def _paint_face_skin(layers, x, y):
    layers.paint("face", "skin", np.ones_like(x))
    ax = np.abs(x)
    red = both_sides(x, y, 0.47, -0.22, 0.18, 0.15) * 0.42 + 0.36 * bump(x, y, 0, -0.25, 0.12, 0.10)
    layers.tint("face", (1.02, 0.83, 0.82), red)
    layers.tint("face", (0.72, 0.66, 0.66), 0.50 * both_sides(x, y, 0.34, 0.235, 0.15, 0.055))
    layers.tint("face", (0.80, 0.76, 0.76), 0.45 * both_sides(x, y, 0.34, 0.020, 0.13, 0.045))
    layers.tint("face", (0.70, 0.64, 0.62), 0.35 * both_sides(x, y, 0.150, -0.14, 0.030, 0.12))
    fold = np.exp(-0.5 * ((ax - 0.205 - 0.42 * np.clip(-0.30 - y, 0, 0.4)) / 0.022) ** 2)
    layers.tint("face", (0.70, 0.62, 0.60), 0.32 * fold * step(-0.62, -0.48, y) * step(-0.24, -0.33, y))
    layers.tint("face", (0.25, 0.16, 0.15), 0.90 * np.clip(1.35 * both_sides(x, y, 0.066, -0.325, 0.034, 0.014), 0, 1))
    layers.tint("face", (0.60, 0.52, 0.50), 0.50 * bump(x, y, 0, -0.372, 0.13, 0.020))
    layers.tint("face", (0.72, 0.65, 0.63), 0.32 * bump(x, y, 0, MOUTH_Y - 0.160, 0.15, 0.028))
    layers.tint("face", (0.60, 0.53, 0.50), 0.75 * step(-0.98, -1.22, y))
    layers.tint("face", (0.78, 0.73, 0.71), 0.5 * step(0.70, 0.90, ax) * step(0.8, 0.2, y))


def _paint_face_features(layers, x, y):
    ax = np.abs(x)
    beard = np.clip(1.7 * bump(x, y, 0, -0.86, 0.55, 0.28), 0, 1) * step(
        -0.30, -0.46, y + 0.22 * np.clip(ax - 0.45, 0, 1)
    )
    beard = np.maximum(beard, 0.95 * bump(x, y, 0, -0.44, 0.17, 0.060) * step(-0.36, -0.40, y))
    layers.paint("face", "beard", 0.9 * beard * (0.93 + 0.07 * np.sin(97 * x + 61 * y) * np.sin(83 * y - 41 * ax)))
    inside, line, over = _lip_masks(x, y)
    layers.paint("face", "lip", 0.95 * inside)
    layers.tint("face", (0.42, 0.34, 0.34), 0.85 * line)
    layers.tint("face", (1.20, 1.24, 1.24), 0.45 * bump(x, over, 0, -0.052, 0.13, 0.016) * inside)
    layers.tint("face", (0.86, 0.80, 0.80), 0.5 * step(0.0, 0.03, over) * inside)
    b = (ax - EYE_X - 0.015) / 0.25
    half = 0.036 * (1 - 0.45 * step(-0.3, 1, b)) * step(-1.06, -0.80, b) * step(1.06, 0.78, b)
    hairs = 0.86 + 0.14 * np.sin(210 * ax + 150 * y)
    brow = (
        step(1.30, 0.45, np.abs(y - brow_line(b) - 0.003) / np.maximum(half, 1e-3)) * hairs * step(0.004, 0.012, half)
    )
    layers.paint("face", "brow", 0.93 * np.clip(brow, 0, 1))
    t = np.clip((ax - EYE_X) / EYE_HALF_WIDTH, -1, 1)
    near = np.abs(ax - EYE_X)
    above, below = y - EYE_Y - lid(t, True), EYE_Y + lid(t, False) - y
    layers.tint(
        "face", (0.60, 0.53, 0.52), 0.60 * np.exp(-0.5 * ((above - 0.042) / 0.012) ** 2) * step(0.185, 0.13, near)
    )
    layers.tint(
        "face", (0.10, 0.08, 0.08), 0.95 * np.exp(-0.5 * ((above - 0.006) / 0.013) ** 2) * step(0.195, 0.165, near)
    )
    layers.tint(
        "face", (0.50, 0.40, 0.38), 0.65 * np.exp(-0.5 * ((below - 0.004) / 0.011) ** 2) * step(0.19, 0.15, near)
    )
    view(layers.added["blush"], "face")[:] = (both_sides(x, y, 0.47, -0.20, 0.17, 0.14))[..., None]
    view(layers.added["under_eye"], "face")[:] = (both_sides(x, y, 0.34, 0.00, 0.13, 0.05))[..., None]


def _paint_eye(layers):
    u, v = _patch_grid("eye")
    across, down = 2 * u - 1, 2 * v - 1
    radius, angle = np.hypot(across, down), np.arctan2(down, np.abs(across))
    white = np.array([0.74, 0.72, 0.69]) * (1 - 0.30 * step(0.45, 1.0, radius))[..., None]
    layers.paint("eye", None, np.ones_like(u), white)
    spokes = 1 + 0.22 * np.sin(23 * angle) * step(0.2, 0.4, radius) + 0.25 * step(0.30, 0.22, radius)
    rim = 1 - 0.65 * np.exp(-0.5 * ((radius - IRIS_RADIUS) / 0.04) ** 2)
    layers.paint("eye", "iris", step(IRIS_RADIUS + 0.03, IRIS_RADIUS - 0.03, radius), (spokes * rim)[..., None])
    layers.paint("eye", None, step(PUPIL_RADIUS + 0.03, PUPIL_RADIUS - 0.03, radius), (0.015, 0.015, 0.018))


def _paint_mouth(layers):
    for patch, teeth in (("teeth_upper", 9), ("teeth_lower", 11)):
        u, v = _patch_grid(patch)
        place = (np.abs(u - 0.5) * teeth + 0.0) % 1  # a gap between the two middle teeth
        gaps = np.exp(-0.5 * (np.minimum(place, 1 - place) / 0.07) ** 2)
        back = 1 - 0.55 * step(0.15, 0.5, np.abs(u - 0.5))
        edge = v if patch == "teeth_upper" else 1 - v  # 1 at the cutting edge
        gum = step(0.42, 0.30, edge)
        tooth = (
            np.array([0.80, 0.77, 0.70]) * ((1 - 0.40 * gaps) * back * (0.72 + 0.28 * step(0.3, 0.8, edge)))[..., None]
        )
        layers.paint(
            patch,
            None,
            np.ones_like(u),
            tooth * (1 - gum[..., None]) + gum[..., None] * back[..., None] * np.array([0.42, 0.18, 0.18]),
        )
    u, v = _patch_grid("tongue")
    shade = (0.30 + 0.70 * step(0.0, 0.8, v)) * (1 - 0.22 * np.exp(-0.5 * ((u - 0.5) / 0.04) ** 2))
    layers.paint("tongue", None, np.ones_like(u), np.array([0.52, 0.22, 0.22]) * shade[..., None])


def _paint_skin_parts(layers):
    u, v = _patch_grid("neck")
    under_chin = 0.60 * step(0.62, 0.25, v) * step(0.62, 0.20, np.abs(u - 0.5))
    sides = 0.35 * step(0.25, 0.5, np.abs(u - 0.5))
    layers.paint("neck", "skin", np.ones_like(u))
    layers.tint("neck", (0.52, 0.45, 0.43), np.clip(under_chin + sides, 0, 1))
    u, v = _patch_grid("ear")
    layers.paint("ear", "skin", np.ones_like(u))
    layers.tint("ear", (0.98, 0.84, 0.82), 0.6 * np.ones_like(u))
    layers.tint("ear", (0.45, 0.34, 0.32), 0.75 * step(0.60, 0.15, v))


def _paint_hair(layers):
    u, v = _patch_grid("hair")
    side = np.abs(u - 0.5)
    strands = 1 + 0.14 * np.sin(230 * side + 5 * np.sin(7 * v)) + 0.10 * np.sin(411 * side - 9 * v)
    strands *= 1 - 0.30 * step(0.72, 0.98, v)
    ragged = 0.014 * np.sin(173 * side) + 0.018 * np.sin(397 * side + 1)
    layers.paint("hair", "skin", np.ones_like(u), 0.86)
    layers.paint("hair", "hair", step(1.0, 0.90, v + ragged), strands[..., None])


@functools.lru_cache(maxsize=1)
def _layers():
    layers = _Layers()
    x, y = _face_grid()
    _paint_face_skin(layers, x, y)
    _paint_face_features(layers, x, y)
    _paint_eye(layers)
    _paint_mouth(layers)
    _paint_skin_parts(layers)
    _paint_hair(layers)
    weights = np.stack([*layers.weight.values(), *layers.added.values()]).astype(np.float32)
    return weights, layers.fixed.astype(np.float32)


def albedo_model():
    """The linear model itself: mean float32 `[320, 512, 3]` and basis `[20, 320, 512, 3]` (39 MB)."""
    weights, _ = _layers()
    basis = np.zeros((len(ALBEDO_NAMES), ATLAS_HEIGHT, ATLAS_WIDTH, 3), np.float32)
    for region in range(len(REGIONS)):
        for channel in range(3):
            basis[3 * region + channel, ..., channel] = ALBEDO_UNIT * weights[region, ..., channel]
    for index, colour in enumerate(ADDED.values()):
        basis[3 * len(REGIONS) + index] = weights[len(REGIONS) + index] * np.asarray(colour, np.float32)
    return linear_atlas(np.zeros(len(ALBEDO_NAMES), np.float32)), basis


def linear_atlas(coefficients):
    """The linear albedo of coefficients `[20]` -> float32 `[320, 512, 3]`; may leave 0 to 1 at extreme coefficients."""
    weights, fixed = _layers()
    regions = np.asarray(coefficients[: 3 * len(REGIONS)], np.float32).reshape(-1, 3) * np.float32(ALBEDO_UNIT)
    colours = np.asarray(list(REGIONS.values()), np.float32) + regions
    added = np.asarray(coefficients[3 * len(REGIONS) :], np.float32)[:, None] * np.asarray(
        list(ADDED.values()), np.float32
    )
    return _combine(weights, fixed, np.concatenate([colours, added]).astype(np.float32))


def region_coefficients(**colours):
    """Coefficients that give regions these colours `[3]`: keyword per region, the others keep the mean -> `[18]`."""
    unknown = set(colours) - set(REGIONS)
    if unknown:
        raise ValueError(f"unknown regions {sorted(unknown)}; known: {', '.join(REGIONS)}")
    wanted = [(np.asarray(colours.get(name, mean)) - mean) / ALBEDO_UNIT for name, mean in REGIONS.items()]
    return np.concatenate(wanted).astype(np.float32)


@kernel
def _combine(weights, fixed, colours):
    out = fixed.copy()
    for r in range(weights.shape[0]):
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                for c in range(3):
                    out[y, x, c] += weights[r, y, x, c] * colours[r, c]
    return out


@functools.lru_cache(maxsize=1)
def wrinkle_masks():
    """How much each of `WRINKLES` darkens the face's patch: float32 `[320, 256, 4]`."""
    x, y = _face_grid()
    ax = np.abs(x)
    lines = sum(np.exp(-0.5 * ((y - height - 0.035 * np.cos(2.2 * x)) / 0.010) ** 2) for height in (0.55, 0.64, 0.735))
    forehead = 0.30 * lines * step(0.55, 0.25, ax)
    frown = (
        0.42 * np.exp(-0.5 * ((ax - 0.050 - 0.1 * (y - 0.3)) / 0.012) ** 2) * step(0.22, 0.30, y) * step(0.48, 0.38, y)
    )
    crow = sum(np.exp(-0.5 * ((y - EYE_Y - slope * (ax - 0.50)) / 0.008) ** 2) for slope in (0.65, 0.12, -0.45))
    corners = 0.33 * crow * step(0.565, 0.60, ax) * step(0.72, 0.64, ax)
    fold = np.exp(-0.5 * ((ax - 0.215 - 0.55 * np.clip(-0.30 - y, 0, 0.5)) / 0.022) ** 2)
    folds = 0.32 * fold * step(-0.68, -0.52, y) * step(-0.24, -0.34, y)
    return np.stack([forehead, frown, corners, folds], -1).astype(np.float32)
