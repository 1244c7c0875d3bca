"""Rows of a table: the system, and controls that show what a figure is worth without it."""

import dataclasses
from collections.abc import Callable

import numpy as np
import simplejpeg

from thjax.engine import Sampler
from thjax.evaluate.synthesis import synthesise

JPEG_QUALITY = 90
WRONG_AUDIO_ROLLS = 3
"""`wrong_audio` is the mean over this many derangements, each clip speaking another speaker's audio."""


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """Held-out clips, whole, in one order.

    Attributes:
        keys: N names.
        speakers: N names.
        frames: [N, T, H, W, 3] uint8 truth.
        stills: [N, H, W, 3] uint8.
        audio: [N, T * 640 + 6400] int16.
        valid: [N, T] 1 where a frame counts.
        landmarks: [N, T, 68, 2] pixels, or None where the corpus has none.
    """

    keys: list[str]
    speakers: list[str]
    frames: np.ndarray
    stills: np.ndarray
    audio: np.ndarray
    valid: np.ndarray
    landmarks: np.ndarray | None

    def __len__(self) -> int:
        return len(self.keys)


def derangement(speakers: list[str], shift: int) -> np.ndarray:
    """[N] for every clip the index of a clip of another speaker, each taken about equally often.

    Raises:
        ValueError: one speaker owns more than half of the clips, or there is one speaker only.
    """
    order = np.argsort(np.array(speakers), kind="stable")
    sorted_speakers = np.array(speakers)[order]
    n = len(order)
    largest = max((sorted_speakers == s).sum() for s in set(speakers))
    if 2 * largest > n:
        raise ValueError(
            f"wrong_audio needs clips of other speakers: the largest speaker has {largest} of {n} clips; "
            "evaluate a split in which no speaker has more than half"
        )
    # Rolling the clips sorted by speaker by at least the largest block always crosses into another speaker.
    roll = largest + (shift * max(1, (n - 2 * largest) // max(1, WRONG_AUDIO_ROLLS - 1))) % (n - 2 * largest + 1)
    target = np.empty(n, int)
    target[order] = order[(np.arange(n) + roll) % n]
    return target


def reencode(frames: np.ndarray) -> np.ndarray:
    """Every frame [T, H, W, 3] uint8 through JPEG at `JPEG_QUALITY`, 4:2:0: what a codec alone costs."""
    def through_jpeg(frame):
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality=JPEG_QUALITY, colorsubsampling="420")
        return simplejpeg.decode_jpeg(data)

    return np.stack([through_jpeg(frame) for frame in frames])


def rows(sampler: Sampler, clips: ClipSet, seed: int) -> dict[str, Callable[[], list[np.ndarray]]]:
    """{row: function that makes it}. A row is a list of takes [N, T, H, W, 3], over which metrics are averaged."""
    length = clips.frames.shape[1]

    def spoken(audio):
        return synthesise(sampler, clips.stills, audio, length, seed)

    def wrong_audio():
        return [spoken(clips.audio[derangement(clips.speakers, shift)]) for shift in range(WRONG_AUDIO_ROLLS)]

    return {
        "ours": lambda: [spoken(clips.audio)],
        "copy_first_frame": lambda: [np.repeat(clips.stills[:, None], length, axis=1)],
        "wrong_audio": wrong_audio,
        "silent_audio": lambda: [spoken(np.zeros_like(clips.audio))],
        "re_encoded_truth": lambda: [np.stack([reencode(clip) for clip in clips.frames])],
    }
