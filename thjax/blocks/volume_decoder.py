"""From a warped feature volume to a picture: plain, or modulated at every layer (SPADE, Park et al. 2019)."""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.feature_layers import ConvNorm, Pass, ResidualBlock, doubled, same_conv
from thjax.blocks.keypoints3d import from_volume
from thjax.blocks.norm import NormSpec
from thjax.blocks.spectral import InstanceNorm, SpectralConv

DecoderKind = Literal["plain", "spade"]
VOLUME_SLOPE, SPADE_SLOPE = 0.01, 0.2
SPADE_HIDDEN = 128


class Flatten(nn.Module):
    """A warped volume to a map of features, the occluded ones damped.

    Attributes:
        features: of the map.
        norm: behind the first convolution.
        dtype: of the computation.
    """

    features: int = 256
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, volume: jax.Array, occlusion: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, D, H, W, C] and [B, H, W, 1] -> [B, H, W, features]."""
        x = ConvNorm(self.features, 3, self.norm, VOLUME_SLOPE, self.dtype, name="third")(from_volume(volume), how)
        return same_conv(x, self.features, 1, self.dtype, "fourth") * occlusion


class PlainDecoder(nn.Module):
    """Residual blocks, then doubling layers down to `channels`, then three channels.

    Attributes:
        blocks: residual blocks.
        channels: of the doubling layers.
        norm: of all layers but the last.
        dtype: of the computation.
    """

    blocks: int = 6
    channels: tuple[int, ...] = (128, 64)
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, H, W, C] -> logits [B, 2^n H, 2^n W, 3], n the number of `channels`."""
        for i in range(self.blocks):
            x = ResidualBlock(self.norm, self.dtype, name=f"block_{i}")(x, how)
        for i, features in enumerate(self.channels):
            x = ConvNorm(features, 3, self.norm, dtype=self.dtype, name=f"up_{i}")(doubled(x), how)
        return same_conv(x, 3, 7, self.dtype, "last")


class SpadeNorm(nn.Module):
    """Instance norm whose scale and shift are read off a map of labels, place by place."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array) -> jax.Array:
        """[B, H, W, C], labels [B, h, w, L] -> [B, H, W, C]; labels are repeated up to the size of x."""
        while labels.shape[1] < x.shape[1]:
            labels = doubled(labels)
        hidden = nn.relu(same_conv(labels, SPADE_HIDDEN, 3, self.dtype, "hidden"))
        scale = same_conv(hidden, x.shape[-1], 3, self.dtype, "scale")
        shift = same_conv(hidden, x.shape[-1], 3, self.dtype, "shift")
        return InstanceNorm(affine=False, dtype=self.dtype)(x) * (1 + scale) + shift


class SpadeBlock(nn.Module):
    """Residual block of two modulated, spectrally normalised convolutions; the shortcut has one where channels change.

    Attributes:
        features: output channels.
        dtype: of the computation.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, labels: jax.Array, train: bool = False) -> jax.Array:
        """[B, H, W, C], labels [B, h, w, L] -> [B, H, W, features]."""
        middle, short, y = min(x.shape[-1], self.features), x, x
        if x.shape[-1] != self.features:
            short = SpadeNorm(self.dtype, name="norm_short")(x, labels)
            short = SpectralConv(self.features, 1, 0, bias=False, dtype=self.dtype, name="conv_short")(short, train)
        for i, features in enumerate((middle, self.features)):
            y = nn.leaky_relu(SpadeNorm(self.dtype, name=f"norm_{i}")(y, labels), SPADE_SLOPE)
            y = SpectralConv(features, 3, 1, dtype=self.dtype, name=f"conv_{i}")(y, train)
        return short + y


class SpadeDecoder(nn.Module):
    """Residual blocks modulated by their own input map, with a doubling before each of `channels`.

    Attributes:
        features: of the blocks in front.
        blocks: their number.
        channels: of the block behind each doubling.
        dtype: of the computation.
    """

    features: int = 512
    blocks: int = 6
    channels: tuple[int, ...] = (256, 64)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, H, W, C] -> logits [B, 2^n H, 2^n W, 3], n the number of `channels`."""
        labels = x
        x = same_conv(x, self.features, 3, self.dtype, "first")
        for i in range(self.blocks):
            x = SpadeBlock(self.features, self.dtype, name=f"block_{i}")(x, labels, how.train)
        for i, features in enumerate(self.channels):
            x = SpadeBlock(features, self.dtype, name=f"up_{i}")(doubled(x), labels, how.train)
        return same_conv(nn.leaky_relu(x, SPADE_SLOPE), 3, 3, self.dtype, "last")
