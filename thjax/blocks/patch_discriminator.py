"""A discriminator that judges patches and reads attributes off what it has seen."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.feature_layers import halved
from thjax.blocks.spectral import InstanceNorm, SpectralConv

SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """4 x 4 convolutions without padding, each but the last halved by means; a logit for every place that is left, and
    attributes from the mean over all places (Wang, Mallya, Liu 2021; its attribute head: wu2023, eq. 10).

    Attributes:
        channels: of the convolutions; instance norm behind all but the first.
        attributes: numbers read off the frame.
        spectral: divide every kernel by its largest singular value.
        dtype: of the computation; results are f32.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512)
    attributes: int = 23
    spectral: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, frames: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Frames [B, H, W, 3] in [0, 1] -> logits [B, h, w] and attributes [B, A]."""
        x = frames
        for i, features in enumerate(self.channels):
            x = SpectralConv(features, 4, 0, normalise=self.spectral, dtype=self.dtype, name=f"conv_{i}")(x, train)
            x = InstanceNorm(dtype=self.dtype, name=f"norm_{i}")(x) if i else x
            x = nn.leaky_relu(x, SLOPE)
            x = halved(x) if i < len(self.channels) - 1 else x
        logits = SpectralConv(1, 1, 0, normalise=self.spectral, dtype=self.dtype, name="logit")(x, train)[..., 0]
        seen = nn.Dense(self.attributes, dtype=self.dtype, param_dtype=float, name="attributes")(x.mean((1, 2)))
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return logits.astype(wide), seen.astype(wide)
