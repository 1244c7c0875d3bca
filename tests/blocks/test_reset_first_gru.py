"""The GRU of Keras 2.0 beside its equations, written step by step."""

import jax
import numpy as np

from thjax.blocks.reset_first_gru import ResetFirstGRU


def by_hand(x, w, u, b):
    f = u.shape[0]
    h, states = np.zeros((x.shape[0], f)), []
    hard = lambda a: np.minimum(np.maximum(0.2 * a + 0.5, 0), 1)
    for t in range(x.shape[1]):
        z = hard(x[:, t] @ w[:, :f] + h @ u[:, :f] + b[:f])
        r = hard(x[:, t] @ w[:, f:2 * f] + h @ u[:, f:2 * f] + b[f:2 * f])
        h = z * h + (1 - z) * np.tanh(x[:, t] @ w[:, 2 * f:] + (r * h) @ u[:, 2 * f:] + b[2 * f:])
        states.append(h)
    return np.stack(states, 1)


def test_both_directions():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 5)).astype("f4")
    params = {"input_kernel": rng.standard_normal((5, 12)), "hidden_kernel": rng.standard_normal((4, 12)),
              "bias": rng.standard_normal(12)}
    params = {name: value.astype("f4") for name, value in params.items()}
    theirs = by_hand(x, *params.values())
    np.testing.assert_allclose(ResetFirstGRU(4).apply({"params": params}, x), theirs, atol=1e-5)
    back = ResetFirstGRU(4, reverse=True).apply({"params": params}, x)
    np.testing.assert_allclose(back, by_hand(x[:, ::-1], *params.values())[:, ::-1], atol=1e-5)
    made = ResetFirstGRU(4).init(jax.random.key(0), x)["params"]
    assert jax.tree.map(np.shape, made) == jax.tree.map(np.shape, params)
