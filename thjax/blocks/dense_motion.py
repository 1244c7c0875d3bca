"""From two sets of keypoints to where every position of a feature volume comes from (Wang, Mallya, Liu 2021)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from thjax.blocks.feature_layers import ConvNorm, Pass, doubled, halved, same_conv
from thjax.blocks.keypoints3d import from_volume, heat_maps
from thjax.blocks.norm import NormSpec
from thjax.blocks.warp3d import coordinate_grid, shift3d


class Motion(struct.PyTreeNode):
    """How a feature volume moves.

    Attributes:
        places: [B, D, H, W, 3] x, y, z in [-1, 1] that every position is sampled from.
        occlusion: [B, H, W, 1] in (0, 1): how far the sampled features are to be trusted.
    """

    places: jax.Array
    occlusion: jax.Array


class Hourglass3d(nn.Module):
    """A U-Net over volumes that halves H and W and keeps D, input and all (Newell et al. 2016).

    Attributes:
        channels: of the halving layers; the doubling ones mirror them, halved.
        norm: behind every convolution.
        dtype: of the computation.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, D, H, W, C] -> [B, D, H, W, channels[0] / 2 + C]."""
        levels = [x]
        for i, features in enumerate(self.channels):
            levels.append(halved(ConvNorm(features, 3, self.norm, dtype=self.dtype, name=f"down_{i}")(levels[-1], how)))
        x = levels.pop()
        for i, features in enumerate(reversed(self.channels)):
            x = ConvNorm(features // 2, 3, self.norm, dtype=self.dtype, name=f"up_{i}")(doubled(x), how)
            x = jnp.concatenate([x, levels.pop()], axis=-1)
        return ConvNorm(x.shape[-1], 3, self.norm, dtype=self.dtype, name="last")(x, how)


class DenseMotion(nn.Module):
    """Each keypoint proposes to shift the volume as it has moved itself, one more proposal leaves it where it is; a
    network mixes them, position by position.

    Attributes:
        channels: of the hourglass.
        compressed: features that the volume is reduced to for looking at the proposals.
        kernel: odd, of the layers that mix and that see occlusion.
        shrink: the motion is estimated on a volume halved once (2) or as it is (1), and enlarged linearly.
        norm: behind all other layers.
        dtype: of the computation; places and mixture are f32.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    compressed: int = 4
    kernel: int = 7
    shrink: int = 1
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, volume: jax.Array, source: jax.Array, driving: jax.Array, how: Pass = Pass()) -> Motion:
        """Volume [B, D, H, W, C] of the source; keypoints [B, K, 3] of the source and of the driving face -> motion."""
        size = volume.shape[1:4]
        x = ConvNorm(self.compressed, 1, self.norm, dtype=self.dtype, name="compress")(volume, how)
        x = halved(x) if self.shrink == 2 else x
        offsets = jnp.pad(source - driving, ((0, 0), (1, 0), (0, 0)))
        x = self._look(x, source, driving, offsets)
        x = Hourglass3d(self.channels, self.norm, self.dtype, name="hourglass")(x, how)
        scores = same_conv(x, offsets.shape[1], self.kernel, self.dtype, "mixture").astype(offsets.dtype)
        shift = jnp.einsum("bdhwk,bkx->bdhwx", nn.softmax(scores), offsets)
        seen = same_conv(from_volume(x), 1, self.kernel, self.dtype, "occlusion")
        if self.shrink == 2:
            shift = jax.image.resize(shift, (len(shift), *size, 3), "linear")
            seen = jax.image.resize(seen, (len(seen), *size[1:], 1), "linear")
        return Motion(coordinate_grid(size, dtype=offsets.dtype) + shift, nn.sigmoid(seen))

    def _look(self, volume, source, driving, offsets):
        """[B, D, H, W, (K + 1) * (C + 1)]: for every proposal where its keypoint went, and the volume so shifted."""
        size = volume.shape[1:4]
        shifted = jnp.moveaxis(shift3d(volume, offsets), 1, 4)
        heat = heat_maps(driving, size) - heat_maps(source, size)
        heat = jnp.pad(heat, ((0, 0),) * 4 + ((1, 0),))[..., None]
        return jnp.concatenate([heat.astype(volume.dtype), shifted], axis=-1).reshape(*volume.shape[:4], -1)
