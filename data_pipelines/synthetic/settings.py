"""Settings of the embedded corpus: how much of what, shared out to whom. Imports nothing heavy."""

import dataclasses
import functools

from data_pipelines.synthetic import presets
from data_pipelines.synthetic.grammar import KINDS, Sentences

DATASET = "synthetic"
SIZES = (48, 256)
"""Smallest and largest side of a frame, pixels."""
HELD_OUT_SHARE = 6
"""One speaker in six validates and one in six tests, where the settings do not say otherwise."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Settings of a corpus; equal settings give equal bytes.

    Attributes:
        speakers: of all splits together. Splits share no speaker, voice, sentence or face.
        clips: per speaker.
        size: pixels of the square frame.
        motion: name of a preset of `presets.PRESETS`.
        sentences: "grid": GRID's commands in clips of 75 frames; "free": sentences with pauses in clips as long as they
            need; "mixed": half of each.
        seed: of everything.
        validation_speakers, test_speakers: None: one in six each, at least one where there are that many.
    """

    speakers: int = 24
    clips: int = 20
    size: int = 128
    motion: str = "still"
    sentences: Sentences = "grid"
    seed: int = 0
    validation_speakers: int | None = None
    test_speakers: int | None = None

    def __post_init__(self):
        for name in ("speakers", "clips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} must be at least 0")
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise ValueError(f"size {self.size} must be {SIZES[0]} to {SIZES[1]} pixels")
        if self.sentences not in KINDS:
            raise ValueError(f"sentences {self.sentences!r} is unknown; use {', '.join(KINDS)}")
        presets.preset(self.motion)
        if min(self.split_sizes.values()) < 0 or self.split_sizes["train"] < 1:
            raise ValueError(f"{self.speakers} speakers cannot be split into {self.split_sizes}; training needs one: "
                             "give more speakers, or fewer to validation and test")

    @property
    def split_sizes(self) -> dict[str, int]:
        """Speakers of each split."""
        usual = max(1, self.speakers // HELD_OUT_SHARE)
        validation, test = self.validation_speakers, self.test_speakers
        if validation is None:
            validation = usual if self.speakers >= 2 else 0
        if test is None:
            test = usual if self.speakers >= 3 else 0
        return {"train": self.speakers - validation - test, "validation": validation, "test": test}

    @functools.cached_property
    def places(self) -> dict[str, "Place"]:
        """Every clip of the corpus by its key, "synthetic/SPLIT_SPEAKER/CLIP"."""
        return {place.key: place for split, count in self.split_sizes.items()
                for speaker in range(count) for clip in range(self.clips)
                for place in (Place(split, speaker, clip),)}

    def clip_keys(self) -> dict[str, list[str]]:
        """Keys of the clips of every split that has speakers."""
        places = self.places.values()
        return {split: [place.key for place in places if place.split == split]
                for split, count in self.split_sizes.items() if count}


@dataclasses.dataclass(frozen=True)
class Place:
    """Which clip: split, number of the speaker in the split, number of the clip of the speaker."""

    split: str
    speaker: int
    clip: int

    @property
    def speaker_name(self) -> str:
        """Unique over corpora."""
        return f"{DATASET}/{self.split}_{self.speaker:04d}"

    @property
    def key(self) -> str:
        """Unique name of the clip."""
        return f"{self.speaker_name}/{self.clip:04d}"
