"""Head similarity against SciPy's Wasserstein distance, diversity and beat alignment against planted tracks."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import wasserstein_distance

from thjax.metrics.head_motion import (
    BEAT_SIGMA,
    beat_alignment,
    diversity,
    head_similarity,
    head_similarity_of_histograms,
    head_similarity_union,
    pose_histogram,
    speed_extrema,
)


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    return rng.normal(0, [0.1, 0.2, 0.05], (300, 3)), rng.normal([0.1, 0, -0.05], [0.1, 0.05, 0.05], (200, 3))


def test_fixed_range_equals_scipy_over_binned_angles(tracks):
    half = np.pi / 4
    centres = [(np.floor((track + half) / (2 * half) * 100) + 0.5) / 100 for track in tracks]
    distances = [wasserstein_distance(centres[0][:, k], centres[1][:, k]) for k in range(3)]
    assert head_similarity(*tracks) == pytest.approx(1 - np.mean(distances), abs=1e-12)


def test_unbinned_distances_are_a_bin_away_at_most(tracks):
    distances = [wasserstein_distance(tracks[0][:, k], tracks[1][:, k]) / (np.pi / 2) for k in range(3)]
    assert head_similarity(*tracks) == pytest.approx(1 - np.mean(distances), abs=0.01)


def test_union_range_equals_scipy_and_is_stricter(tracks):
    low, high = np.concatenate(tracks).min(0), np.concatenate(tracks).max(0)
    a, b = ((track - low) / (high - low) for track in tracks)
    expected = 1 - np.mean([wasserstein_distance(a[:, k], b[:, k]) for k in range(3)])
    assert head_similarity_union(*tracks) == pytest.approx(expected, abs=0.01)
    assert head_similarity_union(*tracks) < head_similarity(*tracks)


def test_equal_opposite_and_still_heads(tracks):
    assert head_similarity(tracks[0], tracks[0][::-1]) == 1  # time plays no part
    ends = np.full((5, 3), 2.0)
    assert head_similarity(ends, -ends) == pytest.approx(0.01)  # 99 of 100 bins apart; angles beyond count in the last
    still = np.zeros((5, 3))
    assert head_similarity_union(still, still) == 1
    assert head_similarity(tracks[0], np.repeat(tracks[0].mean(0)[None], 300, 0)) > 0.85  # a statue scores high


def test_histograms_add_up_over_clips(tracks):
    real = pose_histogram(tracks[0][:100]) + pose_histogram(tracks[0][100:])
    assert head_similarity_of_histograms(real, pose_histogram(tracks[1])) == head_similarity(*tracks)


def test_poses_that_cannot_be_binned_are_named(tracks):
    with pytest.raises(ValueError, match=r"\[T, 3\].*\(300, 2\)"):
        head_similarity(tracks[0][:, :2], tracks[1])
    with pytest.raises(ValueError, match="empty"):
        head_similarity_of_histograms(np.zeros((3, 100)), np.ones((3, 100)))
    with pytest.raises(ValueError, match="yaw"):
        pose_histogram(tracks[0], ((-1, 1), (1, 1), (-1, 1)))


def test_diversity_equals_scipys_pairwise_distances():
    samples = np.random.default_rng(1).normal(0, [1.0, 5.0], (16, 50, 2))
    deviation = np.array([1.0, 5.0])
    flat = (samples / deviation).reshape(16, -1)
    assert diversity(samples, deviation) == pytest.approx(pdist(flat).mean() / np.sqrt(100), abs=1e-12)
    assert diversity(samples, deviation) == pytest.approx(np.sqrt(2), abs=0.03)
    assert diversity(np.repeat(samples[:1], 16, axis=0), deviation) == 0


def test_diversity_wants_sixteen_samples_and_moving_channels():
    with pytest.raises(ValueError, match=r"\[16, T, K\].*\(8, 5, 2\)"):
        diversity(np.zeros((8, 5, 2)), np.ones(2))
    with pytest.raises(ValueError, match="1 of 2 channels"):
        diversity(np.zeros((16, 5, 2)), np.array([1.0, 0.0]))


def nods(frames=200, period=40):
    """A head that nods: its speed is least and greatest every `period` / 4 frames."""
    return np.stack([0.1 * np.cos(2 * np.pi * np.arange(frames) / period), *np.zeros((2, frames))], axis=1)


def test_extrema_of_a_nod_are_at_its_turns_and_between():
    inner = [t for t in speed_extrema(nods()) if 15 < t < 185]
    np.testing.assert_allclose(inner, np.arange(20, 185, 10), atol=0.51)


@pytest.mark.parametrize("shift", [0, 1, 3, 5])
def test_onsets_beside_the_beat_score_as_the_formula_says(shift):
    onsets = np.arange(40, 160, 20) + shift
    extrema = np.arange(20, 185, 10)  # half a frame of sampling either way
    farthest, nearest = shift + 0.5, max(shift - 0.5, 0)
    low, high = (np.exp(-(distance**2) / (2 * BEAT_SIGMA**2)) for distance in (farthest, nearest))
    assert np.abs(onsets[:, None] - extrema).min() == min(shift, 10 - shift)
    assert low <= beat_alignment(onsets, nods()) <= high


def test_a_still_head_has_no_beat_and_no_onset_is_named():
    assert beat_alignment(np.array([3.0, 9.0]), np.zeros((20, 3))) == 0
    with pytest.raises(ValueError, match="onsets"):
        beat_alignment(np.array([]), nods())
    with pytest.raises(ValueError, match="at least 4"):
        beat_alignment(np.array([1.0]), nods()[:3])
