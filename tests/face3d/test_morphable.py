"""The linear model against sums written out."""

import jax.numpy as jnp
import numpy as np
import pytest

from thjax.face3d.morphable import LinearModel

RNG = np.random.default_rng(0)
MODEL = LinearModel(RNG.normal(size=(11, 3)), RNG.normal(size=(4, 11, 3)), RNG.normal(size=(6, 11, 3)))


def test_shape_is_the_sum():
    alpha, delta = RNG.normal(size=(2, 4)), RNG.normal(size=(2, 6))
    expected = np.repeat(MODEL.mean[None], 2, 0)
    for b in range(2):
        for k in range(4):
            expected[b] += alpha[b, k] * MODEL.identity[k]
        for k in range(6):
            expected[b] += delta[b, k] * MODEL.expression[k]
    np.testing.assert_allclose(MODEL.shape(alpha, delta), expected, atol=1e-12)
    np.testing.assert_allclose(MODEL.shape(jnp.asarray(alpha), jnp.asarray(delta)), expected, rtol=1e-4, atol=1e-5)


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="5 coefficients given, the basis has 4"):
        MODEL.neutral(np.zeros(5))
    with pytest.raises(ValueError, match="LinearModel.identity has shape"):
        LinearModel(MODEL.mean, np.zeros((4, 10, 3)), MODEL.expression)
