"""Single pictures of many people, for the judges of faces: pose, light, expression, background and clothes differ from
picture to picture, the person does not."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_pipelines.synthetic import texture
from data_pipelines.synthetic.expression import EXPRESSION_NAMES
from data_pipelines.synthetic.identity import Identity, sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.seeding import generator
from thjax.judge_training import crew

YAW, PITCH, ROLL = np.radians(24), np.radians(11), np.radians(10)
"""Largest turns, to either side."""
SHIFT_MM, NEARER_MM = 6.0, 70.0
"""Largest shift in the picture, and largest step towards the camera or away from it (zoom 0.88 to 1.12)."""
UNITS_AT_ONCE, STRONGEST = 5, 0.9
"""Units of expression that are drawn in one picture, and how far they go."""
BLINK_SHARE = 0.15
"""Pictures with lids anywhere between open and shut, so that shut eyes are no rarity."""
IDENTITIES_PER_JOB = 10


@dataclasses.dataclass(frozen=True)
class Stills:
    """N pictures in the order of identities.

    Attributes:
        frames: uint8 `[N, S, S, 3]` RGB.
        landmarks: float32 `[N, 68, 2]` pixels.
        au: float32 `[N, 17]`, 0 to 5.
        pose: float32 `[N, 6]`, order `schema.POSE`.
        blink: uint8 `[N]`.
        coefficients: float32 `[N, K]`, order `COEFFICIENT_NAMES`.
        lip_gap: float32 `[N]` mm.
        identity: int32 `[N]`.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    au: np.ndarray
    pose: np.ndarray
    blink: np.ndarray
    coefficients: np.ndarray
    lip_gap: np.ndarray
    identity: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


def draw_stills(seed: int, split: str, identities: int, each: int, size: int, folder: Path, redraw_hair: bool = False,
                report: Callable[[int, int], None] = lambda done, jobs: None) -> Stills:
    """Pictures of people who exist in one split and one seed only; kept in `folder`.

    Args:
        seed: of everything.
        split: train, validation or test.
        identities, each: people, and pictures of each.
        size: pixels of the square frame.
        folder: where finished material lies.
        redraw_hair: gives every picture another hair style and hair colour.
        report: called with (jobs done, jobs).
    """
    jobs = [(seed, split, first, min(IDENTITIES_PER_JOB, identities - first), each, size, redraw_hair)
            for first in range(0, identities, IDENTITIES_PER_JOB)]
    arrays = crew.gather(some_people, jobs, folder, f"stills-{split}-{seed}", report)
    return Stills(**arrays)


def some_people(job: tuple) -> crew.Arrays:
    """Pictures of a few people; `job` as `draw_stills` makes it."""
    seed, split, first, count, each, size, redraw_hair = job
    made = [_picture(seed, split, person, number, size, redraw_hair)
            for person in range(first, first + count) for number in range(each)]
    return {field: np.stack([picture[field] for picture in made]) for field in made[0]}


def _picture(seed: int, split: str, person: int, number: int, size: int, redraw_hair: bool) -> crew.Arrays:
    identity = sample_identity(generator(seed, "still identity", split, person))
    rng = generator(seed, "still", split, person, number)
    if redraw_hair:
        identity = with_hair_of(identity, sample_identity(rng))
    scene = sample_scene(rng)
    expression, pose = draw_expression(rng), draw_pose(rng)
    gaze = rng.normal(0, [0.15, 0.08])
    made = render_clip(identity, scene, expression[None], pose[None], gaze[None], size, int(rng.integers(2**31)))
    fields = ("frames", "landmarks", "au", "pose", "blink", "coefficients", "lip_gap")
    return {name: getattr(made, name)[0] for name in fields} | {"identity": np.int32(person)}


def draw_expression(rng: np.random.Generator) -> np.ndarray:
    """Any face: float32 `[20]`, 0 to 1, order `EXPRESSION_NAMES`."""
    expression = np.zeros(len(EXPRESSION_NAMES), np.float32)
    units = rng.choice(len(EXPRESSION_NAMES), UNITS_AT_ONCE, replace=False)
    expression[units] = rng.uniform(0, STRONGEST, UNITS_AT_ONCE)
    blink = EXPRESSION_NAMES.index("AU45")
    expression[blink] = rng.uniform(0, 1) if rng.uniform() < BLINK_SHARE else 0.0
    return expression


def draw_pose(rng: np.random.Generator) -> np.ndarray:
    """Any plausible pose: float64 `[6]`, order `schema.POSE`, from the scene's rest place."""
    limits = np.array([SHIFT_MM, SHIFT_MM, NEARER_MM, PITCH, YAW, ROLL])
    return rng.uniform(-limits, limits)


def with_hair_of(identity: Identity, other: Identity) -> Identity:
    """The person under another one's hair, in style and colour."""
    hair = [index for index, name in enumerate(texture.ALBEDO_NAMES) if name.startswith("hair_")]
    albedo = identity.albedo.copy()
    albedo[hair] = other.albedo[hair]
    return dataclasses.replace(identity, hair=other.hair, albedo=albedo)
