"""Convolution, norm and rectifier in the orders that image and volume networks use; one layer for maps and volumes.

A map is [B, H, W, C], a volume [B, D, H, W, C]: layers look at the rank of their input.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.conv import Conv
from thjax.blocks.conv3d import Conv3d
from thjax.blocks.norm import NormSpec, make_norm
from thjax.core.context import Context


@dataclasses.dataclass(frozen=True)
class Pass:
    """What every norm of a forward pass is told.

    Attributes:
        valid: [B], zero for examples that statistics must skip; None counts all.
        ctx: reductions over the global batch.
        train: normalise by the statistics of this batch.
    """

    valid: jax.Array | None = None
    ctx: Context = Context()
    train: bool = False


def same_conv(x: jax.Array, features: int, kernel: int, dtype: Any, name: str) -> jax.Array:
    """A convolution with bias that keeps the size, of a map or a volume; the kernel is odd."""
    if x.ndim == 4:
        return Conv(features, kernel, 1, kernel // 2, dtype=dtype, name=name)(x)
    return Conv3d(features, (kernel,) * 3, 1, (kernel // 2,) * 2, dtype=dtype, name=name)(x)


def halved(x: jax.Array) -> jax.Array:
    """Means of 2 x 2 positions: H and W halved, rounded down; D stays."""
    *front, height, width, channels = x.shape
    x = x[..., : height // 2 * 2, : width // 2 * 2, :]
    return x.reshape(*front, height // 2, 2, width // 2, 2, channels).mean((-4, -2))


def doubled(x: jax.Array) -> jax.Array:
    """Every position repeated 2 x 2: H and W doubled, D stays."""
    return jnp.repeat(jnp.repeat(x, 2, axis=-3), 2, axis=-2)


class ConvNorm(nn.Module):
    """Convolution, norm, rectifier.

    Attributes:
        features: output channels.
        kernel: odd, the same along every axis.
        norm: behind the convolution.
        slope: of the rectifier's negative side; 0 is ReLU.
        dtype: of the computation.
    """

    features: int
    kernel: int = 3
    norm: NormSpec = NormSpec()
    slope: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, ..., C] -> [B, ..., features]."""
        x = same_conv(x, self.features, self.kernel, self.dtype, "conv")
        x = make_norm(self.norm, self.dtype, "norm")(x, how.valid, how.ctx, how.train)
        return nn.leaky_relu(x, self.slope) if self.slope else nn.relu(x)


class ResidualBlock(nn.Module):
    """Pre-activated residual block of two 3-wide convolutions (He et al. 2016).

    Attributes:
        norm: in front of both convolutions.
        dtype: of the computation.
    """

    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, ..., C] -> the same shape."""
        y = x
        for i in range(2):
            y = nn.relu(make_norm(self.norm, self.dtype, f"norm_{i}")(y, how.valid, how.ctx, how.train))
            y = same_conv(y, x.shape[-1], 3, self.dtype, f"conv_{i}")
        return x + y


class AntiAliasedShrink(nn.Module):
    """Gaussian blur, then every `factor`-th position (downscaling of Siarohin et al. 2019).

    Both are linear and separable: one product with a banded matrix per axis, which is fast everywhere, where a
    depthwise convolution on XLA:CPU is a hundred times slower than torch's. The Gaussian has standard deviation
    (factor - 1) / 2 over 4 deviations to each side, rounded; outside the picture is black.

    Attributes:
        factor: whole; 1 leaves the picture as it is.
    """

    factor: int = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, ceil(H / factor), ceil(W / factor), C]."""
        if self.factor == 1:
            return x
        down, across = (self._matrix(n).astype(x.dtype) for n in x.shape[1:3])
        return jnp.einsum("yh,xw,bhwc->byxc", down, across, x)

    def _matrix(self, n: int) -> jax.Array:
        sigma = (self.factor - 1) / 2
        reach = round(4 * sigma)
        distance = jnp.arange(n) - jnp.arange(0, n, self.factor)[:, None]
        total = jnp.exp(-(jnp.arange(-reach, reach + 1) ** 2) / (2 * sigma**2)).sum()
        return jnp.where(abs(distance) <= reach, jnp.exp(-(distance**2) / (2 * sigma**2)), 0) / total
