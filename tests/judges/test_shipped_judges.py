"""The weights in the package: small, with the figures of the committed examination, and alive on clips of our own."""

import json

import numpy as np
import pytest

from benchmarks.judges import RESULT, TRAINED_BY
from configs import dirfa_generator
from data_pipelines.synthetic.espeak import Espeak
from thjax.evaluate.calibration import performances
from thjax.evaluate.calibration.measuring import true_clip
from thjax.evaluate.judges import IDENTITY_SIDE, KINDS, Judges
from thjax.evaluate.truth import Seen
from thjax.judges import identity, shipped
from thjax.metrics.sync import sync

LARGEST = 8_000_000
"""Bytes of all that measure."""
LARGEST_OF_LOSS = 3_000_000
"""Bytes of one that a variant trains by."""
SHIPPED = [*(f"{kind}_metric" for kind in KINDS), *TRAINED_BY]


@pytest.fixture(scope="module")
def seen():
    """Two clips of two speakers whom no judge met, through the judges that ship."""
    judges = Judges.load()
    with Espeak() as espeak:
        clips = [performances.perform(place, espeak) for place in performances.places()[:8:4]]
    truths = [true_clip(clip) for clip in clips]
    return [(truth, truth.seen(judges), clip.said.sentence) for truth, clip in zip(truths, clips, strict=True)]


def test_they_are_small_and_half_as_precise():
    assert shipped.shipped_names() == sorted(SHIPPED)
    sizes = {name: (shipped.FOLDER / f"{name}.safetensors").stat().st_size for name in SHIPPED}
    assert sum(size for name, size in sizes.items() if name.endswith("_metric")) <= LARGEST
    assert max(sizes[name] for name in TRAINED_BY) <= LARGEST_OF_LOSS


def test_what_a_variant_trains_by_ships():
    for variant in dirfa_generator.VARIANTS:
        assert dirfa_generator.get_config(variant).losses.judge in ("", *TRAINED_BY)


@pytest.mark.parametrize("name", SHIPPED)
def test_their_headers_say_what_they_are(name):
    header = shipped.load(name)[1]
    committed = json.loads(RESULT.read_text())["judges"][name]
    assert header["name"] == name and header["command"] == f"thjax judges train {name}"
    assert header["figures"] == committed["rows"]["ours"]
    assert (header["seed"], header["recipe_hash"]) == (committed["seed"], committed["recipe_hash"])


def test_faces_are_found_where_they_are(seen):
    for truth, looked, _ in seen:
        assert looked.found.all()
        eyes = np.linalg.norm(truth.landmarks[:, 36] - truth.landmarks[:, 45], axis=-1)
        error = np.linalg.norm(looked.landmarks - truth.landmarks, axis=-1).mean(axis=1) / eyes
        assert error.mean() < 0.03


def test_sound_and_lips_belong_together_and_words_are_read(seen):
    for truth, looked, sentence in seen:
        assert abs(sync(looked.curve).offset) <= 1
        assert sum(a == b for a, b in zip(looked.words, sentence.split(), strict=True)) >= 5, truth.key


def test_a_person_is_nearer_to_himself_than_to_another(seen):
    (_, first, _), (_, second, _) = seen
    own = (first.faces[0] @ first.faces[1:].T).min()
    assert own > 0.3 > (first.faces @ second.faces.T).max()


def test_the_side_in_metric_names_is_that_of_the_judge():
    assert IDENTITY_SIDE == identity.SIDE


def test_noise_is_no_face():
    judges = Judges.load()
    noise = np.random.default_rng(0).integers(0, 255, (5, 96, 96, 3), np.uint8)
    assert not Seen(noise, np.zeros(0, np.int16), judges).found.any()
