"""Clips without a pixel: the sound, and the labels that rendering would have had."""

import numpy as np

from data_pipelines.synthetic.corpus import make_motion, make_speech
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.expression import action_unit_presence, action_units, blink_state
from data_pipelines.synthetic.frame_renderer import head_pose
from data_pipelines.synthetic.motion import Motion
from data_pipelines.synthetic.scene import Scene, sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import DATASET, Corpus, Place

LABELS = ("au", "au_presence", "pose", "blink")


def make_clip(corpus: Corpus, place: Place, espeak: Espeak) -> dict:
    """The clip as `records.segments` takes feature records; what it has equals that of `corpus.make_clip`."""
    said = make_speech(corpus, place, espeak)
    scene = sample_scene(generator(corpus.seed, "scene", place.split, place.speaker, place.clip))
    return {
        "key": place.key, "dataset": DATASET, "split": place.split, "speaker": place.speaker_name,
        "audio": said.audio, **labels(make_motion(corpus, place, said), scene),
        "words": [list(word) for word in said.words],
        "phonemes": [[phoneme.name, phoneme.start, phoneme.end] for phoneme in said.phonemes],
        "sentence": said.sentence, "av_offset": 0.0,
        "label_source": dict.fromkeys((*LABELS, "words", "phonemes", "av_offset"), "exact"),
    }


def labels(moved: Motion, scene: Scene) -> dict[str, np.ndarray]:
    """`LABELS` of a motion in a scene, as rendering gives them: [T, ...] each, see `schema.BATCH_FIELDS`."""
    expression = np.asarray(moved.expression, np.float32)
    return {"au": action_units(expression), "au_presence": action_unit_presence(expression),
            "pose": head_pose(scene, moved.pose).astype(np.float32), "blink": blink_state(expression)}
