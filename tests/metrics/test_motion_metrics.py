"""How rough motion is, and how likely, by closed forms."""

import numpy as np
import pytest

from thjax.metrics.head_motion import pairwise_distance
from thjax.metrics.motion import mean_nats, roughness, variance


def test_roughness_of_a_parabola_is_its_curvature_in_deviations():
    t = np.arange(20.0)
    track = np.stack([0.5 * 3 * t**2, 7 * t], axis=1)
    assert roughness(track, np.array([2.0, 1.0])) == pytest.approx(3 / 2 / 2)
    assert roughness(np.zeros((5, 1)), np.ones(1)) == 0


def test_roughness_of_white_noise_is_that_of_its_second_difference():
    noise = np.random.default_rng(0).normal(0, 3, (200_000, 1))
    assert roughness(noise, np.array([3.0])) == pytest.approx(np.sqrt(6) * np.sqrt(2 / np.pi), rel=0.01)


def test_variance_is_in_squared_deviations_and_a_mean_over_channels():
    t = np.arange(400) * 2 * np.pi / 100
    track = np.stack([3 * np.sin(t) + 7, np.zeros(400)], axis=1)  # a sine of amplitude 3 has variance 9 / 2
    assert variance(track, np.array([2.0, 1.0])) == pytest.approx(9 / 2 / 4 / 2)


@pytest.mark.parametrize("metric,track,deviation,message", [
    (roughness, np.zeros((2, 1)), np.ones(1), "at least 3 frames, got 2"),
    (variance, np.zeros((1, 1)), np.ones(1), "at least 2 frames, got 1"),
    (roughness, np.zeros((5, 1)), np.zeros(1), "no deviation"),
    (variance, np.zeros((5, 1)), np.zeros(1), "no deviation"),
])
def test_motion_needs_frames_and_channels_that_move(metric, track, deviation, message):
    with pytest.raises(ValueError, match=message):
        metric(track, deviation)


def test_nats_are_those_of_the_frames_that_count():
    nats = np.array([[1.0, 3.0], [np.inf, 0.0], [2.0, 6.0]])
    assert mean_nats(nats, np.array([True, False, True])) == 3
    with pytest.raises(ValueError, match="no frame counts"):
        mean_nats(nats, np.zeros(3, bool))


def test_two_tracks_a_deviation_apart_have_distance_one():
    samples = np.stack([np.zeros((4, 2)), np.tile([2.0, 0.5], (4, 1))])
    assert pairwise_distance(samples, np.array([2.0, 0.5])) == pytest.approx(1)
    with pytest.raises(ValueError, match="needs 2 of them, got 1"):
        pairwise_distance(samples[:1], np.ones(2))
