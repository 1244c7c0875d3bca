"""Spoken clips for the judges of lips: mouth windows, sound and exact tracks, drawn from the embedded corpus."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_pipelines import schema
from data_pipelines.synthetic import corpus as drawing
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.expression import EXPRESSION_NAMES
from data_pipelines.synthetic.render import COEFFICIENT_NAMES
from data_pipelines.synthetic.settings import Corpus, Place
from thjax.judge_training import crew
from thjax.judges.regions import in_mouth_windows, mouth_windows

FRAME_SIZE = 128
_EXPRESSION = slice(COEFFICIENT_NAMES.index(EXPRESSION_NAMES[0]), COEFFICIENT_NAMES.index(EXPRESSION_NAMES[-1]) + 1)


@dataclasses.dataclass(frozen=True)
class Clips:
    """N clips of 75 frames, GRID's commands, in the order of speakers.

    Attributes:
        mouth: uint8 `[N, T, 48, 48]` grey mouth windows, with the exact landmarks as tracker; None for tracks alone.
        landmarks: float32 `[N, T, 68, 2]` pixels of the mouth windows; None for tracks alone.
        audio: int16 `[N, T * 640 + 6400]`, 3,200 samples of context on each side; None for tracks alone.
        expression: float32 `[N, T, 20]`, 0 to 1, order `EXPRESSION_NAMES`.
        words: `[N, 6]` str, the command's words.
        word_times: float32 `[N, 6, 2]` start and end of each word, seconds.
        speech: bool `[N, T]`, frames between the first word's start and the last one's end.
        speaker: int32 `[N]`.
    """

    mouth: np.ndarray | None
    landmarks: np.ndarray | None
    audio: np.ndarray | None
    expression: np.ndarray
    words: np.ndarray
    word_times: np.ndarray
    speech: np.ndarray
    speaker: np.ndarray

    def __len__(self) -> int:
        return len(self.speech)


def draw_clips(seed: int, split: str, speakers: int, clips: int, folder: Path, motion: str = "natural",
               rendered: bool = True, first: int = 0,
               report: Callable[[int, int], None] = lambda done, speakers: None) -> Clips:
    """Clips of a split of the embedded corpus with this seed; kept in `folder`.

    Args:
        seed: of faces, voices, sentences and motion.
        split: train, validation or test: voices, accents and sentences differ between them.
        speakers, clips: how many, and how many of each.
        folder: where finished material lies.
        motion: preset of `data_pipelines.synthetic.presets`.
        rendered: False leaves `mouth`, `landmarks` and `audio` out, which takes a tenth of the time.
        first: number of the first speaker.
        report: called with (speakers done, speakers).
    """
    jobs = [(seed, split, speaker, clips, motion, rendered) for speaker in range(first, first + speakers)]
    kind = "clips" if rendered else "tracks"
    arrays = crew.gather(speaker_clips, jobs, folder, f"{kind}-{split}-{seed}", report)
    return Clips(**{field.name: arrays.get(field.name) for field in dataclasses.fields(Clips)})


def speaker_clips(job: tuple) -> crew.Arrays:
    """The clips of one speaker; `job` as `draw_clips` makes it."""
    seed, split, speaker, clips, motion, rendered = job
    corpus = Corpus(speakers=3, clips=clips, size=FRAME_SIZE, motion=motion, sentences="grid", seed=seed)
    with Espeak() as espeak:
        made = [_clip(corpus, Place(split, speaker, clip), espeak, rendered) for clip in range(clips)]
    return {field: np.stack([clip[field] for clip in made]) for field in made[0]}


def _clip(corpus: Corpus, place: Place, espeak: Espeak, rendered: bool) -> crew.Arrays:
    if rendered:
        clip = drawing.make_clip(corpus, place, espeak)
        words, expression = clip["words"], clip["coefficients"][:, _EXPRESSION]
        recorded = {"mouth": mouth_windows(clip["frames"], clip["landmarks"]),
                    "landmarks": in_mouth_windows(clip["landmarks"]),
                    "audio": np.pad(clip["audio"], schema.AUDIO_CONTEXT)}
    else:
        said = drawing.make_speech(corpus, place, espeak)
        words, expression = said.words, drawing.make_motion(corpus, place, said).expression
        recorded = {}
    times = np.array([[start, end] for _, start, end in words], np.float32)
    moments = (np.arange(len(expression)) + 0.5) / schema.FPS
    return recorded | {
        "expression": expression.astype(np.float32),
        "words": np.array([word for word, _, _ in words]), "word_times": times,
        "speech": (moments >= times[0, 0]) & (moments < times[-1, 1]), "speaker": np.int32(place.speaker),
    }
