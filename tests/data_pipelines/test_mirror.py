"""Mirrored examples against a head that is rendered in a mirror: face, hair, scene, light and pose turned round."""

import dataclasses

import numpy as np
import pytest

from data_pipelines.loader import Loader
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import COEFFICIENT_NAMES, RenderedClip, render_clip
from data_pipelines.synthetic.scene import sample_scene
from data_pipelines.synthetic.workshop import ODD_COEFFICIENTS
from data_pipelines.writer import Writer
from thjax.core.data_spec import CropSpec, DataSpec

FRAMES, SIZE = 4, 96
LABELS = ("landmarks", "au", "au_presence", "pose", "blink", "coefficients")
SPEC = DataSpec(fields=("frames", "still", *LABELS), window=FRAMES, batch=1, crop=CropSpec("canonical", 64, 48))


def render(mirrored: bool) -> RenderedClip:
    """A head turned, tilted and shifted to one side, lit from one side, looking aside, speaking."""
    rng = np.random.default_rng(2)
    identity, scene = sample_identity(rng), dataclasses.replace(sample_scene(rng), noise=0.0)
    expression = np.zeros((FRAMES, len(EXPRESSION_NAMES)))
    for name, values in {"AU26": (0, 0.3, 0.8, 0.2), "AU25": (0, 0.5, 0.9, 0.1), "AU45": (0, 1, 0, 0.2)}.items():
        expression[:, EXPRESSION_INDEX[name]] = values
    pose = np.array([[6, 2, 5, 0.05, 0.2 * t, 0.1] for t in range(-1, FRAMES - 1)])
    gaze = np.tile([0.2, 0.05], (FRAMES, 1))
    if mirrored:
        identity, scene = identity.mirrored_copy(), scene.mirrored_copy()
        pose, gaze = pose * [-1, 1, 1, 1, -1, -1], gaze * [-1, 1]
    return render_clip(identity, scene, expression, pose, gaze, size=SIZE)


def write(directory, mirrored: bool):
    """A corpus of the one rendered clip; returns its directory."""
    key, clip = "toy/s0/c0", render(mirrored)
    writer = Writer(directory, dataset="toy", size=SIZE, coefficients=COEFFICIENT_NAMES,
                    odd_coefficients=ODD_COEFFICIENTS)
    shard = writer.plan({"train": [key]})[0]
    content = {name: getattr(clip, name) for name in ("frames", *LABELS)}
    writer.write_shard(shard, lambda _: content | {"key": key, "speaker": "toy/s0", "audio": np.zeros(9, np.int16)})
    return writer.finish([shard]).directory


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The clip as rendered, as the loader mirrors it, and as rendered in a mirror."""
    directory = write(tmp_path_factory.mktemp("plain"), mirrored=False)
    plain = Loader(directory, SPEC).example_at(0)
    loader = Loader(directory, dataclasses.replace(SPEC, mirror=True))
    turned = next(example for example in map(loader.example_at, range(20))
                  if not np.array_equal(example["pose"], plain["pose"]))
    rendered = Loader(write(tmp_path_factory.mktemp("mirrored"), mirrored=True), SPEC).example_at(0)
    return plain, turned, rendered


def test_landmarks_change_sides(examples):
    plain, turned, rendered = examples
    # Hundredths of a pixel: both are projections in float32, cropped by their own landmarks.
    np.testing.assert_allclose(turned["landmarks"], rendered["landmarks"], atol=0.02)
    assert np.abs(plain["landmarks"] - rendered["landmarks"]).max() > 2


def test_pose_turns_round(examples):
    _, turned, rendered = examples
    np.testing.assert_allclose(turned["pose"], rendered["pose"], atol=1e-4)
    assert np.abs(turned["pose"][:, [0, 4, 5]]).max(0).min() > 0.05


def test_action_units_and_blinks_stay(examples):
    plain, turned, rendered = examples
    for name in ("au", "au_presence", "blink"):
        np.testing.assert_array_equal(turned[name], rendered[name])
        np.testing.assert_array_equal(turned[name], plain[name])


def test_coefficients_are_those_of_the_mirrored_head(examples):
    plain, turned, rendered = examples
    np.testing.assert_allclose(turned["coefficients"], rendered["coefficients"], atol=1e-4)
    assert np.abs(plain["coefficients"] - rendered["coefficients"]).max() > 0.1


@pytest.mark.parametrize("field", ["frames", "still"])
def test_pixels_are_those_of_the_mirrored_head(examples, field):
    plain, turned, rendered = (example[field].astype(float) for example in examples)
    error, change = np.abs(turned - rendered).mean(), np.abs(plain - rendered).mean()
    # What is left is JPEG and the samples on edges; without the mirror the pictures differ all over.
    assert error < 1.0 and error < 0.05 * change
