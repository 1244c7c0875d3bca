"""Who is seen: shape and albedo coefficients, hair style, fine skin detail. Nothing of a clip's scene belongs here."""

import dataclasses

import numpy as np

from data_pipelines.synthetic import texture
from data_pipelines.synthetic.hair import HAIR_STYLES, MIRRORED, STYLES
from data_pipelines.synthetic.noise import value_noise
from data_pipelines.synthetic.shape import SHAPE_LIMIT, SHAPE_NAMES, SHAPE_SPREAD

SKIN_PALE, SKIN_DARK = np.array([0.88, 0.70, 0.60]), np.array([0.36, 0.235, 0.175])
HAIR_COLOURS = (
    (0.075, 0.065, 0.060),
    (0.17, 0.115, 0.075),
    (0.29, 0.19, 0.11),
    (0.56, 0.41, 0.22),
    (0.44, 0.20, 0.09),
    (0.52, 0.51, 0.50),
)
IRIS_COLOURS = ((0.24, 0.15, 0.09), (0.27, 0.42, 0.58), (0.30, 0.43, 0.27), (0.15, 0.10, 0.075), (0.42, 0.46, 0.48))
BEARDLESS_STYLES = ("bob", "long", "bun", "fringe")
"""Styles that are drawn without a beard, so that beards stay the rarer case."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """A person.

    Attributes:
        shape: float32 `[22]`, order `SHAPE_NAMES`.
        albedo: float32 `[20]`, order `ALBEDO_NAMES`.
        hair: one of `HAIR_STYLES`, with `MIRRORED` added for a parting on the other side.
        detail_seed: of the fine texture.
        mirrored: whether the fine texture is turned left to right.
    """

    shape: np.ndarray
    albedo: np.ndarray
    hair: str
    detail_seed: int
    mirrored: bool = False

    def __post_init__(self):
        for name, names in (("shape", SHAPE_NAMES), ("albedo", texture.ALBEDO_NAMES)):
            got = np.shape(getattr(self, name))
            if got != (len(names),):
                raise ValueError(f"Identity.{name} has shape {got}, must be ({len(names)},)")
        if self.hair.removesuffix(MIRRORED) not in HAIR_STYLES:
            raise ValueError(f"unknown hair style {self.hair!r}; known: {', '.join(HAIR_STYLES)}")

    def mirrored_copy(self) -> "Identity":
        """The person in the mirror."""
        plain = self.hair.removesuffix(MIRRORED)
        style = STYLES[plain]
        if style is None or style.parting == 0 or self.hair != plain:
            hair = plain
        else:
            hair = plain + MIRRORED
        return dataclasses.replace(self, hair=hair, mirrored=not self.mirrored)


def _tinted(rng, colour, low, high):
    return np.clip(np.asarray(colour) * rng.uniform(low, high, 3), 0.02, 0.98)


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draws a person."""
    shape = np.clip(rng.normal(0, SHAPE_SPREAD, len(SHAPE_NAMES)), -SHAPE_LIMIT, SHAPE_LIMIT)
    skin = _tinted(rng, SKIN_PALE + (SKIN_DARK - SKIN_PALE) * rng.uniform(0, 1), 0.96, 1.04) * rng.uniform(0.95, 1.04)
    darkness = 1 - skin.mean()
    hair_index = rng.choice(len(HAIR_COLOURS), p=_hair_chances(darkness))
    hair = _tinted(rng, HAIR_COLOURS[hair_index], 0.92, 1.08) * rng.uniform(0.75, 1.30)
    iris = _tinted(rng, IRIS_COLOURS[rng.choice(len(IRIS_COLOURS), p=_iris_chances(darkness))], 0.80, 1.25)
    lip = _tinted(rng, skin * [0.86, 0.60, 0.62], 0.88, 1.14)
    brow_strength = rng.uniform(0.35, 0.95)
    brow = skin * (1 - brow_strength) + 0.55 * hair * brow_strength
    style = HAIR_STYLES[rng.integers(len(HAIR_STYLES))]
    bearded = style not in BEARDLESS_STYLES and rng.uniform() < 0.5
    beard_strength = rng.uniform(0.05, 0.75) if bearded else 0.0
    beard = skin * (1 - beard_strength) + 0.75 * hair * beard_strength
    colours = texture.region_coefficients(skin=skin, lip=lip, brow=brow, beard=beard, iris=iris, hair=hair)
    added = rng.uniform(-0.3, 1.0, 2) * skin.mean() * 1.4
    if STYLES[style] is not None and STYLES[style].parting and rng.uniform() < 0.5:
        style += MIRRORED
    return Identity(
        shape.astype(np.float32), np.concatenate([colours, added]).astype(np.float32), style, int(rng.integers(2**31))
    )


