"""Single mouths of many people who speak: what a network that looks at one frame learns from, more faces than clips."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_pipelines.synthetic import corpus as drawing
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import Corpus, Place
from thjax.judge_training import crew
from thjax.judges.regions import in_mouth_windows, mouth_windows

FRAME_SIZE = 128
SPEAKERS_PER_JOB = 10


@dataclasses.dataclass(frozen=True)
class Mouths:
    """N speakers with F frames each, picked at random from one clip and hence under one light.

    Attributes:
        mouth: uint8 `[N, F, 48, 48]` grey mouth windows.
        landmarks: float32 `[N, F, 68, 2]` pixels of the mouth windows.
        expression: float32 `[N, F, 20]`, 0 to 1, order `EXPRESSION_NAMES`.
    """

    mouth: np.ndarray
    landmarks: np.ndarray
    expression: np.ndarray

    def __len__(self) -> int:
        return len(self.mouth)


def draw_mouths(seed: int, split: str, speakers: int, frames: int, folder: Path, first: int = 0,
                report: Callable[[int, int], None] = lambda done, jobs: None) -> Mouths:
    """Mouths of speakers of a split of the embedded corpus with this seed, under faces of their own; kept in `folder`.

    Args:
        seed: of faces, voices, sentences and motion.
        split: train, validation or test.
        speakers, frames: how many, and how many of each, at most 75.
        folder: where finished material lies.
        first: number of the first speaker.
        report: called with (jobs done, jobs).
    """
    jobs = [(seed, split, speaker, min(SPEAKERS_PER_JOB, first + speakers - speaker), frames)
            for speaker in range(first, first + speakers, SPEAKERS_PER_JOB)]
    return Mouths(**crew.gather(some_speakers, jobs, folder, f"mouths-{split}-{seed}", report))


def some_speakers(job: tuple) -> crew.Arrays:
    """The mouths of a few speakers; `job` as `draw_mouths` makes it."""
    seed, split, first, count, frames = job
    corpus = Corpus(speakers=3, clips=1, size=FRAME_SIZE, motion="natural", sentences="grid", seed=seed)
    with Espeak() as espeak:
        made = [_speaker(corpus, Place(split, speaker, 0), frames, espeak) for speaker in range(first, first + count)]
    return {field: np.stack([speaker[field] for speaker in made]) for field in made[0]}


def _speaker(corpus: Corpus, place: Place, frames: int, espeak: Espeak) -> crew.Arrays:
    moved = drawing.make_motion(corpus, place, drawing.make_speech(corpus, place, espeak))
    rng = generator(corpus.seed, "mouths", place.split, place.speaker)
    picks = np.sort(rng.choice(len(moved.expression), frames, replace=False))
    identity = sample_identity(generator(corpus.seed, "face of mouths", place.split, place.speaker))
    made = render_clip(identity, sample_scene(rng), moved.expression[picks], moved.pose[picks], moved.gaze[picks],
                       FRAME_SIZE, int(rng.integers(2**31)))
    # one by one: neighbours here are no neighbours in time, and windows are smoothed over time
    alone = [slice(index, index + 1) for index in range(frames)]
    return {
        "mouth": np.concatenate([mouth_windows(made.frames[one], made.landmarks[one]) for one in alone]),
        "landmarks": np.concatenate([in_mouth_windows(made.landmarks[one]) for one in alone]),
        "expression": moved.expression[picks].astype(np.float32),
    }
