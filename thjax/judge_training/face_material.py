"""Whole frames of spoken clips with every label, for the judge of faces: natural mouths, blinks and head motion."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_pipelines import schema
from data_pipelines.synthetic import corpus as drawing
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.expression import EXPRESSION_NAMES
from data_pipelines.synthetic.render import COEFFICIENT_NAMES, render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import Corpus, Place
from data_pipelines.synthetic.visemes import BILABIALS
from thjax.judge_training import crew
from thjax.judge_training.stills import Stills

MOST_BILABIALS = 32
"""Rows kept for the p, b and m of a clip; GRID's commands have fewer."""
_FIRST = COEFFICIENT_NAMES.index(EXPRESSION_NAMES[0])
EXPRESSION = slice(_FIRST, _FIRST + len(EXPRESSION_NAMES))
"""Columns of the expression among the coefficients."""


@dataclasses.dataclass(frozen=True)
class Faces:
    """N frames of one size, each alone.

    Attributes:
        frames: uint8 `[N, S, S, 3]` RGB.
        landmarks: float32 `[N, 68, 2]` pixels.
        expression: float32 `[N, 20]`, 0 to 1.
        pose: float32 `[N, 6]`, order `schema.POSE`.
        blink: uint8 `[N]`.
        person: int32 `[N]`, whose face it is.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    expression: np.ndarray
    pose: np.ndarray
    blink: np.ndarray
    person: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)


@dataclasses.dataclass(frozen=True)
class Spoken:
    """C clips of T frames of whole pictures; fields of `Faces` with [C, T] in front, and what was said.

    Attributes:
        bilabials: float32 `[C, 32, 2]` first and last moment of every p, b and m, in frames of 25 fps; NaN beyond them.
        speech: bool `[C, T]`, frames between the first word's start and the last one's end.
        speaker: int32 `[C]`.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    expression: np.ndarray
    pose: np.ndarray
    blink: np.ndarray
    bilabials: np.ndarray
    speech: np.ndarray
    speaker: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def faces(self) -> Faces:
        """All frames in a row."""
        fields = [field.name for field in dataclasses.fields(Faces) if field.name != "person"]
        person = np.repeat(self.speaker, self.frames.shape[1])
        return Faces(**{name: (part := getattr(self, name)).reshape(-1, *part.shape[2:]) for name in fields},
                     person=person)


def faces_of(stills: Stills) -> Faces:
    """Stills as the judge of faces takes them."""
    return Faces(stills.frames, stills.landmarks, stills.coefficients[:, EXPRESSION], stills.pose, stills.blink,
                 stills.identity)


def draw_spoken(seed: int, split: str, speakers: int, clips: int, size: int, every: int, folder: Path,
                report: Callable[[int, int], None] = lambda done, speakers: None) -> Spoken:
    """Clips of a split of the embedded corpus in whole frames; kept in `folder`.

    Args:
        seed: of faces, voices, sentences and motion.
        split: train, validation or test.
        speakers, clips: how many, and how many of each.
        size: pixels of the square frame; clips of another size show the same moments.
        every: draws one frame in so many.
        folder: where finished material lies.
        report: called with (speakers done, speakers).
    """
    jobs = [(seed, split, speaker, clips, size, every) for speaker in range(speakers)]
    return Spoken(**crew.gather(speaker_frames, jobs, folder, f"faces-{split}-{seed}", report))


def speaker_frames(job: tuple) -> crew.Arrays:
    """The clips of one speaker; `job` as `draw_spoken` makes it."""
    seed, split, speaker, clips, size, every = job
    corpus = Corpus(speakers=3, clips=clips, size=size, motion="natural", sentences="grid", seed=seed)
    with Espeak() as espeak:
        made = [_clip(corpus, Place(split, speaker, clip), espeak, every) for clip in range(clips)]
    return {field: np.stack([clip[field] for clip in made]) for field in made[0]}


def _clip(corpus: Corpus, place: Place, espeak: Espeak, every: int) -> crew.Arrays:
    said = drawing.make_speech(corpus, place, espeak)
    moved = drawing.make_motion(corpus, place, said)
    rng = generator(corpus.seed, "scene", place.split, place.speaker, place.clip)
    scene, noise_seed = sample_scene(rng), int(rng.integers(2**31))
    made = render_clip(drawing.make_identity(corpus, place), scene, moved.expression[::every], moved.pose[::every],
                       moved.gaze[::every], size=corpus.size, seed=noise_seed)
    moments = (np.arange(0, len(moved.expression), every) + 0.5) / schema.FPS
    bilabials = np.full((MOST_BILABIALS, 2), np.nan, np.float32)
    times = [(phoneme.start, phoneme.end) for phoneme in said.phonemes if phoneme.name in BILABIALS]
    bilabials[: len(times)] = np.reshape(times, (-1, 2)) * schema.FPS
    return {
        **{name: getattr(made, name) for name in ("frames", "landmarks", "pose", "blink")},
        "expression": made.coefficients[:, EXPRESSION], "bilabials": bilabials, "speaker": np.int32(place.speaker),
        "speech": (moments >= said.words[0][1]) & (moments < said.words[-1][2]),
    }
