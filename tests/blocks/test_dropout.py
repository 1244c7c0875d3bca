import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thjax.blocks.dropout import Dropout
from thjax.core.rngs import Rngs


def keys(ids, seed=0):
    return Rngs(jax.random.key(seed), jnp.asarray(ids, jnp.uint32)).stream("dropout")


def test_a_mask_follows_its_example_whatever_stands_beside_it():
    drop = jax.jit(lambda x, keys: Dropout(0.5).apply({}, x, keys))
    x = jnp.ones((4, 3, 50))
    whole = drop(x, keys([7, 8, 9, 10]))
    halves = jnp.concatenate([drop(x[:2], keys([7, 8])), drop(x[2:], keys([9, 10]))])
    chex.assert_trees_all_equal(whole, halves)
    swapped = drop(x, keys([10, 9, 8, 7]))
    chex.assert_trees_all_equal(whole, swapped[::-1])
    assert (whole[0] != whole[1]).any()


def test_share_and_scale_are_those_of_the_rate():
    y = Dropout(0.3).apply({}, jnp.ones((50, 400)), keys(range(50)))
    kept = np.asarray(y) > 0
    # Binomial of 20,000 draws: four standard deviations are 0.013.
    assert abs(kept.mean() - 0.7) < 0.013
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)


def test_without_keys_or_rate_nothing_happens():
    x = jnp.arange(6.0).reshape(2, 3)
    chex.assert_trees_all_equal(Dropout(0.5).apply({}, x), x)
    chex.assert_trees_all_equal(Dropout(0.0).apply({}, x, keys([0, 1])), x)


def test_the_type_of_the_input_is_kept():
    assert Dropout(0.5).apply({}, jnp.ones((2, 3), jnp.bfloat16), keys([0, 1])).dtype == jnp.bfloat16


@pytest.mark.parametrize("rate, ids, message", [(1.0, [0, 1], "must lie in"), (0.5, [0], "one key per example")])
def test_bad_calls_are_named(rate, ids, message):
    with pytest.raises(ValueError, match=message):
        Dropout(rate).apply({}, jnp.ones((2, 3)), keys(ids))
