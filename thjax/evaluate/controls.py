"""Rows of a table: the system, and controls that show what a figure is worth without it."""

import dataclasses
import logging

import numpy as np
import simplejpeg

log = logging.getLogger(__name__)
JPEG_QUALITY = 90
WRONG_AUDIO_ROLLS = 3
"""`wrong_audio` is the mean over this many derangements, each clip speaking another speaker's audio. Where one speaker
has more than half of the clips, it is another clip's."""
CEILING = "re_encoded_truth"
"""The row that no system should be expected to beat: the truth itself behind a codec."""


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


def whose_audio(speakers: list[str]) -> str:
    """Whose audio the row `wrong_audio` speaks, for the table; warns where a split has too few speakers."""
    if other_speakers_suffice(speakers):
        return "another speaker's"
    log.warning("one speaker has more than half of the %d clips, so wrong_audio is another clip's audio, not always "
                "another speaker's; for the harder control write a corpus with more speakers in this split",
                len(speakers))
    return "another clip's"


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


def other_of_the_same(speakers: list[str]) -> dict[int, int]:
    """{index: the next clip of the same speaker}, round in a ring; speakers of one clip are left out."""
    rings: dict[str, list[int]] = {}
    for index, speaker in enumerate(speakers):
        rings.setdefault(speaker, []).append(index)
    return {ring[i]: ring[(i + 1) % len(ring)] for ring in rings.values() if len(ring) > 1 for i in range(len(ring))}


def copied(still: np.ndarray, frames: int) -> np.ndarray:
    """The still [H, W, 3], `frames` times."""
    return np.repeat(still[None], frames, axis=0)


def reencode(frames: np.ndarray) -> np.ndarray:
    """Every frame [T, H, W, 3] uint8 through JPEG at `JPEG_QUALITY`, 4:2:0: what a codec alone costs."""
    def through_jpeg(frame):
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality=JPEG_QUALITY, colorsubsampling="420")
        return simplejpeg.decode_jpeg(data)

    return np.stack([through_jpeg(frame) for frame in frames])
