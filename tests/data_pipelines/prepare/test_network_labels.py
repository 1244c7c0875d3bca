"""Coefficients of a face model and embeddings of a person come out of records as they were planted."""

import csv

import numpy as np
import pytest

from data_pipelines import command, schema
from data_pipelines.loader import Loader, clips
from data_pipelines.manifest import Manifest
from data_pipelines.prepare import card, labels
from data_pipelines.prepare.opened import sha256
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import Location
from data_pipelines.schema import DataError
from tests.data_pipelines.prepare.filming import film
from thjax.core.data_spec import CropSpec, DataSpec

FRAMES = 12
NETWORK, WEIGHTS = "Deep3DFaceRecon_pytorch epoch_20", "arcface_r100"


def planted(speaker):
    """Coefficients `[12, 257]`, column k of frame t being k + t / 100, and an embedding of length 3."""
    coefficients = np.arange(257) + np.arange(FRAMES)[:, None] / 100 + 1000 * speaker
    identity = np.random.default_rng(speaker).normal(0, 1, 512)
    return coefficients, 3 * identity / np.linalg.norm(identity)


def write_labels(folder, key, video, speaker=0, **changes):
    size, digest = sha256(video)
    coefficients, identity = planted(speaker)
    content = {
        "times": np.arange(FRAMES) / 25, "face_ok": np.ones(FRAMES, np.uint8), "tracker": "mediapipe",
        "landmarks": np.random.default_rng(0).uniform(5, 30, (FRAMES, 68, 2)), "video_bytes": size,
        "video_sha256": digest, "coefficients": coefficients, "coefficient_names": schema.FACE_MODEL,
        "coefficients_source": NETWORK, "identity": identity, "identity_source": WEIGHTS} | changes
    path = folder / f"{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: value for name, value in content.items() if value is not None})


def prepare(root, folder, out):
    return command.run(["prepare", "--corpus", "folder", "--root", str(root), "--out", str(out), "--size", "16",
                        "--labels", str(folder), "--workers", "0", "--split", "train"])


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    return {f"folder/{speaker}/c": Location(str(film(root / speaker / "c.mp4", FRAMES, size=(32, 40), tone=0.3)))
            for speaker in "ab"}, root


@pytest.fixture(scope="module")
def corpus(films, tmp_path_factory):
    videos, root = films
    folder, out = tmp_path_factory.mktemp("labels"), tmp_path_factory.mktemp("corpus")
    for speaker, (key, video) in enumerate(videos.items()):
        write_labels(folder, key, video, speaker)
    assert prepare(root, folder, out) == 0
    return Manifest.load(out)


def test_the_face_model_has_the_sizes_of_its_network():
    """Yi et al. 2020: 257 = 80 of shape, 64 of expression, 80 of texture, 3 angles, 27 of light, 3 of translation."""
    parts = [name.rpartition("_")[0] for name in schema.FACE_MODEL]
    assert [(part, parts.count(part)) for part in dict.fromkeys(parts)] == [
        ("identity", 80), ("expression", 64), ("texture", 80), ("angle", 3), ("light", 27), ("translation", 3)]
    assert schema.FACE_MODEL[80] == "expression_00" and schema.FACE_MODEL[224:227] == ("angle_0", "angle_1", "angle_2")


def test_the_manifest_names_columns_and_sources(corpus):
    assert corpus.coefficients == list(schema.FACE_MODEL)
    assert corpus.content["label_source"] == {"landmarks": "mediapipe", "coefficients": NETWORK, "identity": WEIGHTS}
    assert corpus.labels == ["coefficients", "identity", "landmarks"]
    said = card.card(corpus)
    for made, network in (("landmarks", "mediapipe"), ("coefficients", NETWORK), ("identity", WEIGHTS)):
        assert f"| {made} | {network} | 2 | 24 | 0.00% | 0.00% |" in said


def test_the_loader_gives_back_what_was_planted(corpus):
    spec = DataSpec(split="train", window=5, batch=2, crop=CropSpec("none", 16, 16),
                    fields=("frames", "coefficients", "identity", "speaker"))
    batch = Loader(corpus.directory, spec).batch_at(3)
    assert batch["coefficients"].shape == (2, 5, 257) and batch["identity"].shape == (2, 512)
    for row in range(2):
        coefficients, identity = planted(int(batch["speaker"][row]))
        start = round(float(batch["coefficients"][row, 0, 0] - coefficients[0, 0]) * 100)
        np.testing.assert_allclose(batch["coefficients"][row], coefficients[start : start + 5], rtol=1e-6)
        np.testing.assert_allclose(batch["identity"][row], identity / 3, atol=1e-7)
    whole = clips(corpus.directory, "train", spec)[0]
    np.testing.assert_allclose(whole["coefficients"], planted(0)[0], rtol=1e-6)
    np.testing.assert_allclose(whole["identity"], planted(0)[1] / 3, atol=1e-7)


def test_export_gives_them_back_by_name(corpus, tmp_path):
    assert command.run(["export", "--data", str(corpus.directory), "--out", str(tmp_path), "--speaker", "b"]) == 0
    with open(tmp_path / "folder" / "b" / "c.csv") as file:
        table = list(csv.DictReader(file))
    coefficients, identity = planted(1)
    assert float(table[7]["expression_00"]) == pytest.approx(coefficients[7, 80])
    assert float(table[11]["translation_2"]) == pytest.approx(coefficients[11, 256])
    np.testing.assert_allclose(np.loadtxt(tmp_path / "folder/b/c.identity.csv", delimiter=","), identity / 3, atol=1e-7)


@pytest.mark.parametrize("changes,said", [
    ({"coefficients_source": None}, "coefficients must have coefficients_source beside it"),
    ({"coefficient_names": None}, "coefficients must have coefficient_names beside it"),
    ({"identity_source": " "}, "identity_source is '', must be a network and its weights"),
    ({"identity_source": "a, b"}, "without a comma"),
    ({"coefficient_names": schema.FACE_MODEL[:-1]}, r"12 times and 256 names need numbers \(12, 256\)"),
    ({"coefficients": np.zeros((12, 2)), "coefficient_names": ["a", "a"]}, "two of the 2 coefficient_names are equal"),
    ({"coefficients": np.full((12, 257), np.nan)}, "coefficients at time 0 are not finite"),
    ({"coefficients": np.full((12, 257), "x")}, "need numbers"),
    ({"identity": np.ones((12, 512))}, r"identity is float64 \(12, 512\)"),
    ({"identity": np.zeros(512)}, "of length 0; must be"),
])
def test_what_does_not_say_what_it_is_costs_its_clip(films, tmp_path, changes, said):
    key, video = next(iter(films[0].items()))
    write_labels(tmp_path, key, video, **changes)
    with pytest.raises(BadClip, match=said) as raised:
        labels.load(tmp_path, key, video)
    assert raised.value.reason == "label_mismatch"


def test_clips_with_other_coefficients_are_no_corpus(films, tmp_path):
    videos, root = films
    for number, (key, video) in enumerate(videos.items()):
        write_labels(tmp_path / "labels", key, video, coefficients=np.zeros((FRAMES, 2 + number)),
                     coefficient_names=["jaw", "lips", "brow"][: 2 + number])
    with pytest.raises(DataError, match=r"its coefficients are jaw ... .* those of clips before it jaw ... .* \("):
        prepare(root, tmp_path / "labels", tmp_path / "out")
