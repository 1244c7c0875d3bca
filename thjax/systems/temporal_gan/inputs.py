"""What the networks see of a batch: pixels in [-1, 1], waveform windows, noise, and the frames a clip shows a judge."""

import jax
import jax.numpy as jnp

from data_pipelines.schema import AUDIO_CONTEXT
from thjax.core.precision import policy
from thjax.systems.temporal_gan.config import GeneratorConfig, windows_of


def batch_windows(config: GeneratorConfig, audio: jax.Array) -> jax.Array:
    """Audio [B, T * 640 + 6400] int16 with its stored context -> windows [B, T, audio_window] in [-1, 1)."""
    windows = windows_of(config)
    end = audio.shape[-1] - (AUDIO_CONTEXT - windows.ahead)
    return windows(audio[:, AUDIO_CONTEXT - windows.behind : end])


def to_unit(pixels: jax.Array) -> jax.Array:
    """Pixels uint8 -> [-1, 1]."""
    return pixels.astype(policy("f32").params) / 127.5 - 1


def to_pixels(frames: jax.Array) -> jax.Array:
    """[-1, 1] -> uint8 pixels, rounded."""
    return jnp.round((jnp.clip(frames, -1, 1) + 1) * 127.5).astype(jnp.uint8)


def draw_noise(config: GeneratorConfig, keys: jax.Array, frames: int) -> jax.Array:
    """Draws [B, T, noise] from one key per clip [B]."""
    return jax.vmap(lambda key: clip_noise(config, key, jnp.arange(frames)))(keys)


def clip_noise(config: GeneratorConfig, key: jax.Array, indices: jax.Array) -> jax.Array:
    """The draws [T, noise] of frames with these indices [T]: a clip's pieces draw what the whole does."""
    draw = lambda index: jax.random.normal(jax.random.fold_in(key, index), (config.noise,))
    return config.noise_std * jax.vmap(draw)(indices)


def choose_frames(keys: jax.Array, valid: jax.Array, count: int) -> jax.Array:
    """Indices [B, count] of frames drawn uniformly, with replacement, from the valid ones [B, T] of each clip."""
    weights = jnp.where(valid > 0, 0.0, -jnp.inf)
    return jax.vmap(lambda key, row: jax.random.categorical(key, row, shape=(count,)))(keys, weights)


def take_frames(x: jax.Array, indices: jax.Array) -> jax.Array:
    """The frames [B, count, ...] of x [B, T, ...] at indices [B, count]."""
    return jax.vmap(lambda row, chosen: row[chosen])(x, indices)
