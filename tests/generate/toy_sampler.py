"""A sampler of a few lines whose frames can be computed without it, and things to feed it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.schema import SAMPLES_PER_FRAME


class ToySampler:
    """Frame t is the still, dimmed by the loudness around the frame, plus a count and a memory of all audio so far."""

    frame_size = (64, 48)
    chunk_frames = 4
    lookahead = 900
    lookbehind = 1000

    def __init__(self):
        self.compilations = 0

    def plan(self, request):
        still = jnp.asarray(request.still, jnp.int32)
        return {"still": still, "memory": jnp.int32(request.seed), "frame": jnp.int32(0)}

    def chunk(self, carry, audio):
        return self._chunk(carry, audio)

    @functools.partial(jax.jit, static_argnums=0)
    def _chunk(self, carry, audio):
        self.compilations += 1
        audio = jnp.abs(audio.astype(jnp.int32))
        size = self.lookbehind + SAMPLES_PER_FRAME + self.lookahead

        def step(state, index):
            around = jax.lax.dynamic_slice(audio, (index * SAMPLES_PER_FRAME,), (size,))
            now = jax.lax.dynamic_slice(around, (self.lookbehind,), (SAMPLES_PER_FRAME,))
            memory = (state["memory"] * 31 + now.sum()) % 251
            frame = (state["still"] + around.sum() // 997 + state["frame"] + memory) % 256
            return state | {"memory": memory, "frame": state["frame"] + 1}, frame.astype(jnp.uint8)

        return jax.lax.scan(step, carry, jnp.arange(self.chunk_frames))

    def finish(self, carry, frames):
        return frames


def expected(still: np.ndarray, audio: np.ndarray, seed: int) -> np.ndarray:
    """The same film from its definition, with the whole audio at hand."""
    count = -(-audio.size // SAMPLES_PER_FRAME)
    after = count * SAMPLES_PER_FRAME - audio.size + ToySampler.lookahead
    padded = np.pad(np.abs(audio.astype(np.int64)), (ToySampler.lookbehind, after))
    frames, memory = [], seed
    for t in range(count):
        around = padded[t * SAMPLES_PER_FRAME :][: ToySampler.lookbehind + SAMPLES_PER_FRAME + ToySampler.lookahead]
        now = around[ToySampler.lookbehind :][:SAMPLES_PER_FRAME]
        memory = (memory * 31 + now.sum()) % 251
        frames.append((still.astype(np.int64) + around.sum() // 997 + t + memory) % 256)
    return np.stack(frames).astype(np.uint8)


def speech(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness swells four times a second, int16."""
    rng = np.random.default_rng(seed)
    swell = np.abs(np.sin(2 * np.pi * 2 * np.arange(samples) / 16_000))
    return (4000 * swell * rng.standard_normal(samples)).clip(-32768, 32767).astype(np.int16)


def face(height: int = 64, width: int = 48) -> np.ndarray:
    """A colour picture without a face, uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 200 // width, y * 200 // height, (x + y) % 64 + 60], -1).astype(np.uint8)
