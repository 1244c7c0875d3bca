"""The expanding half of a U-Net that draws every frame of a clip from one set of skip connections."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from thjax.blocks.conv import ConvTranspose
from thjax.blocks.norm import NormSpec, make_norm
from thjax.core.context import Context

RESIDUAL_RANGE = 0.98
"""Share of the still's range that is copied: arctanh of a full white or black pixel would be infinite."""


class SkipJoin(nn.Module):
    """The half of every join that a clip's frames share: 3x3 convolutions of the skips.

    Attributes:
        channels, dtype: see `UNetDecoder`.
    """

    channels: tuple[int, ...]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, skips: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
        """One [B, H', W', C] per level, the shallowest first -> the same shapes for all levels but the first."""
        return tuple(
            ConvTranspose(self.channels[level], 3, 1, 1, bias=False, dtype=self.dtype, name=f"join_skip_{level}")(skip)
            for level, skip in enumerate(skips) if level
        )


class UNetDecoder(nn.Module):
    """Latent and skips -> frames (Ronneberger et al. 2015; the layers of vougioukas2019's generator, all without bias).

    A transposed convolution spreads the latent over the deepest skip's map. Each level then joins its skip (3x3,
    2C -> C) and doubles the map (4x4, stride 2, C -> next channels); the skip of the first level is not used. The join
    is computed as conv_a(x) + conv_b(skip): exact, and the second term, the same for all frames of a clip, only once.

    Attributes:
        channels: of the encoder's levels, the shallowest first.
        norm: after every layer but the last.
        residual: the output is tanh(gain * net + arctanh(0.98 * still)) with a learnt gain, so that identity and
            background come from the still; else tanh(net).
        residual_gain: where the gain starts.
        dtype: of the computation; the frames themselves are f32.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    norm: NormSpec = NormSpec()
    residual: bool = False
    residual_gain: float = 0.3
    dtype: Any = jnp.float32

    def setup(self):
        self.skip_join = SkipJoin(self.channels, self.dtype)
        nn.share_scope(self, self.skip_join)

    def join(self, skips: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
        """What all frames of a clip take from its skips: `joined` of later calls, see `SkipJoin`."""
        found = tuple(skip.shape[-1] for skip in skips)
        if found != tuple(self.channels):
            raise ValueError(f"skips have channels {found}, the decoder expects {tuple(self.channels)}")
        return self.skip_join(skips)

    @nn.compact
    def __call__(
        self, latent: jax.Array, skips: Sequence[jax.Array] | None, still: jax.Array | None = None,
        valid: jax.Array | None = None, ctx: Context = Context(), train: bool = False,
        joined: Sequence[jax.Array] | None = None,
    ) -> jax.Array:
        """Draws.

        Args:
            latent: [B, T, K].
            skips: one [B, H', W', C] per level, the shallowest first, as `ImageEncoder` returns them.
            still: [B, H, W, 3] in [-1, 1], needed by `residual`.
            valid: [B, T] frames that count in statistics.
            ctx, train: see `Norm`.
            joined: what `join` made of the skips, for callers that draw a clip in pieces; `skips` are not read then.

        Returns:
            [B, T, H, W, 3] in (-1, 1).

        Raises:
            ValueError: skips that are not of `channels`; a residual without a still.
        """
        joined = self.join(skips) if joined is None else joined
        if self.residual and still is None:
            raise ValueError("a residual decoder draws on the still; pass `still` [B, H, W, 3]")
        clips, frames = latent.shape[:2]
        rows = None if valid is None else valid.reshape(-1)

        def settle(x, name):
            x = checkpoint_name(x, "conv")
            return nn.relu(make_norm(self.norm, self.dtype, name)(x, rows, ctx, train, frames))

        layer = lambda features, kernel, stride, padding, name: ConvTranspose(
            features, kernel, stride, padding, bias=False, dtype=self.dtype, name=name)
        x = latent.reshape(clips * frames, 1, 1, -1)
        x = settle(layer(self.channels[-1], joined[-1].shape[1:3], 1, 0, "expand")(x), "expand_norm")
        for level in range(len(self.channels) - 1, 0, -1):
            width = self.channels[level]
            x = layer(width, 3, 1, 1, f"join_{level}")(x)
            x = x.reshape(clips, frames, *x.shape[1:]) + joined[level - 1][:, None]
            x = settle(x.reshape(clips * frames, *x.shape[2:]), f"join_norm_{level}")
            x = settle(layer(self.channels[level - 1], 4, 2, 1, f"double_{level}")(x), f"double_norm_{level}")
        x = layer(3, 4, 2, 1, "output")(x).astype(float)
        x = x.reshape(clips, frames, *x.shape[1:])
        if self.residual:
            gain = self.param("gain", nn.initializers.constant(self.residual_gain), (), float)
            x = gain * x + jnp.arctanh(RESIDUAL_RANGE * still.astype(x.dtype))[:, None]
        return jnp.tanh(x)
