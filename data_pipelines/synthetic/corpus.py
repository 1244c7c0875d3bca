"""The embedded corpus: who says what, when and how, each clip a pure function of the settings and its key.

Speech, motion and pixels are made by separate functions, so that audio and motion can be had without rendering.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Literal

import thjax.face3d
from data_pipelines import files, schema
from data_pipelines.synthetic import grammar, motion, speech, voices
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.identity import Identity, sample_identity
from data_pipelines.synthetic.motion import Motion
from data_pipelines.synthetic.render import MAX_SIZE, MIN_SIZE, render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.speech import Speech

DATASET = "synthetic"
HELD_OUT_SHARE = 6
"""One speaker in six validates and one in six tests, where the settings do not say otherwise."""
ARTICULATION = (0.85, 1.05)
"""Habits of articulation over speakers."""
LABELS = ("landmarks", "au", "au_presence", "pose", "blink", "coefficients")


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Settings of a corpus; equal settings give equal bytes.

    Attributes:
        speakers: of all splits together. Splits share no speaker, voice, sentence or face.
        clips: per speaker.
        size: pixels of the square frame.
        motion: name of a preset of `motion.PRESETS`.
        sentences: "grid": GRID's commands in clips of 75 frames; "free": sentences with pauses in clips as long as they
            need; "mixed": half of each.
        seed: of everything.
        validation_speakers, test_speakers: None: one in six each, at least one where there are that many.
    """

    speakers: int = 24
    clips: int = 20
    size: int = 128
    motion: str = "still"
    sentences: Literal["grid", "free", "mixed"] = "grid"
    seed: int = 0
    validation_speakers: int | None = None
    test_speakers: int | None = None

    def __post_init__(self):
        for name in ("speakers", "clips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} must be at least 0")
        if not MIN_SIZE <= self.size <= MAX_SIZE:
            raise ValueError(f"size {self.size} must be {MIN_SIZE} to {MAX_SIZE} pixels")
        if self.sentences not in ("grid", "free", "mixed"):
            raise ValueError(f"sentences {self.sentences!r} is unknown; use grid, free or mixed")
        motion.preset(self.motion)
        if min(self.split_sizes.values()) < 0 or self.split_sizes["train"] < 1:
            raise ValueError(f"{self.speakers} speakers cannot be split into {self.split_sizes}; training needs at least "
                             "one: give more speakers, or fewer to validation and test")

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

    def keys(self) -> dict[str, list[str]]:
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


def make_speech(corpus: Corpus, place: Place, espeak: Espeak) -> Speech:
    """What is said in the clip."""
    path = (place.split, place.speaker, place.clip)
    sentence = grammar.draw_sentence(corpus.sentences, place.split, generator(corpus.seed, "sentence", *path))
    voice = voices.draw_voice(corpus.seed, place.split, place.speaker)
    frames = schema.RECORD_FRAMES if sentence.letters else None  # only GRID's commands fit three seconds
    return speech.record(espeak, sentence, voice, generator(corpus.seed, "speech", *path), frames)


def make_motion(corpus: Corpus, place: Place, said: Speech, take: int = 0) -> Motion:
    """How the head moves in the clip; other takes are other plausible motions of the same audio."""
    habit = generator(corpus.seed, "articulation", place.split, place.speaker).uniform(*ARTICULATION)
    rng = generator(corpus.seed, "motion", place.split, place.speaker, place.clip, take)
    return motion.perform(said, motion.preset(corpus.motion), rng, float(habit))


def make_identity(corpus: Corpus, place: Place) -> Identity:
    """The speaker's face."""
    return sample_identity(generator(corpus.seed, "identity", place.split, place.speaker))


def make_clip(corpus: Corpus, place: Place, espeak: Espeak) -> dict:
    """The clip with pixels and all labels, as `records.segments` takes it."""
    said = make_speech(corpus, place, espeak)
    moved = make_motion(corpus, place, said)
    rng = generator(corpus.seed, "scene", place.split, place.speaker, place.clip)
    scene, noise_seed = sample_scene(rng), int(rng.integers(2**31))
    rendered = render_clip(make_identity(corpus, place), scene, moved.expression, moved.pose, moved.gaze,
                           size=corpus.size, seed=noise_seed)
    return {
        "key": place.key, "dataset": DATASET, "split": place.split, "speaker": place.speaker_name,
        "frames": rendered.frames, "audio": said.audio, **{name: getattr(rendered, name) for name in LABELS},
        "words": [list(word) for word in said.words],
        "phonemes": [[phoneme.name, phoneme.start, phoneme.end] for phoneme in said.phonemes],
        "sentence": said.sentence, "av_offset": 0.0,
        "label_source": dict.fromkeys((*LABELS, "words", "phonemes", "av_offset"), "exact"),
    }


def source(corpus: Corpus, espeak_version: str) -> str:
    """Everything that the corpus follows from, as JSON: settings, engine, and the code that makes clips."""
    rooms = (Path(__file__).parent, Path(thjax.face3d.__file__).parent)
    code = files.fingerprint({path.name: files.sha256(path) for room in rooms for path in sorted(room.glob("*.py"))})
    return json.dumps(dataclasses.asdict(corpus) | {"espeak": espeak_version, "code": code[:16]}, sort_keys=True)
