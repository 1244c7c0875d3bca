"""Gated recurrent unit whose reset gate comes before the recurrent product, as Keras 2.0 has it by default."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class ResetFirstGRU(nn.Module):
    """One layer of the GRU in its first published form (Cho et al. 2014), with the piecewise linear sigmoid of Keras:

        z = s(W_z x + U_z h + b_z)    r = s(W_r x + U_r h + b_r)    s(a) = clip(0.2 a + 0.5, 0, 1)
        n = tanh(W_n x + U_n (r h) + b_n)                           h' = z h + (1 - z) n

    `thjax.blocks.recurrent.GRU` multiplies by r after the product, which is another function of the same matrices.
    Parameters: `input_kernel` [C, 3F], `hidden_kernel` [F, 3F], `bias` [3F], gates in the order z, r, n.

    Attributes:
        features: F, width of the state.
        reverse: runs from the last frame to the first; outputs stay in the order of the frames.
    """

    features: int
    reverse: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, C] -> [B, T, F] states; the first one follows a state of zeros."""
        width = self.features
        w = self.param("input_kernel", nn.initializers.glorot_uniform(), (x.shape[-1], 3 * width), float)
        u = self.param("hidden_kernel", nn.initializers.orthogonal(), (width, 3 * width), float)
        bias = self.param("bias", nn.initializers.zeros, (3 * width,), float)

        def step(h, gates):
            zr = jnp.clip(0.2 * (gates[:, :2 * width] + h @ u[:, :2 * width]) + 0.5, 0, 1)
            z, r = jnp.split(zr, 2, axis=-1)
            h = z * h + (1 - z) * jnp.tanh(gates[:, 2 * width:] + (r * h) @ u[:, 2 * width:])
            return h, h

        start = jnp.zeros((x.shape[0], width), x.dtype)
        _, y = jax.lax.scan(step, start, jnp.swapaxes(x @ w + bias, 0, 1), reverse=self.reverse)
        return jnp.swapaxes(y, 0, 1)
