"""What the mapper sees of a batch: features of the audio, the history it is fed, and the frames that count."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from data_pipelines.schema import AUDIO_CONTEXT
from thjax.core.precision import policy
from thjax.core.rngs import Rngs
from thjax.engine import Batch
from thjax.systems.dirfa.animation import CHANNELS, GROUPS, MOODS, Quantiser, animation_vectors
from thjax.systems.dirfa.config import Config, LossConfig, MapperConfig


class Lesson(struct.PyTreeNode):
    """A batch as the mapper learns it.

    Attributes:
        values: [B, T, 23] true animation vectors, order `CHANNELS`.
        history: [B, T, 23] unit coordinates of the frame before each frame.
        first: [B, T] bool, frames before which nothing is known.
        attended: [B, T] bool, tokens that later ones may see.
        scored: [B, T] f32, 1 where a frame counts.
    """

    values: jax.Array
    history: jax.Array
    first: jax.Array
    attended: jax.Array
    scored: jax.Array


def make_lesson(config: Config, quantiser: Quantiser, batch: Batch, unscored: int) -> Lesson:
    """Teacher forcing: every frame is told the true frame before it.

    A window that does not start its clip begins with `unscored` frames of history. Its very first token has no frame
    before it; nobody sees that token. Behind a frame without labels the token is hidden likewise.

    Args:
        config: of the run.
        quantiser: of the corpus.
        batch: with `au`, `pose`, `start_pose`, `start_frame`, `valid`.
        unscored: frames of history at the start of windows from mid-clip.
    """
    valid = batch["valid"] > 0
    values = animation_vectors(batch["au"], batch["pose"], batch["start_pose"])
    told = quantiser.unit(values)
    if config.mapper.head != "regression":
        told = quantiser.centroid(quantiser.encode(values))
    history = jnp.pad(told[:, :-1], ((0, 0), (1, 0), (0, 0)))
    starts = batch["start_frame"] == 0
    known = jnp.concatenate([starts[:, None], valid[:, :-1]], axis=1)
    beginning = (np.arange(valid.shape[1]) == 0) & starts[:, None]
    late = starts[:, None] | (np.arange(valid.shape[1]) >= unscored)
    return Lesson(values, history, ~known | beginning, known, (valid & known & late).astype(told.dtype))


def batch_features(config: MapperConfig, audio: jax.Array, gain: jax.Array | None = None) -> jax.Array:
    """Audio [B, T * 640 + 6400] int16 with its stored context, times gain [B] -> features [B, T, A] in [0, 1]."""
    mel = config.mel
    heard = audio[:, AUDIO_CONTEXT - mel.behind : audio.shape[1] - (AUDIO_CONTEXT - mel.ahead)]
    return mel(heard if gain is None else heard * gain[:, None])


def draw_gain(config: LossConfig, rngs: Rngs) -> jax.Array | None:
    """[B] factors of loudness, uniform in decibel; None where the config asks for none."""
    if not config.gain_db:
        return None
    bound, dtype = config.gain_db, policy("f32").params
    decibel = jax.vmap(lambda key: jax.random.uniform(key, (), dtype, -bound, bound))(rngs.stream("gain"))
    return 10 ** (decibel / 20)


def disturb(config: LossConfig, quantiser: Quantiser, history: jax.Array, rngs: Rngs) -> jax.Array:
    """History [B, T, 23] with the noise that the config asks for.

    Told nothing but truth, a mapper learns to copy the frame before, and drifts when it is told its own draws.
    """
    if config.history_noise:
        history = _replace(config.history_noise, quantiser, history, rngs.stream("history_noise"))
    if config.lip_noise:
        history = _shake(GROUPS["lips"], config.lip_noise, quantiser, history, rngs.stream("lip_noise"))
    if config.mood_noise:
        history = _shake(MOODS, config.mood_noise, quantiser, history, rngs.stream("mood_noise"))
    return history


def _replace(share: float, quantiser: Quantiser, history: jax.Array, keys: jax.Array) -> jax.Array:
    """A share of the categories replaced by categories drawn uniformly."""

    def one(key, told):
        whether, which = jax.random.split(key)
        drawn = quantiser.centroid(jax.random.randint(which, told.shape, 0, quantiser.categories))
        return jnp.where(jax.random.bernoulli(whether, share, told.shape), drawn, told)

    return jax.vmap(one)(keys, history)


def _shake(which: np.ndarray, most: float, quantiser: Quantiser, history: jax.Array, keys: jax.Array) -> jax.Array:
    """Gaussian noise on some channels of a clip's history, its level drawn once for the clip."""
    shaken = np.isin(np.arange(len(CHANNELS)), which)
    scale = jnp.asarray(np.where(shaken, quantiser.unit_moments()[1], 0.0), history.dtype)

    def one(key, told):
        level, noise = jax.random.split(key)
        level = jax.random.uniform(level, (), told.dtype, 0, most)
        return told + level * scale * jax.random.normal(noise, told.shape, told.dtype)

    return jnp.where(shaken, jnp.clip(jax.vmap(one)(keys, history), 0, 1), history)
