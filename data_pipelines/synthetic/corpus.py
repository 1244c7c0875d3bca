"""The embedded corpus: who says what, when and how, each clip a pure function of the settings and its key.

Speech, motion and pixels are made by separate functions, so that audio and motion can be had without rendering.
"""

import dataclasses
import json
from pathlib import Path

import thjax.face3d
from data_pipelines import schema
from data_pipelines.synthetic import grammar, motion, presets, speech, voices
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.identity import Identity, sample_identity
from data_pipelines.synthetic.motion import Motion
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import DATASET, Corpus, Place
from data_pipelines.synthetic.speech import Speech
from thjax.core import files

ARTICULATION = (0.85, 1.05)
"""Habits of articulation over speakers."""
LABELS = ("landmarks", "au", "au_presence", "pose", "blink", "coefficients")


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
    return motion.perform(said, presets.preset(corpus.motion), rng, float(habit))


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
