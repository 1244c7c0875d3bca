"""Spectral normalisation (Miyato et al. 2018) and instance normalisation (Ulyanov et al. 2016)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.conv import conv2d

EPSILON = 1e-12


class SpectralConv(nn.Module):
    """2-D convolution whose kernel is divided by its largest singular value, as `torch.nn.utils.spectral_norm` does.

    The singular vectors lie in the collection `spectral`; a training pass improves them by one power iteration and
    keeps them where the caller makes the collection mutable.

    Attributes:
        features, kernel, padding: as in `thjax.blocks.conv.Conv`, stride 1.
        bias: adds a bias per channel.
        normalise: False leaves the kernel as it is: a plain convolution.
        dtype: of the computation.
    """

    features: int
    kernel: int = 3
    padding: int = 0
    bias: bool = True
    normalise: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """[B, H, W, C] -> [B, H', W', features]."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        w = self.param("kernel", nn.initializers.lecun_normal(), shape, float)
        if self.normalise:
            w = w / self._largest_singular_value(w.reshape(-1, self.features), train)
        y = conv2d(x.astype(self.dtype), w.astype(self.dtype), 1, self.padding)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,), float).astype(self.dtype)
        return y

    def _largest_singular_value(self, matrix: jax.Array, train: bool) -> jax.Array:
        """Of [in, out]; gradients reach the matrix, not the vectors."""
        start = lambda n: _unit(jax.random.normal(self.make_rng("params"), (n,), matrix.dtype))
        left = self.variable("spectral", "left", start, matrix.shape[1])
        right = self.variable("spectral", "right", start, matrix.shape[0])
        u, v = left.value, right.value
        if train and not self.is_initializing():
            fixed = jax.lax.stop_gradient(matrix)
            v = _unit(fixed @ u)
            u = _unit(v @ fixed)
            if self.is_mutable_collection("spectral"):
                left.value, right.value = u, v
        return v @ matrix @ u


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x), EPSILON)


class InstanceNorm(nn.Module):
    """Every channel of every example brought to mean 0 and variance 1 over its map; statistics are f32.

    Attributes:
        affine: scales and shifts each channel by learnt numbers.
        epsilon: added to variances.
        dtype: of the result.
    """

    affine: bool = True
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> the same shape."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean = wide.mean((1, 2), keepdims=True)
        variance = jnp.square(wide - mean).mean((1, 2), keepdims=True)
        y = (wide - mean) * jax.lax.rsqrt(variance + self.epsilon)
        if self.affine:
            y = y * self.param("scale", nn.initializers.ones, (x.shape[-1],), float)
            y = y + self.param("bias", nn.initializers.zeros, (x.shape[-1],), float)
        return y.astype(self.dtype)
