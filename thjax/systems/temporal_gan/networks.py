"""The three networks of the temporal GAN, assembled from blocks. Facts and departures: README.md of this folder."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from thjax.blocks.discriminators import FrameDiscriminator, SequenceDiscriminator
from thjax.blocks.encoders import ImageEncoder, WaveformEncoder
from thjax.blocks.norm import NormSpec
from thjax.blocks.recurrent import GRU
from thjax.blocks.unet import UNetDecoder
from thjax.core.context import Context
from thjax.systems.temporal_gan.config import Config, GeneratorConfig


class Identity(struct.PyTreeNode):
    """What all frames of a clip take from the still.

    Attributes:
        code: [B, identity].
        joined: the skips behind their half of every join, see `UNetDecoder.join`.
        still: [B, H, W, 3] in [-1, 1].
    """

    code: jax.Array
    joined: tuple[jax.Array, ...]
    still: jax.Array


class Memory(struct.PyTreeNode):
    """What the generator remembers from one frame to the next; None where a GRU is left out.

    Attributes:
        context: [layers, B, context] state of the context GRU.
        noise: [layers, B, noise] state of the noise GRU.
    """

    context: jax.Array | None = None
    noise: jax.Array | None = None


class Generator(nn.Module):
    """A still and windows of speech -> frames (vougioukas2019, section 2.1).

    Attributes:
        config: sizes.
        norm: behind all convolutions but the codes' and the output's.
        dtype: of the computation; frames are f32.
    """

    config: GeneratorConfig
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    def setup(self):
        c = self.config
        common = dict(norm=self.norm, dtype=self.dtype)
        self.audio = WaveformEncoder(
            code=c.audio_code, rate=c.audio_rate, window=c.audio_window, channels=c.audio_channels, **common
        )
        self.identity = ImageEncoder(code=c.identity, channels=c.channels, **common)
        self.decoder = UNetDecoder(
            channels=c.channels, residual=c.output == "residual", residual_gain=c.residual_gain, **common
        )
        if c.context_layers:
            self.context = GRU(features=c.context, layers=c.context_layers, dtype=self.dtype)
        if c.noise and c.noise_layers:
            self.noise = GRU(features=c.noise, layers=c.noise_layers, dtype=self.dtype)

    def __call__(
        self, still: jax.Array, windows: jax.Array, noise: jax.Array, valid: jax.Array | None = None,
        ctx: Context = Context(), train: bool = False,
    ) -> jax.Array:
        """Whole clips at once.

        Args:
            still: [B, H, W, 3] in [-1, 1].
            windows: [B, T, audio_window] samples in [-1, 1].
            noise: [B, T, noise] Gaussian draws.
            valid: [B, T] frames that exist; the others leave memory and statistics alone.
            ctx: reductions over the global batch.
            train: normalise by the statistics of this batch.

        Returns:
            [B, T, H, W, 3] in (-1, 1).
        """
        frames, _ = self.draw(self.identify(still, ctx, train), windows, noise, Memory(), valid, ctx, train)
        return frames

    def identify(self, still: jax.Array, ctx: Context = Context(), train: bool = False) -> Identity:
        """Still [B, H, W, 3] in [-1, 1] -> what all frames take from it."""
        code, skips = self.identity(still, None, ctx, train)
        return Identity(code, self.decoder.join(skips), still)

    def draw(
        self, identity: Identity, windows: jax.Array, noise: jax.Array, memory: Memory,
        valid: jax.Array | None = None, ctx: Context = Context(), train: bool = False,
    ) -> tuple[jax.Array, Memory]:
        """The next T frames of clips, and the memory after them. Arguments as in `__call__`."""
        clips, frames = windows.shape[:2]
        rows = None if valid is None else valid.reshape(-1)
        heard = self.audio(windows.reshape(clips * frames, -1), rows, ctx, train, frames)
        context = heard.reshape(clips, frames, -1)
        if self.config.context_layers:
            context, state = self.context(context, memory.context, valid)
            memory = memory.replace(context=state)
        parts = [context]
        if self.config.noise:
            if self.config.noise_layers:
                noise, state = self.noise(noise, memory.noise, valid)
                memory = memory.replace(noise=state)
                noise = jnp.tanh(noise)
            parts.append(noise.astype(context.dtype))
        parts.append(jnp.broadcast_to(identity.code[:, None], (clips, frames, identity.code.shape[-1])))
        drawn = self.decoder(
            jnp.concatenate(parts, -1), None, identity.still, valid, ctx, train, joined=identity.joined
        )
        return drawn, memory

    def blank_memory(self, clips: int) -> Memory:
        """The memory before the first frame."""
        c = self.config
        return Memory(
            self.context.initial_carry(clips) if c.context_layers else None,
            self.noise.initial_carry(clips) if c.noise and c.noise_layers else None,
        )


def make_generator(config: Config, dtype: Any) -> Generator:
    """The generator that a config describes."""
    g = config.generator
    return Generator(config=g, norm=NormSpec(g.norm, config.paper_batch, g.norm_momentum), dtype=dtype)


def make_frame_discriminator(config: Config, dtype: Any) -> FrameDiscriminator:
    """The frame discriminator that a config describes."""
    d = config.discriminators
    return FrameDiscriminator(channels=d.frame_channels, norm=NormSpec(d.norm, config.paper_batch), dtype=dtype)


def make_sequence_discriminator(config: Config, dtype: Any) -> SequenceDiscriminator:
    """The sequence discriminator that a config describes. It hears the same windows as the generator."""
    d, g = config.discriminators, config.generator
    return SequenceDiscriminator(
        channels=d.sequence_channels, code=d.code, features=d.context, layers=d.context_layers, hidden=d.hidden,
        rate=g.audio_rate, window=g.audio_window, audio_channels=d.audio_channels,
        norm=NormSpec(d.norm, config.paper_batch), dtype=dtype,
    )
