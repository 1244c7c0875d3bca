"""Masked, weighted L1 and its maps against numpy and closed forms."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thjax.core.context import Context
from thjax.losses import reconstruction

RNG = np.random.default_rng(1)
SHAPE = (2, 3, 8, 6, 3)
GENERATED, TRUTH = RNG.uniform(-1, 1, (2, *SHAPE)).astype(np.float32)
VALID = np.array([[1, 1, 0], [1, 0, 0]], np.float32)


class WeightedL1(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_lower_half_equals_a_plain_mean_over_its_pixels(self):
        def loss(generated, truth, valid):
            return reconstruction.weighted_l1(generated, truth, reconstruction.lower_half_map(8, 6), valid, Context())

        expected = np.abs(GENERATED - TRUTH)[VALID > 0][:, 4:].mean()
        np.testing.assert_allclose(np.ravel(self.variant(loss)(GENERATED, TRUTH, VALID))[0], expected, rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_a_map_that_follows_the_mouth_weighs_every_pixel_by_itself(self):
        def loss(generated, truth, landmarks, valid):
            weights = reconstruction.mouth_map(landmarks, 8, 6)
            return reconstruction.weighted_l1(generated, truth, weights, valid, Context())

        landmarks = np.stack([[mouth_at(x, 5.0) for x in (1.0, 3.0, 5.0)]] * 2)
        weights = np.asarray(reconstruction.mouth_map(jnp.asarray(landmarks), 8, 6))[..., None]
        expected = (weights * np.abs(GENERATED - TRUTH))[VALID > 0].mean()
        np.testing.assert_allclose(
            np.ravel(self.variant(loss)(GENERATED, TRUTH, landmarks, VALID))[0], expected, rtol=1e-5
        )

    @chex.variants(with_jit=True, without_jit=True)
    def test_padded_frames_change_neither_loss_nor_gradient(self):
        def loss(generated, truth):
            return reconstruction.weighted_l1(generated, truth, reconstruction.whole_map(8, 6), VALID, Context())

        other = np.where(VALID[..., None, None, None] > 0, GENERATED, 77.0)
        step = self.variant(jax.value_and_grad(loss))
        (one, gradient), (two, changed) = step(GENERATED, TRUTH), step(other, TRUTH)
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(gradient, changed)
        assert not np.any(np.asarray(gradient)[VALID == 0])

    def test_no_valid_frame_gives_zero(self):
        loss = reconstruction.weighted_l1(
            GENERATED, TRUTH, reconstruction.whole_map(8, 6), np.zeros_like(VALID), Context()
        )
        assert loss == 0


def mouth_at(x, y):
    landmarks = np.full((68, 2), -50.0, np.float32)
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    landmarks[48:] = np.stack([x + 5 * np.cos(angle), y + 3 * np.sin(angle)], -1)
    return landmarks


def test_mouth_map_is_the_stated_formula_around_the_centre_of_the_mouth():
    made = np.asarray(reconstruction.mouth_map(jnp.asarray(mouth_at(20.0, 45.0)), 64, 48))
    y, x = np.mgrid[:64, :48] + 0.5
    gaussian = np.exp(-((x - 20) ** 2) / (2 * 7**2) - (y - 45) ** 2 / (2 * 6**2))
    np.testing.assert_allclose(made, (1 + 4 * gaussian / gaussian.mean()) / 5, rtol=1e-4)


@pytest.mark.parametrize("place", [(24.0, 40.0), (1.0, 63.0), (-900.0, 900.0)])
def test_every_map_has_mean_one(place):
    for made in (
        reconstruction.whole_map(64, 48), reconstruction.lower_half_map(63, 48),
        reconstruction.mouth_map(jnp.asarray(mouth_at(*place)), 64, 48),
    ):
        np.testing.assert_allclose(np.mean(made), 1, rtol=1e-5)


def test_an_image_of_one_row_has_no_lower_half():
    with pytest.raises(ValueError, match="no lower half"):
        reconstruction.lower_half_map(1, 8)
