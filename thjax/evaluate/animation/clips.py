"""True clips as motion: what was said, how the head moved, and what else it might have done."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np
import scipy.ndimage

from data_pipelines.loader import clips as load_clips
from data_pipelines.schema import AU_INTENSITY, AUDIO_CONTEXT, POSE, SAMPLES_PER_FRAME, DataError
from data_pipelines.synthetic.prosody import analyse
from thjax.core.data_spec import DataSpec
from thjax.evaluate.transcripts import Transcripts
from thjax.evaluate.truth import Spans, bilabials_of, speech_of
from thjax.systems.motion_sampler import CHANNELS

FIELDS = ("audio", "au", "pose")
UNITS, TRANSLATION = slice(0, len(AU_INTENSITY)), slice(len(AU_INTENSITY), len(AU_INTENSITY) + 3)
GROUPS = {
    "lips": tuple(map(CHANNELS.index, ("AU10", "AU14", "AU17", "AU20", "AU23", "AU25", "AU26"))),
    "brows": tuple(map(CHANNELS.index, ("AU01", "AU02", "AU04"))),
    "pose": tuple(map(CHANNELS.index, POSE)),
}
"""Channels that figures are given for apart."""
NOD, BLINK = CHANNELS.index("Rx"), CHANNELS.index("AU45")
ENERGY_SMOOTHING, ENERGY_LAG = 3.0, 2
"""Frames: the loudness that a head may follow is smoothed by 120 ms and comes 80 ms late."""


@dataclasses.dataclass(frozen=True, eq=False)
class MotionClip:
    """A true clip.

    Attributes:
        key: its name.
        speaker: name.
        vectors: [T, 23] f32, AU intensities 0 to 5, mm from the first frame with a face, rad.
        counts: [T] bool, frames with labels; there may be none.
        audio: [T * 640 + 6400] int16, 3,200 samples of context on each side.
        words, phonemes: with times, or empty.
    """

    key: str
    speaker: str
    vectors: np.ndarray
    counts: np.ndarray
    audio: np.ndarray
    words: Spans
    phonemes: Spans

    @property
    def frames(self) -> int:
        """T."""
        return len(self.vectors)

    @functools.cached_property
    def speech(self) -> np.ndarray | None:
        """[T] bool: labelled frames whose middle lies inside a word; None where words are not known."""
        return speech_of(self.words, self.frames) & self.counts if self.words else None

    @functools.cached_property
    def bilabials(self) -> np.ndarray | None:
        """[K, 2] start and end of every p, b and m in frames; None where phonemes are not known."""
        return bilabials_of(self.phonemes) if self.phonemes else None

    @functools.cached_property
    def energy(self) -> np.ndarray:
        """[T] log loudness, standardised over the clip, smoothed and delayed as a head follows it."""
        spoken = self.audio[AUDIO_CONTEXT : AUDIO_CONTEXT + self.frames * SAMPLES_PER_FRAME]
        smooth = scipy.ndimage.gaussian_filter1d(analyse(spoken).log_energy, ENERGY_SMOOTHING, mode="nearest")
        return np.concatenate([np.repeat(smooth[:1], ENERGY_LAG), smooth])[: self.frames]


class MotionClips(Sequence):
    """The clips of a split, read when they are asked for.

    Args:
        data: prepared corpus.
        split: of its manifest.
        spec: of the run.
        limit: clips to use, spread over the split; 0 uses all.

    Raises:
        DataError: the split has no clip, or the corpus no labels of action units and pose.
    """

    def __init__(self, data: pathlib.Path, split: str, spec: DataSpec, limit: int = 0):
        wanted = dataclasses.replace(spec, split=split, fields=FIELDS, mirror=False)
        self._clips = load_clips(data, split, wanted, limit)
        if not len(self._clips):
            raise DataError(f"{data} has no clip in split {split!r}; write some, or choose another split")
        self._transcripts = Transcripts(self._clips.manifest, split)
        self.manifest = self._clips.manifest
        self.keys, self.speakers, self.length = self._clips.keys, self._clips.speakers, self._clips.length

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> MotionClip:
        example = self._clips[number]
        counts = example["valid"] > 0
        frames = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else len(counts)
        vectors = np.concatenate([example["au"], example["pose"]], axis=1)[:frames]
        vectors[:, TRANSLATION] -= vectors[counts.argmax(), TRANSLATION]
        samples = frames * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT
        words, phonemes = self._transcripts.of(self.keys[number])
        return MotionClip(self.keys[number], self.speakers[number], vectors, counts[:frames],
                          example["audio"][:samples], words, phonemes)

    def padded_audio(self, clip: MotionClip) -> np.ndarray:
        """[length * 640 + 6400] int16: the clip's sound, then silence up to the longest clip."""
        missing = (self.length - clip.frames) * SAMPLES_PER_FRAME
        return np.pad(clip.audio, (0, missing))
