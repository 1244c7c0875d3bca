"""Motion against motion: planted vectors, and the lips that they show."""

import numpy as np
import pytest

from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.hair import HAIR_STYLES
from data_pipelines.synthetic.head import Head
from thjax.evaluate.animation import lips
from thjax.evaluate.animation.clips import BLINK, CHANNELS, GROUPS, NOD, MotionClip
from thjax.evaluate.animation.measures import measure
from thjax.evaluate.animation.takes import Takes

FRAMES = 60
OPEN = [CHANNELS.index("AU25"), CHANNELS.index("AU26")]
DEVIATION = np.ones(len(CHANNELS))


def talking(seed=0):
    """Lips that open and close, a blink, a nod; closed for a p in frames 30 to 32."""
    rng, t = np.random.default_rng(seed), np.arange(FRAMES)
    vectors = np.zeros((FRAMES, len(CHANNELS)), np.float32)
    vectors[:, OPEN] = (2 + np.sin(t * 0.7))[:, None]
    vectors[:, CHANNELS.index("AU20")] = 1 + np.cos(t * 0.4)
    vectors[29:34, OPEN] = 0
    vectors[10:14, BLINK] = 5
    vectors[:, list(GROUPS["brows"] + GROUPS["pose"])] = rng.normal(0, 1, (FRAMES, 9)).cumsum(0)
    return vectors


def clip_of(vectors, counts=None, words=True):
    audio = np.random.default_rng(1).integers(-3000, 3000, FRAMES * 640 + 6400).astype(np.int16)
    spans = [("up", 0.2, 2.2)] if words else []
    phonemes = [("V", 0.2, 1.2), ("p", 1.2, 1.32), ("V", 1.32, 2.2)] if words else []
    return MotionClip("toy/a/b", "toy/a", vectors, np.ones(FRAMES, bool) if counts is None else counts, audio, spans,
                      phonemes)


def values(sheet):
    return {name: ratio.value for name, ratio in sheet.values.items()}


def test_curves_are_the_landmarks_of_the_head_itself():
    rng = np.random.default_rng(0)
    expression = rng.uniform(0, 1, (7, len(EXPRESSION_NAMES)))
    mesh = Head.load().mesh(HAIR_STYLES[0])
    points = mesh.model.shape(np.zeros(22), expression)[:, mesh.landmarks]
    eyes = np.linalg.norm(mesh.model.mean[mesh.landmarks[45]] - mesh.model.mean[mesh.landmarks[36]])
    opening, width = lips.of_expression(expression)
    np.testing.assert_allclose(opening, (points[:, 66, 1] - points[:, 62, 1]) / eyes, rtol=1e-6)
    np.testing.assert_allclose(width, np.linalg.norm(points[:, 64] - points[:, 60], axis=1) / eyes, rtol=1e-6)


def test_units_leave_out_the_lip_shapes_that_none_of_them_names():
    expression = np.full((1, len(EXPRESSION_NAMES)), 0.4)
    bare = expression.copy()
    bare[:, EXPRESSION_INDEX["pucker"] :] = 0
    of_units, of_bare = lips.of_units(5 * expression[:, :17]), lips.of_expression(bare)
    np.testing.assert_allclose(of_units, of_bare)
    assert lips.of_expression(expression)[1] < of_bare[1]  # a pucker narrows
    assert lips.of_units(np.zeros((1, 17)))[0] == pytest.approx(0, abs=1e-9)


def test_the_truth_against_itself_is_perfect():
    vectors = talking()
    found = values(measure(clip_of(vectors), vectors[None], DEVIATION))
    for name in ("opening_r", "width_r", "opening_r[one sample]", "closure_recall", "roughness[brows]",
                 "roughness[pose]", "variance[brows]", "variance[pose]"):
        assert found[name] == pytest.approx(1), name
    assert found["false_closures"] == 0 and found["blink_rate_au45"] == pytest.approx(1 / 2.4)
    assert not any(name.startswith("spread") or "full head" in name for name in found)


def test_the_mean_over_samples_hides_what_one_sample_shows():
    vectors = talking()
    louder, softer = vectors.copy(), vectors.copy()
    noise = np.random.default_rng(2).normal(0, 1, FRAMES)
    louder[:, OPEN] += noise[:, None]
    softer[:, OPEN] -= noise[:, None]
    found = values(measure(clip_of(vectors), np.stack([louder, softer]), DEVIATION))
    assert found["opening_r"] > 0.95 > 0.8 > found["opening_r[one sample]"]


def test_spread_stands_over_that_of_true_motions():
    vectors = talking()
    brows = list(GROUPS["brows"])
    apart = np.stack([vectors, vectors])
    apart[1][:, brows] += 1
    true = np.stack([vectors, vectors])
    true[1][:, brows] += 2
    takes = Takes(true, np.zeros((FRAMES, len(EXPRESSION_NAMES))))
    found = values(measure(clip_of(vectors), apart, DEVIATION, takes))
    assert found["spread[brows]"] == pytest.approx(1) and found["spread_of_true[brows]"] == pytest.approx(0.5)
    assert found["spread[lips]"] == 0


def test_a_nod_that_follows_the_voice_is_seen():
    vectors, clip = talking(), clip_of(talking())
    vectors[:, NOD] = clip.energy
    assert values(measure(clip, vectors[None], DEVIATION))["nod_energy_r"] == pytest.approx(1)


def test_frames_without_labels_are_not_looked_at():
    vectors, counts = talking(), np.arange(FRAMES) < 45
    broken = vectors.copy()
    broken[45:] = 4
    given, expected = (values(measure(clip_of(vectors, counts), made[None], DEVIATION)) for made in (broken, vectors))
    assert given == expected


def test_what_cannot_be_measured_is_said():
    vectors = talking()
    sheet = measure(clip_of(vectors, words=False), vectors[None], DEVIATION)
    assert sheet.left_out["opening_r"] == "words without times"
    assert sheet.left_out["closure_recall"] == "phonemes without times"
    assert sheet.left_out["spread[pose]"] == "one motion for every audio"
