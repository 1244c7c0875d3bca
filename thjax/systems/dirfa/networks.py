"""The mapping network: what the face did so far and what is heard now -> a distribution of its next frame.

Wu et al. 2023, section 3.2. Facts and departures: README.md of this folder.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from data_pipelines.schema import AU_INTENSITY, POSE
from thjax.blocks.attention import Bias, Block, Ring, empty_ring
from thjax.core.precision import policy
from thjax.systems.dirfa import heads, posture
from thjax.systems.dirfa.animation import CHANNELS, GROUPS, MOODS
from thjax.systems.dirfa.config import MapperConfig
from thjax.systems.dirfa.posture import Posture

OCTAVES = 8
"""Sines and cosines of a value, of 1/2 to 64 periods over its range: the fastest tells neighbours of 500 bins apart."""
BIAS: dict[str, Bias] = {"alibi": "outside", "alibi_inside": "inside", "sinusoidal": "none"}
NARROWEST_BINS = 0.25
"""Smallest scale of a component, in bins."""
FOLLOW = 0.98
"""Of the way from rest, what a fresh net keeps from frame to frame."""
MOST_FOLLOWED = np.where(np.isin(np.arange(len(CHANNELS)), np.concatenate([MOODS, GROUPS["pose"]])), 0.99, np.inf)
"""[23] what counts of a trained one; those of `demo` end there. From 1 on a motion runs away by itself: a frown grows.
Lips are pulled back by the sound, and lids by the end of the blink."""
STEP = 0.1
"""What a location moves by where the net says 1; keeps a fresh net near its anchors."""
OF_POSE = slice(len(AU_INTENSITY), None)
"""Channels of the pose."""


class Memory(struct.PyTreeNode):
    """What the mapper keeps of the frames before.

    Attributes:
        rings: keys and values of every layer.
        posture: the slow mean of the pose.
    """

    rings: tuple[Ring, ...]
    posture: Posture


def blank_memory(config: MapperConfig, batch: int, dtype: Any = jnp.float32) -> Memory:
    """The memory before frame 0."""
    ring = empty_ring(batch, config.heads, config.reach, config.width // config.heads, dtype)
    return Memory((ring,) * config.layers, posture.blank_posture(batch, len(POSE), policy("f32").params))


class Mapper(nn.Module):
    """Audio and the frames before -> what a head says of the next frame, [B, T, 23, P] (see `heads`).

    Token t carries frame t - 1 and the audio of frame t, and speaks of frame t.

    Attributes:
        config: sizes.
        readout: also read the lips off the audio alone, for an auxiliary loss.
        dtype: of the computation; what it says is f32 at least.
    """

    config: MapperConfig
    readout: bool = False
    dtype: Any = jnp.float32

    def setup(self):
        """Layers: the history's and the sound's way in, the blocks, and what is said of the next frame."""
        c, dense = self.config, lambda features: nn.Dense(features, dtype=self.dtype)
        if c.history == "table":
            self.table = nn.Embed(len(CHANNELS) * c.categories, c.table_features, dtype=self.dtype)
        else:
            self.history_in = dense(c.width)
        self.history_out = dense(c.width)
        self.begin = self.param("begin", nn.initializers.normal(0.02), (c.width,))
        self.audio_in, self.audio_out = dense(c.width), dense(c.width)
        self.blocks = [Block(c.width, c.heads, c.reach, BIAS[c.positions], self.dtype) for _ in range(c.layers)]
        self.norm = nn.LayerNorm(dtype=self.dtype)
        said = len(CHANNELS) * heads.numbers(c.head, c.categories, c.components)
        # Small: a fresh net finds all categories about as likely.
        self.say = nn.Dense(said, kernel_init=nn.initializers.normal(0.02), dtype=self.dtype)
        if c.head == "mixture":
            from_history, free = c.components // 2, c.components - c.components // 2
            self.follow = self.param("follow", nn.initializers.constant(FOLLOW), (len(CHANNELS), from_history))
            rest = lambda key, shape: jnp.asarray(np.where(np.isin(CHANNELS, POSE), 0.5, 0.0).reshape(shape))
            self.centre = self.param("centre", rest, (len(CHANNELS), 1))
            self.first = self.param("first", nn.initializers.constant(0.1), (len(CHANNELS), 1))
            spread = lambda key, shape: jnp.broadcast_to(jnp.linspace(0.1, 0.5, free), shape)
            self.anchor = self.param("anchor", spread, (len(CHANNELS), free))
        if self.readout:
            self.lips = dense(len(GROUPS["lips"]))

    def __call__(self, history: jax.Array, audio: jax.Array, first: jax.Array, attended: jax.Array,
                 start: jax.Array | int = 0) -> tuple[jax.Array, jax.Array | None]:
        """All frames at once.

        Args:
            history: [B, T, 23] unit coordinates of the frame before each frame.
            audio: [B, T, A] features of each frame, 0 to 1.
            first: [B, T] bool, frames without a known frame before; their `history` is not read.
            attended: [B, T] bool, tokens that later ones may see, and frames that the posture counts.
            start: index of the first frame, for sinusoidal positions.

        Returns:
            [B, T, 23, P] what the head says; [B, T, 7] lips read off the audio alone, standardised, or None.
        """
        heard, known = self._hear(audio), attended & ~first
        mean = posture.means(history[..., OF_POSE], known)
        told = self._told(history, mean)
        x = heard + self._remember(told, first)
        if self.config.positions == "sinusoidal":
            x = x + self._positions(start + jnp.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x, attended)
        return self._speak(x, told, mean, first), self.lips(heard).astype(history.dtype) if self.readout else None

    def step(self, history: jax.Array, audio: jax.Array, frame: jax.Array, memory: Memory) -> tuple[jax.Array, Memory]:
        """The next frame alone; equal to all frames at once.

        Args:
            history: [B, 23] unit coordinates of the frame before; not read at frame 0.
            audio: [B, A] features of this frame.
            frame: int32, its index.
            memory: of the frames before.

        Returns:
            [B, 23, P], and the memory with this frame.
        """
        first = jnp.full((history.shape[0], 1), frame == 0)
        lately = posture.followed(memory.posture, history[:, OF_POSE], ~first[:, 0])
        told = self._told(history, lately.mean)
        x = (self._hear(audio[:, None]) + self._remember(told[:, None], first))[:, 0]
        if self.config.positions == "sinusoidal":
            x = x + self._positions(frame[None])[0]
        rings = []
        for block, ring in zip(self.blocks, memory.rings, strict=True):
            x, ring = block.step(x, ring, frame)
            rings.append(ring)
        said = self._speak(x[:, None], told[:, None], lately.mean[:, None], first)[:, 0]
        return said, Memory(tuple(rings), lately)

    def _told(self, history: jax.Array, mean: jax.Array) -> jax.Array:
        """History [..., 23] as tokens carry it: pose from its slow mean [..., 6], where the config asks for it."""
        if self.config.pose == "absolute":
            return history
        return jnp.asarray(history).at[..., OF_POSE].add(posture.REST - mean)

    def _hear(self, audio: jax.Array) -> jax.Array:
        return self.audio_out(nn.gelu(self.audio_in(2 * audio - 1), approximate=False))

    def _remember(self, history: jax.Array, first: jax.Array) -> jax.Array:
        c = self.config
        if c.history == "table":
            bins = jnp.clip((history * c.categories).astype(jnp.int32), 0, c.categories - 1)
            seen = self.table(bins + c.categories * np.arange(len(CHANNELS))).reshape(*history.shape[:-1], -1)
        else:
            seen = nn.gelu(self.history_in(waves(history)), approximate=False)
        begin = self.begin.astype(self.dtype)
        return jnp.where(first[..., None], begin, self.history_out(seen))

    def _positions(self, frames: jax.Array) -> jax.Array:
        """[T, width] sines and cosines of the frames' indices (Vaswani et al. 2017)."""
        rates = 10_000 ** (-np.arange(0, self.config.width, 2) / self.config.width)
        angles = frames[:, None] * jnp.asarray(rates, self.begin.dtype)
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1).astype(self.dtype)

    def _speak(self, x: jax.Array, told: jax.Array, mean: jax.Array, first: jax.Array) -> jax.Array:
        said = self.say(self.norm(x)).astype(told.dtype)
        said = said.reshape(*said.shape[:-1], len(CHANNELS), -1)
        if self.config.head != "mixture":
            return said
        weights, moves, scales = heads.mixture_parts(said)
        before = jnp.where(first[..., None, None], self.first, told[..., None])
        fixed = jnp.broadcast_to(self.anchor, (*before.shape[:-1], self.anchor.shape[-1]))
        kept = jnp.minimum(self.follow, jnp.asarray(MOST_FOLLOWED, self.follow.dtype)[:, None])
        followed = self.centre + kept * (before - self.centre)
        locations = jnp.concatenate([followed, fixed], axis=-1) + STEP * moves
        if self.config.pose == "relative":
            ahead = posture.expected(mean) - posture.REST
            locations = locations.at[..., OF_POSE, :].add(ahead[..., None].astype(locations.dtype))
        usual = np.where(np.arange(self.config.components) < self.config.components // 2, 0.02, 0.1)
        narrowest = np.log(NARROWEST_BINS / self.config.categories)
        return jnp.concatenate([weights, locations, jnp.exp(jnp.clip(scales + np.log(usual), narrowest, 0))], axis=-1)


def waves(unit: jax.Array) -> jax.Array:
    """Unit coordinates [..., 23] -> [..., 23 * 17]: themselves in [-1, 1], their sines and their cosines."""
    angles = np.pi * unit[..., None, :] * 2.0 ** np.arange(OCTAVES)[:, None]
    parts = [(2 * unit - 1)[..., None, :], jnp.sin(angles), jnp.cos(angles)]
    return jnp.concatenate(parts, axis=-2).reshape(*unit.shape[:-1], -1)
