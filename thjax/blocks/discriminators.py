"""Discriminators of single frames and of whole sequences (vougioukas2019, section 2.2)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.encoders import ImageEncoder, WaveformEncoder
from thjax.blocks.norm import NormSpec
from thjax.blocks.recurrent import GRU
from thjax.core.context import Context

SLOPE = 0.2


class FrameDiscriminator(nn.Module):
    """Is this frame real, given a still of the same face? Both are stacked on channels and halved down to one logit.

    Attributes:
        channels: features of the halving layers; LeakyReLU 0.2, no norm on the first.
        norm: of the other layers.
        dtype: of the computation.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, frames: jax.Array, still: jax.Array, valid: jax.Array | None = None, ctx: Context = Context(),
        train: bool = False,
    ) -> jax.Array:
        """Judges frames [B, T, H, W, 3] against still [B, H, W, 3] in [-1, 1], valid [B, T] -> logits [B, T], f32."""
        clips, count = frames.shape[:2]
        still = jnp.broadcast_to(still[:, None].astype(frames.dtype), frames.shape)
        pair = jnp.concatenate([frames, still], -1).reshape(clips * count, *frames.shape[2:4], -1)
        logit, _ = ImageEncoder(
            1, self.channels, self.norm, norm_first=False, slope=SLOPE, squash=False, code_bias=True, dtype=self.dtype,
            name="image",
        )(pair, None if valid is None else valid.reshape(-1), ctx, train, count)
        return logit.reshape(clips, count).astype(float)


class SequenceDiscriminator(nn.Module):
    """Do these frames move as this speech does? Image and audio codes per frame -> GRU -> classifier on the last frame.

    Attributes:
        channels: features of the image encoder's halving layers.
        code: features of each of the two codes.
        features: width of the GRU.
        layers: of the GRU.
        hidden: width of the classifier's hidden layer.
        rate, window, audio_channels: see `WaveformEncoder`.
        norm: of both encoders; the image encoder's first layer has none.
        dtype: of the computation.
    """

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    code: int = 128
    features: int = 256
    layers: int = 2
    hidden: int = 128
    rate: int = 16_000
    window: int = 2_560
    audio_channels: tuple[int, ...] | None = None
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, frames: jax.Array, windows: jax.Array, valid: jax.Array | None = None, ctx: Context = Context(),
        train: bool = False,
    ) -> jax.Array:
        """Judges frames [B, T, H, W, 3] in [-1, 1], windows [B, T, window], valid [B, T] -> logits [B], f32.

        The classifier reads the state after the last valid frame: the GRU stands still on the others.
        """
        clips, count = frames.shape[:2]
        rows = None if valid is None else valid.reshape(-1)
        image, _ = ImageEncoder(
            self.code, self.channels, self.norm, norm_first=False, slope=SLOPE, dtype=self.dtype, name="image"
        )(frames.reshape(clips * count, *frames.shape[2:]), rows, ctx, train, count)
        audio = WaveformEncoder(
            self.code, self.rate, self.window, self.audio_channels, self.norm, SLOPE, self.dtype, name="audio"
        )(windows.reshape(clips * count, -1), rows, ctx, train, count)
        codes = jnp.concatenate([image, audio], -1).reshape(clips, count, -1)
        _, state = GRU(self.features, self.layers, self.dtype, name="context")(codes, None, valid)
        x = nn.Dense(self.hidden, dtype=self.dtype, param_dtype=float, name="hidden")(state[-1])
        x = nn.leaky_relu(x, SLOPE)
        return nn.Dense(1, dtype=self.dtype, param_dtype=float, name="logit")(x)[:, 0].astype(float)
