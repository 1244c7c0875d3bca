"""Generates frames chunk by chunk. A live stream and a whole file run the same compiled function."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from thjax.engine import GenerateRequest, NetState
from thjax.systems.temporal_gan.config import Config, windows_of
from thjax.systems.temporal_gan.inputs import clip_noise, to_pixels, to_unit
from thjax.systems.temporal_gan.networks import Generator, Identity, Memory


class Carry(struct.PyTreeNode):
    """What one chunk hands to the next.

    Attributes:
        identity: of the still.
        memory: of the GRUs.
        frame: int32, index of the next frame; with the key it decides the noise, so chunking never changes a draw.
        key: data of the random key.
    """

    identity: Identity
    memory: Memory
    frame: jax.Array
    key: jax.Array


class TemporalGanSampler:
    """See `thjax.engine.Sampler`. Norms use their running statistics; memory is constant in the length of the audio.

    Args:
        config: of the run.
        generator: its module.
        net: its weights, averaged ones where wanted.
    """

    def __init__(self, config: Config, generator: Generator, net: NetState):
        windows = windows_of(config.generator)
        self.frame_size = (config.data.crop.height, config.data.crop.width)
        self.chunk_frames = config.chunk_frames
        self.lookbehind, self.lookahead = windows.behind, windows.ahead
        self._variables = {"params": net.params, **net.variables}

        def plan(variables, still, key):
            identity = generator.apply(variables, to_unit(still)[None], method="identify")
            memory = generator.apply(variables, 1, method="blank_memory")
            return Carry(identity, memory, jnp.int32(0), key)

        def chunk(variables, carry, audio):
            indices = carry.frame + jnp.arange(self.chunk_frames)
            noise = clip_noise(config.generator, jax.random.wrap_key_data(carry.key), indices)
            frames, memory = generator.apply(
                variables, carry.identity, windows(audio[None]), noise[None], carry.memory, method="draw"
            )
            return carry.replace(memory=memory, frame=carry.frame + self.chunk_frames), to_pixels(frames[0])

        self._plan, self._chunk = jax.jit(plan), jax.jit(chunk)

    def plan(self, request: GenerateRequest) -> Carry:
        """Encodes the still [H, W, 3] uint8, once for all frames.

        Raises:
            ValueError: a still of another size.
        """
        still = np.asarray(request.still)
        if still.shape != (*self.frame_size, 3):
            raise ValueError(
                f"still of shape {still.shape}; this model takes {(*self.frame_size, 3)}, cropped as it was trained"
            )
        return self._plan(self._variables, still, jax.random.key_data(jax.random.key(request.seed)))

    def chunk(self, carry: Carry, audio: jax.Array) -> tuple[Carry, jax.Array]:
        """Audio [lookbehind + chunk_frames * 640 + lookahead] int16 -> frames [chunk_frames, H, W, 3] uint8."""
        return self._chunk(self._variables, carry, audio)

    def finish(self, carry: Carry, frames: np.ndarray) -> np.ndarray:
        """The frames themselves."""
        return frames
