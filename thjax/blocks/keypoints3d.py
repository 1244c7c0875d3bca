"""Keypoints in space: found in one picture, moved by a pose, and shown as heat maps (Wang, Mallya, Liu 2021)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.feature_layers import AntiAliasedShrink, ConvNorm, Pass, doubled, halved, same_conv
from thjax.blocks.norm import NormSpec
from thjax.blocks.warp3d import coordinate_grid

HEAT_VARIANCE = 0.01
"""Of a keypoint's heat map, in squares of half the picture's side."""


class KeypointDetector(nn.Module):
    """A picture -> K points in space, each the mean place of a distribution over a volume.

    Attributes:
        keypoints: K.
        channels: of the halving layers on the picture; the volume's doubling layers mirror them, halved.
        depth: D, positions of the volume along z.
        volume_channels: of the volume where the picture becomes one.
        shrink: the picture is made smaller by this factor first.
        temperature: divides the scores; small values make sharp distributions.
        norm: behind all layers but the last.
        dtype: of the computation; the points are f32.
    """

    keypoints: int = 15
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    depth: int = 16
    volume_channels: int = 1024
    shrink: int = 4
    temperature: float = 0.1
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, picture: jax.Array, how: Pass = Pass()) -> jax.Array:
        """Pictures [B, H, W, 3] in [0, 1] -> points [B, K, 3] x, y, z in [-1, 1]."""
        x = AntiAliasedShrink(self.shrink)(picture.astype(self.dtype))
        for i, features in enumerate(self.channels):
            x = halved(ConvNorm(features, 3, self.norm, dtype=self.dtype, name=f"down_{i}")(x, how))
        x = same_conv(x, self.volume_channels * self.depth, 1, self.dtype, "to_volume")
        x = to_volume(x, self.depth)
        for i, features in enumerate(reversed(self.channels)):
            x = ConvNorm(features // 2, 3, self.norm, dtype=self.dtype, name=f"up_{i}")(doubled(x), how)
        scores = same_conv(x, self.keypoints, 3, self.dtype, "score").astype(jnp.promote_types(self.dtype, jnp.float32))
        size = scores.shape[1:4]
        share = nn.softmax(scores.reshape(len(scores), -1, self.keypoints) / self.temperature, axis=1)
        places = coordinate_grid(size, dtype=share.dtype).reshape(-1, 3)
        return jnp.einsum("bpk,px->bkx", share, places)


def to_volume(x: jax.Array, depth: int) -> jax.Array:
    """[B, H, W, C * depth] -> [B, depth, H, W, C]; of the channels, depth varies fastest, as in torch's reshape."""
    *front, channels = x.shape
    return jnp.moveaxis(x.reshape(*front, channels // depth, depth), -1, 1)


def from_volume(x: jax.Array) -> jax.Array:
    """The inverse of `to_volume`: [B, D, H, W, C] -> [B, H, W, C * D]."""
    x = jnp.moveaxis(x, 1, -1)
    return x.reshape(*x.shape[:3], -1)


def heat_maps(points: jax.Array, size: tuple[int, int, int]) -> jax.Array:
    """Gaussians around points: [B, K, 3], (D, H, W) -> [B, D, H, W, K], one at each point.

    Along an axis of few positions they are as wide as half the way between two: no point falls through the grid.
    """
    # A product of one Gaussian an axis: no [D, H, W, K, 3] differences.
    axes = [jnp.linspace(-1, 1, n, dtype=points.dtype) for n in size[::-1]]
    bells = [jnp.exp(-jnp.square(axis - points[..., i, None]) / (2 * max(HEAT_VARIANCE, (len(axis) - 1.0) ** -2)))
             for i, axis in enumerate(axes)]
    return jnp.einsum("bkx,bky,bkz->bzyxk", *bells)
