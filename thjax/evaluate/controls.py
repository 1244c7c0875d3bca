"""Rows of a table: the system, and controls that show what a figure is worth without it."""

import dataclasses
from collections.abc import Callable

import numpy as np
import simplejpeg

from thjax.engine import Sampler
from thjax.evaluate.synthesis import synthesise

JPEG_QUALITY = 90
WRONG_AUDIO_ROLLS = 3
"""`wrong_audio` is the mean over this many derangements, each clip speaking another speaker's audio. Where one speaker
has more than half of the clips, it is another clip's."""


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


def other_speakers_suffice(speakers: list[str]) -> bool:
    """Whether every clip can get a clip of another speaker, each taken equally often."""
    return 2 * max(map(speakers.count, set(speakers))) <= len(speakers)


def derangement(speakers: list[str], shift: int) -> np.ndarray:
    """[N] for every clip the index of another clip, each taken once: of another speaker where those suffice.

    Raises:
        ValueError: there is one clip only.
    """
    order = np.argsort(np.array(speakers), kind="stable")
    n = len(order)
    if n < 2:
        raise ValueError("wrong_audio needs the audio of another clip, and there is 1 clip; evaluate at least 2")
    # Rolling the clips sorted by speaker by at least the largest block always crosses into another speaker.
    least = max(map(speakers.count, set(speakers))) if other_speakers_suffice(speakers) else 1
    roll = least + (shift * max(1, (n - 2 * least) // max(1, WRONG_AUDIO_ROLLS - 1))) % (n - 2 * least + 1)
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
