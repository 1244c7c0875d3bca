"""Controls of motion: what a line, a histogram and a chain make of planted data."""

import numpy as np
import pytest

from thjax.evaluate.animation.clips import CHANNELS, MotionClip
from thjax.evaluate.animation.controls import Chain, Controls, Ridge
from thjax.evaluate.animation.likelihood import CountedLikelihood

CATEGORIES = 10
K = len(CHANNELS)


def clip_of(vectors, audio=None, counts=None):
    frames = len(vectors)
    audio = np.zeros(frames * 640 + 6400, np.int16) if audio is None else audio
    return MotionClip("a", "b", vectors.astype(np.float32), np.ones(frames, bool) if counts is None else counts, audio,
                      [], [])


class TenCategories:
    """A mapper's quantiser: whole numbers are categories."""

    categories = CATEGORIES

    def encode(self, vectors):
        return np.asarray(vectors).astype(np.int32)


def test_a_linear_map_is_found_and_a_useless_one_shrinks_to_the_mean():
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(50, 4)) for _ in range(10)]
    weights = rng.normal(size=(4, K))
    weights[:, 1] = 0
    vectors = [x @ weights + 3 for x in features]
    for y in vectors:
        y[:, 1] += rng.normal(size=50)
    made = Ridge(features, vectors)(features[0])
    np.testing.assert_allclose(np.delete(made, 1, axis=1), np.delete(vectors[0], 1, axis=1), atol=0.02)
    assert made[:, 1].std() < 0.2 and made[:, 1].mean() == pytest.approx(3, abs=0.2)


def test_the_chain_goes_on_as_the_data_did():
    steps = np.tile(np.array([0.0, 1.0, 3.0, 6.0]), 50)[:, None] * np.ones(K)
    drawn = Chain(steps[:-1], steps[1:]).draw(np.random.default_rng(0), motions=3, frames=40)
    following = {0: 1, 1: 3, 3: 6, 6: 0}
    assert all(following[int(a)] == int(b) for a, b in zip(drawn[:, :-1].ravel(), drawn[:, 1:].ravel(), strict=True))


def test_rows_have_the_right_shapes_and_moments():
    rng = np.random.default_rng(1)
    training = [clip_of(rng.normal(2, 3, (40, K)) + np.arange(40)[:, None]) for _ in range(6)]
    controls = Controls(training)
    rows = dict(controls.rows(clip_of(np.zeros((55, K))), motions=4, seed=0))
    assert {name: row.shape for name, row in rows.items()} == {
        "linear": (1, 55, K), "loudness": (1, 55, K), "time_profile": (1, 55, K), "iid_noise": (4, 55, K),
        "markov": (4, 55, K)}
    profile = rows["time_profile"][0].mean(axis=1)
    np.testing.assert_allclose(profile[:40], 2 + np.arange(40), atol=1.5)
    assert (profile[40:] == profile[39]).all()  # beyond the longest training clip
    np.testing.assert_allclose(rows["iid_noise"].std((0, 1)), controls.deviation, rtol=0.25)


def test_linear_hears_the_sound_and_loudness_its_level():
    rng = np.random.default_rng(2)
    training = []
    for _ in range(12):
        level = np.repeat(rng.uniform(0, 1, 12), 5)
        audio = np.pad((np.repeat(level, 640) * rng.normal(0, 3000, 60 * 640)).astype(np.int16), 3200)
        training.append(clip_of(np.log(level + 0.01)[:, None] * np.ones(K), audio))
    controls = Controls(training[:-1])
    rows = dict(controls.rows(training[-1], 1, 0))
    for name in ("linear", "loudness"):
        assert np.corrcoef(rows[name][0, :, 0], training[-1].vectors[:, 0])[0, 1] > 0.8, name


def test_the_unigram_has_the_entropy_of_a_histogram():
    vectors = np.repeat([[1.0], [1.0], [1.0], [4.0]], 1000, axis=0) * np.ones(K)
    found = CountedLikelihood(TenCategories(), [clip_of(vectors)]).unigram(clip_of(vectors[::10]))
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert found["cross_entropy"] == pytest.approx(entropy, abs=0.01)
    assert set(found) == {"cross_entropy", *(f"cross_entropy[{group}]" for group in ("lips", "brows", "pose"))}


def test_the_random_walk_is_a_distribution_wherever_it_stands():
    walk = np.abs(np.random.default_rng(3).integers(-1, 2, 500).cumsum() % 18 - 9)[:, None] * np.ones(K)
    likelihood = CountedLikelihood(TenCategories(), [clip_of(walk)])
    for before in (0, 5, 9):
        pairs = [np.array([[before], [after]]) * np.ones(K) for after in range(CATEGORIES)]
        alone = [likelihood.unigram(clip_of(pair[1:]))["cross_entropy"] for pair in pairs]
        # Where the first frame has no labels the second has no frame before it.
        second = [likelihood.random_walk(clip_of(pair, counts=np.array([False, True]))) for pair in pairs]
        np.testing.assert_allclose([nats["cross_entropy"] for nats in second], alone)
        both = [2 * likelihood.random_walk(clip_of(pair))["cross_entropy"] - alone[before] for pair in pairs]
        assert np.exp(-np.array(both)).sum() == pytest.approx(1, abs=1e-6)
