"""How well a lip reader reads held-out clips, beside controls that know more than it can, and others that know less."""

from collections.abc import Sequence

import numpy as np

from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.grammar import GRID, LETTER_SLOT
from data_pipelines.synthetic.voices import draw_voice
from thjax.judge_training.clips import Clips
from thjax.judge_training.equal_visemes import guessing_errors
from thjax.judges.lips import LIP_LANDMARKS, Judge
from thjax.judges.regions import MOUTH_SIDE
from thjax.metrics.bootstrap import bootstrap

MASK_MARGIN = 4
"""Pixels of a mouth window by which the mask exceeds everywhere that the lips go in a clip."""


def table(judge: Judge, exactly_read: Sequence[tuple[str, ...]], clips: Clips, seed: int, split: str
          ) -> dict[str, dict[str, dict]]:
    """Error rates of words, of letters, and of words in the other slots, 0 to 1.

    Rows:
        ours: the judge.
        oracle_exact_track: words of a reader that gets exact coefficients instead of pictures.
        equal_visemes_guessed: expected exactly, where words of a slot with equal mouth shapes are told apart by chance
            and all others always; durations count for nothing here, so an oracle may be better.
        wrong_video: the judge reads a clip of another speaker.
        masked_mouth: the judge reads the clip with a grey plate over mouth and chin.
        chance: expected exactly, words guessed by the grammar.

    Args:
        judge: a lip reader.
        exactly_read: words of the oracle, one command a clip.
        clips: rendered, of `split` drawn with `seed`.
        seed, split: they name the speakers' voices.
    """
    said = clips.words
    ours = np.array([judge.read_windows(mouth) for mouth in clips.mouth])
    masked = [judge.read_windows(masked_mouth(mouth, landmarks))
              for mouth, landmarks in zip(clips.mouth, clips.landmarks, strict=True)]
    voices = [draw_voice(seed, split, int(speaker)) for speaker in clips.speaker]
    with Espeak() as espeak:
        guessed = guessing_errors(said, voices, espeak)
    errors = {
        "ours": ours != said,
        "oracle_exact_track": np.array(exactly_read) != said,
        "equal_visemes_guessed": guessed,
        "wrong_video": ours[other_speakers(clips.speaker)] != said,
        "masked_mouth": np.array(masked) != said,
        "chance": np.broadcast_to([1 - 1 / len(slot) for slot in GRID], said.shape),
    }
    return {row: _rates(wrong.astype(np.float64), clips.speaker) for row, wrong in errors.items()}


def masked_mouth(mouth: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Windows `[T, 48, 48]` with a plate of the clip's mean grey over wherever the lips go and over all below them."""
    lips = landmarks[:, LIP_LANDMARKS]
    left, top = np.maximum(np.floor(lips.min(axis=(0, 1))).astype(int) - MASK_MARGIN, 0)
    right = min(int(np.ceil(lips[..., 0].max())) + MASK_MARGIN, MOUTH_SIDE)
    masked = mouth.copy()
    masked[:, top:, left:right] = int(mouth.mean())
    return masked


def other_speakers(speaker: np.ndarray) -> np.ndarray:
    """For each clip the index of a clip of another speaker, half of all speakers further on; `[N]`.

    Raises:
        ValueError: fewer than two speakers, or not equally many clips of each.
    """
    labels, counts = np.unique(speaker, return_counts=True)
    if len(labels) < 2 or (counts != counts[0]).any():
        raise ValueError(f"speakers with {counts.tolist()} clips; exchanging videos takes two or more speakers with "
                         "equally many")
    return np.roll(np.argsort(speaker, kind="stable"), counts[0] * (len(labels) // 2))[
        np.argsort(np.argsort(speaker, kind="stable"))]


def _rates(wrong: np.ndarray, speaker: np.ndarray) -> dict[str, dict]:
    """Means of errors `[N, 6]`, with intervals over clips and over speakers."""
    others = [slot for slot in range(len(GRID)) if slot != LETTER_SLOT]
    columns = {"wer": wrong.mean(axis=1), "letters": wrong[:, LETTER_SLOT],
               "other_slots": wrong[:, others].mean(axis=1)}
    return {metric: bootstrap(values, speaker).as_json() for metric, values in columns.items()}
