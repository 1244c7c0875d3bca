"""Pose told and said from its slow mean: the mean itself, and that a mapper says the same about every posture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dirfa_narrow import KINDS, narrow, random_weights

from tests.quick import quick_jit
from thjax.systems.dirfa import posture
from thjax.systems.dirfa.config import MapperConfig

POSE = slice(17, 23)


def test_the_mean_is_that_of_all_frames_and_then_exponential():
    pose = np.random.default_rng(0).uniform(0, 1, (2, 120, 6)).astype(np.float32)
    known = np.ones((2, 120), bool)
    known[1, [0, 7, 8, 60]] = False
    found = np.asarray(posture.means(pose, known))
    for row in range(2):
        seen = pose[row][known[row]]
        at = np.cumsum(known[row])
        early = np.flatnonzero((at >= 1) & (at <= posture.MEAN_FRAMES))
        for frame in early[::7]:
            np.testing.assert_allclose(found[row, frame], seen[: at[frame]].mean(0), atol=1e-5)
        expected = found[row, early[-1]].astype(np.float64)
        for frame in range(early[-1] + 1, 120):
            if known[row, frame]:
                expected += (pose[row, frame] - expected) / posture.MEAN_FRAMES
            np.testing.assert_allclose(found[row, frame], expected, atol=1e-5)
    np.testing.assert_array_equal(found[1, 0], posture.REST)


def test_another_posture_moves_the_locations_of_the_pose_and_nothing_else():
    config = narrow(KINDS["relative"])
    module, variables = random_weights(config)
    rng, frames, shift = np.random.default_rng(0), 14, 0.1
    history = rng.uniform(0, 1, (2, frames, 23)).astype(np.float32)
    audio = rng.uniform(0, 1, (2, frames, config.mapper.mel.features)).astype(np.float32)
    first = np.arange(frames)[None].repeat(2, 0) == 0
    say = quick_jit(lambda history: module.apply(variables, history, audio, first, np.ones_like(first))[0])
    moved = history.copy()
    moved[..., POSE] += shift
    weights, locations, scales = np.split(np.asarray(say(moved) - say(history)), 3, axis=-1)
    np.testing.assert_allclose(locations[:, 1:, POSE], shift * (1 - posture.LEAK), atol=1e-4)
    for same in (weights, scales, locations[:, :, :17], locations[:, :1]):
        np.testing.assert_allclose(same, 0, atol=1e-4)


@pytest.mark.parametrize("keeps, seconds", [(0.98, 4.0), (0.0, 133.0)])
def test_a_posture_comes_back_to_rest(keeps, seconds):
    """A head without motions of its own that keeps a share of its distance from the mean."""
    lately = posture.Posture(jnp.full((1, 6), 0.9), jnp.full(1, 1000.0))
    frames = int(seconds * 25)

    def move(carry, _):
        pose, lately = carry
        pose = posture.expected(lately.mean) + keeps * (pose - lately.mean)
        return (pose, posture.followed(lately, pose, np.ones(1, bool))), pose[0, 0] - posture.REST

    places = np.asarray(jax.lax.scan(move, (lately.mean, lately), None, 2 * frames)[1])
    # Counted after a first e-folding: at the start mean and pose do not yet go together.
    assert places[-1] / places[frames - 1] == pytest.approx(1 / np.e, rel=0.1)


@pytest.mark.parametrize("changes", [dict(head="categorical", history="waves"), dict(head="mixture", history="table")])
def test_only_a_mixture_of_waves_can_be_relative(changes):
    with pytest.raises(ValueError, match="set mapper.head 'mixture' and mapper.history 'waves'"):
        MapperConfig(pose="relative", **changes)
