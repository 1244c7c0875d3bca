"""Gated recurrent unit with torch's equations, frozen on frames that do not exist."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

MAX_UNROLL = 5
"""Longer unrolls slow the backward pass down and compile for minutes."""


class GRU(nn.Module):
    """Stacked GRU (Cho et al. 2014, in the form where the reset gate follows the recurrent product):

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)        z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))       h' = (1 - z) n + z h

    Parameters of layer l are `input_kernel_l` [C, 3F], `hidden_kernel_l` [F, 3F], `input_bias_l` and `hidden_bias_l`
    [3F], gates in the order r, z, n: torch's matrices transposed.

    Attributes:
        features: F, width of the state.
        layers: stacked layers.
        dtype: of the matrix products and of the result; the state itself stays f32.
    """

    features: int
    layers: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, carry: jax.Array | None = None, valid: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Runs over time.

        Args:
            x: [B, T, C].
            carry: [layers, B, F] state before the first frame; None is zero.
            valid: [B, T]; where zero the state stands still and is repeated as the output.

        Returns:
            [B, T, F] states of the last layer, and the [layers, B, F] state after the last frame.
        """
        if carry is None:
            carry = self.initial_carry(x.shape[0])
        steps = None if valid is None else (valid.T > 0)[..., None]
        last = []
        for layer in range(self.layers):
            x, state = self._layer(layer, x, carry[layer], steps)
            last.append(state)
        return x, jnp.stack(last)

    def initial_carry(self, batch: int) -> jax.Array:
        """[layers, B, F] zeros."""
        return jnp.zeros((self.layers, batch, self.features), float)

    def _layer(self, layer, x, state, steps):
        width = self.features
        # torch's bound, 1 / sqrt(F), for every parameter.
        init = lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -(width**-0.5), width**-0.5)
        w_input = self.param(f"input_kernel_{layer}", init, (x.shape[-1], 3 * width), float)
        w_hidden = self.param(f"hidden_kernel_{layer}", init, (width, 3 * width), float)
        b_input = self.param(f"input_bias_{layer}", init, (3 * width,), float)
        b_hidden = self.param(f"hidden_bias_{layer}", init, (3 * width,), float)
        # All frames at once: the only product left in the loop is the recurrent one.
        projected = (x.astype(self.dtype) @ w_input.astype(self.dtype)).astype(state.dtype) + b_input
        w_hidden = w_hidden.astype(self.dtype)

        def step(h, inputs):
            gates, keep = inputs
            hidden = (h.astype(self.dtype) @ w_hidden).astype(h.dtype) + b_hidden
            reset, update = jnp.split(jax.nn.sigmoid(gates[:, : 2 * width] + hidden[:, : 2 * width]), 2, axis=-1)
            new = jnp.tanh(gates[:, 2 * width:] + reset * hidden[:, 2 * width:])
            new = new + update * (h - new)
            h = new if keep is None else jnp.where(keep, new, h)
            return h, h

        unroll = max(n for n in range(1, MAX_UNROLL + 1) if x.shape[1] % n == 0)
        state, y = jax.lax.scan(step, state, (jnp.swapaxes(projected, 0, 1), steps), unroll=unroll)
        return jnp.swapaxes(y, 0, 1).astype(self.dtype), state