def _hair_chances(darkness):
    dark = np.clip((darkness - 0.35) / 0.25, 0, 1)
    chances = (1 - dark) * np.array([0.14, 0.20, 0.22, 0.20, 0.12, 0.12]) + dark * np.array(
        [0.6, 0.25, 0.05, 0.02, 0.02, 0.06]
    )
    return chances / chances.sum()


def _iris_chances(darkness):
    dark = np.clip((darkness - 0.35) / 0.25, 0, 1)
    chances = (1 - dark) * np.array([0.28, 0.26, 0.2, 0.12, 0.14]) + dark * np.array([0.45, 0.02, 0.03, 0.48, 0.02])
    return chances / chances.sum()


SKIN_OCTAVES = ((12, 0.030), (34, 0.022), (110, 0.018))
"""Cells over the face's patch and strength of each layer of skin noise."""
HAIR_OCTAVES = ((3, 60, 0.16), (6, 150, 0.13))
"""Cells along and across the hair, and strength."""


def detail(identity: Identity):
    """Fine texture that multiplies the linear albedo: float32 `[320, 512, 1]`, around 1."""
    seed = identity.detail_seed * 64
    factor = np.ones((texture.ATLAS_HEIGHT, texture.ATLAS_WIDTH, 1), np.float32)
    for patch in ("face", "neck", "ear"):
        area = texture.view(factor, patch)[..., 0]
        for octave, (cells, strength) in enumerate(SKIN_OCTAVES):
            down, across = max(1, cells * area.shape[0] // 320), max(1, cells * area.shape[1] // 320)
            area += np.float32(strength) * value_noise(seed + octave, *area.shape, down, across)
    hair = texture.view(factor, "hair")[..., 0]
    for octave, (along, across, strength) in enumerate(HAIR_OCTAVES):
        hair += np.float32(strength) * value_noise(seed + 8 + octave, *hair.shape, along, across)
    _spots(texture.view(factor, "face")[..., 0], np.random.default_rng(identity.detail_seed))
    if identity.mirrored:
        for patch in ("face", "neck", "hair"):
            area = texture.view(factor, patch)
            area[:] = area[:, ::-1].copy()
    return factor


def _spots(area, rng):
    """Freckles and a few moles, drawn into the face's detail `[320, 256]`."""
    freckles = int(rng.integers(0, 90) * (rng.uniform() < 0.35))
    moles = int(rng.integers(0, 4))
    for index in range(freckles + moles):
        mole = index >= freckles
        row = rng.uniform(95, 275) if mole else rng.normal(165, 18)
        column = rng.uniform(45, 210) if mole else rng.normal(128, 34)
        width = rng.uniform(0.9, 1.6) if mole else rng.uniform(0.6, 1.1)
        strength = rng.uniform(0.35, 0.65) if mole else rng.uniform(0.06, 0.20)
        # What falls beside the face leaves an empty patch.
        top, left = np.clip((int(row) - 5, int(column) - 5), 0, area.shape)
        bottom, right = np.clip((int(row) + 6, int(column) + 6), 0, area.shape)
        rows, columns = np.mgrid[top:bottom, left:right]
        spot = np.exp(-0.5 * ((rows - row) ** 2 + (columns - column) ** 2) / width**2)
        area[rows, columns] *= (1 - strength * spot).astype(np.float32)
