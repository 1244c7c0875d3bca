"""Drawing motion frame by frame: features in, categories out, in a time and memory a frame that never grow."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from thjax.core.precision import policy
from thjax.systems.dirfa import heads
from thjax.systems.dirfa.animation import CHANNELS, channels
from thjax.systems.dirfa.config import Config, SamplingConfig
from thjax.systems.dirfa.networks import Mapper, Memory, blank_memory


class Window(struct.PyTreeNode):
    """The last R frames as they were told, for `context: strict`; frame t lies last.

    Attributes:
        history: [S, R, 23].
        audio: [R, A].
    """

    history: jax.Array
    audio: jax.Array


class Carry(struct.PyTreeNode):
    """What one frame hands to the next. S motions of the same audio are drawn side by side.

    Attributes:
        memory: `Memory`, or `Window`.
        history: [S, 23] unit coordinates of the frame before.
        frame: int32, index of the next frame; with the keys it decides every draw, so chunking never changes one.
        keys: [S, 2] data of a random key for each motion.
    """

    memory: Memory | Window
    history: jax.Array
    frame: jax.Array
    keys: jax.Array


def make_start(config: Config, module: Mapper) -> Callable[[int, int], Carry]:
    """(seed, S) -> the carry before frame 0. Motion s of a seed is the same whatever S is."""
    m = config.mapper

    def start(seed: int, motions: int) -> Carry:
        """The carry of S motions: nothing remembered, frame 0, a random key for each motion."""
        dtype = policy("f32").params
        if config.sampling.context == "strict":
            memory = Window(jnp.zeros((motions, m.reach, len(CHANNELS)), dtype),
                            jnp.zeros((m.reach, m.mel.features), dtype))
        else:
            memory = blank_memory(m, motions, module.dtype)
        key = jax.random.key(seed)
        keys = jax.vmap(lambda motion: jax.random.key_data(jax.random.fold_in(key, motion)))(jnp.arange(motions))
        return Carry(memory, jnp.zeros((motions, len(CHANNELS)), dtype), jnp.int32(0), keys)

    return start


def make_draw_motion(config: Config, module: Mapper) -> Callable[..., tuple[Carry, jax.Array]]:
    """The sampling program.

    Returns:
        (variables, carry, features [N, A], told [N, 23] or None) -> (carry, [N, S, 23]): int32 categories, or the unit
        coordinates themselves for a regression. Where `told` is a number, a unit coordinate, the frames after it are
        told that number in place of what was drawn; where it is NaN, or with None, what was drawn. The result is what
        was drawn in either case. To be jitted; nothing in it but input and output has an axis of length N.
    """
    m = config.mapper
    look = look_strictly if config.sampling.context == "strict" else look_at_ring

    def draw_motion(
        variables, carry: Carry, features: jax.Array, told: jax.Array | None = None
    ) -> tuple[Carry, jax.Array]:
        """Features [N, A] and told [N, 23] or None -> the carry behind frame N, drawn [N, S, 23]; see above."""

        def frame(carry: Carry, given: tuple[jax.Array, jax.Array | None]):
            """One frame: audio [A] and told [23] or None -> the next carry, drawn [S, 23]."""
            audio, told = given
            said, memory = look(module, variables, carry, audio)
            if m.head == "regression":
                drawn = unit = said[..., 0]
            else:
                draw = lambda said, key: draw_frame(config, said, key, carry.frame)
                drawn = jax.vmap(draw)(said, jax.random.wrap_key_data(carry.keys))
                unit = (drawn.astype(carry.history.dtype) + 0.5) / m.categories
            if told is not None:
                unit = jnp.where(jnp.isnan(told), unit, told)
            return Carry(memory, unit, carry.frame + 1, carry.keys), drawn

        return jax.lax.scan(frame, carry, (features, told))

    return draw_motion


def look_at_ring(module: Mapper, variables, carry: Carry, audio: jax.Array) -> tuple[jax.Array, Memory]:
    """What the mapper says of the next frame, [S, 23, P], from the rings of keys and values."""
    heard = jnp.broadcast_to(audio, (carry.history.shape[0], *audio.shape))
    return module.apply(variables, carry.history, heard, carry.frame, carry.memory, method="step")


def look_strictly(module: Mapper, variables, carry: Carry, audio: jax.Array) -> tuple[jax.Array, Window]:
    """What the mapper says of the next frame, [S, 23, P], from the last R frames and nothing older (eq. 3)."""
    window = Window(
        jnp.concatenate([carry.memory.history[:, 1:], carry.history[:, None]], axis=1),
        jnp.concatenate([carry.memory.audio[1:], audio[None]]),
    )
    motions, reach, _ = window.history.shape
    age = jnp.broadcast_to(jnp.arange(reach)[::-1], (motions, reach))
    heard = jnp.broadcast_to(window.audio, (motions, *window.audio.shape))
    said, _ = module.apply(
        variables, window.history, heard, age == carry.frame, age <= carry.frame, carry.frame - reach + 1
    )
    return said[:, -1], window


def draw_frame(config: Config, said: jax.Array, key: jax.Array, frame: jax.Array) -> jax.Array:
    """Draws the channels of a frame by the inverse of each one's distribution (Wu et al. 2023, section 3.2).

    Channels are independent given what the mapper says, but for those of `sampling.together`, which share their uniform
    number: each has its own distribution, and all of them are high or low at once.

    Args:
        config: of the run.
        said: [23, P] of a head that has categories.
        key: of the motion.
        frame: index of the frame.

    Returns:
        [23] int32 categories.
    """
    s, m = config.sampling, config.mapper
    uniform = jax.random.uniform(jax.random.fold_in(key, frame), (said.shape[0],), said.dtype)[leaders(s)]
    if m.head == "mixture" and s.temperature == 1 and keeps_all(s):
        return heads.draw_mixture(said, uniform, m.categories)
    chances = heads.probabilities(m.head, said, m.categories)
    if s.temperature != 1:
        chances = (chances / chances.max(-1, keepdims=True)) ** (1 / s.temperature)
    reached = jnp.cumsum(keep_probable(s, chances), axis=-1)
    at = uniform[:, None] * reached[:, -1:]
    return jnp.minimum((reached <= at).sum(-1), m.categories - 1).astype(jnp.int32)


def leaders(config: SamplingConfig) -> np.ndarray:
    """[23] for each channel the one whose uniform number it is drawn by."""
    leader = np.arange(len(CHANNELS))
    for group in config.together:
        names = group.split("+")
        leader[channels(*names)] = CHANNELS.index(names[0])
    return leader


def keeps_all(config: SamplingConfig) -> bool:
    """Whether neither top-k nor the nucleus cuts anything off."""
    return not any(config.top_k) and min(config.nucleus) == 1


def keep_probable(config: SamplingConfig, chances: jax.Array) -> jax.Array:
    """Chances [23, D], not normalised, with zeros where top-k or the nucleus cut them off; ties stay together."""
    if keeps_all(config):
        return chances
    falling = jnp.sort(chances, axis=-1)[:, ::-1]
    places = chances.shape[-1]
    kept = np.where(np.array(config.top_k) == 0, places, np.minimum(config.top_k, places))
    before = jnp.cumsum(falling, axis=-1) - falling
    share = jnp.asarray(config.nucleus, chances.dtype)[:, None] * falling.sum(-1, keepdims=True)
    kept = jnp.minimum(jnp.asarray(kept), jnp.maximum((before < share).sum(-1), 1))
    least = jnp.take_along_axis(falling, kept[:, None] - 1, axis=-1)
    return jnp.where(chances >= least, chances, 0)
