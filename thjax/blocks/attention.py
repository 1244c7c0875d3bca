"""Causal self-attention within a band, biased by distance: all frames at once, or one at a time from a ring of keys."""

import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

Bias = Literal["outside", "inside", "none"]
"""`outside`: softmax(q k / sqrt(N) + M) (Press et al. 2022). `inside`: softmax((q k + M) / sqrt(N)) (Wu et al. 2023,
eq. 1 as printed). `none`: no penalty on distance."""
NEVER = -1e9
"""Score of what must not be seen: finite, so that a row without anything to see has no NaN in its gradient."""


class Ring(struct.PyTreeNode):
    """Keys and values of the last R tokens of a layer; token t lies in slot t % R.

    Attributes:
        keys: [B, heads, R, N].
        values: [B, heads, R, N].
    """

    keys: jax.Array
    values: jax.Array


def empty_ring(batch: int, heads: int, reach: int, features: int, dtype: Any = jnp.float32) -> Ring:
    """A ring that holds no token yet; `features` is N, channels of a head."""
    blank = jnp.zeros((batch, heads, reach, features), dtype)
    return Ring(blank, blank)


def alibi_slopes(heads: int) -> np.ndarray:
    """Penalties per frame of distance, one a head, for any number of heads (Press et al. 2022).

    A power of two h gives 2^(-8 i / h), i = 1 ... h. Other counts take the slopes of the next lower power of two, then
    every other slope of twice that power.

    Args:
        heads: at least 1.

    Returns:
        [heads] in (0, 1).

    Raises:
        ValueError: no head.
    """
    if heads < 1:
        raise ValueError(f"heads {heads} must be at least 1")
    power = 2 ** int(math.log2(heads))
    of_power = lambda count: 2.0 ** (-8 * np.arange(1, count + 1) / count)
    return np.concatenate([of_power(power), of_power(2 * power)[::2][: heads - power]])


class BandedAttention(nn.Module):
    """Token i sees tokens i - reach < j <= i.

    Attributes:
        width: channels of a token, a multiple of `heads`.
        heads: attention heads.
        reach: R, tokens that a token sees, itself included.
        bias: how distance is penalised.
        dtype: of the computation; scores are f32 at least.
    """

    width: int
    heads: int
    reach: int
    bias: Bias = "outside"
    dtype: Any = jnp.float32

    def setup(self):
        self.qkv = nn.Dense(3 * self.width, dtype=self.dtype)
        self.out = nn.Dense(self.width, dtype=self.dtype)

    def __call__(self, x: jax.Array, attended: jax.Array) -> jax.Array:
        """All tokens at once.

        Args:
            x: [B, T, width].
            attended: [B, T] bool, tokens that others may see. Every token sees itself.

        Returns:
            [B, T, width].
        """
        frames = x.shape[1]
        query, key, value = (self._split(part) for part in jnp.split(self.qkv(x), 3, axis=-1))
        distance = np.arange(frames)[:, None] - np.arange(frames)
        band, itself = (distance >= 0) & (distance < self.reach), distance == 0
        seen = band & (attended[:, None, :] | itself)
        weights = self._weights(jnp.einsum("bhqn,bhkn->bhqk", query, key), distance, seen[:, None])
        mixed = jnp.einsum("bhqk,bhkn->bhqn", weights, value)
        return self.out(jnp.swapaxes(mixed, 1, 2).reshape(x.shape))

    def step(self, x: jax.Array, ring: Ring, frame: jax.Array) -> tuple[jax.Array, Ring]:
        """The next token, in a time and memory that do not depend on `frame`.

        Args:
            x: [B, width].
            ring: of the tokens before.
            frame: int32, index of this token; tokens before 0 do not exist.

        Returns:
            [B, width] equal to what all tokens at once give, and the ring with this token.
        """
        slot = frame % self.reach
        query, key, value = (self._split(part[:, None]) for part in jnp.split(self.qkv(x), 3, axis=-1))
        ring = Ring(
            jax.lax.dynamic_update_slice_in_dim(ring.keys, key, slot, axis=2),
            jax.lax.dynamic_update_slice_in_dim(ring.values, value, slot, axis=2),
        )
        age = (frame - jnp.arange(self.reach)) % self.reach
        scores = jnp.einsum("bhqn,bhkn->bhqk", query, ring.keys)
        weights = self._weights(scores, age[None], (age <= frame)[None])
        return self.out(jnp.einsum("bhqk,bhkn->bhqn", weights, ring.values).reshape(x.shape)), ring

    def _split(self, x: jax.Array) -> jax.Array:
        """[B, T, width] -> [B, heads, T, N]."""
        return jnp.swapaxes(x.reshape(*x.shape[:2], self.heads, -1), 1, 2)

    def _weights(self, scores: jax.Array, distance, seen: jax.Array) -> jax.Array:
        """Softmax of scores [B, heads, Q, K] over what is seen, penalised by distance [Q, K]."""
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        scale = (self.width // self.heads) ** -0.5
        slopes = jnp.asarray(alibi_slopes(self.heads), scores.dtype)[:, None, None]
        penalty = 0.0 if self.bias == "none" else slopes * distance
        scores = scores * scale - (penalty * scale if self.bias == "inside" else penalty)
        return jax.nn.softmax(jnp.where(seen, scores, NEVER), axis=-1).astype(self.dtype)


class Block(nn.Module):
    """Attention and a feed-forward layer of four times the width, each behind a LayerNorm, each added to its input.

    Attributes: as `BandedAttention`.
    """

    width: int
    heads: int
    reach: int
    bias: Bias = "outside"
    dtype: Any = jnp.float32

    def setup(self):
        self.attention_norm, self.forward_norm = nn.LayerNorm(dtype=self.dtype), nn.LayerNorm(dtype=self.dtype)
        self.attention = BandedAttention(self.width, self.heads, self.reach, self.bias, self.dtype)
        self.widen = nn.Dense(4 * self.width, dtype=self.dtype)
        self.narrow = nn.Dense(self.width, dtype=self.dtype)

    def __call__(self, x: jax.Array, attended: jax.Array) -> jax.Array:
        """See `BandedAttention.__call__`."""
        return self._forward(x + self.attention(self.attention_norm(x), attended))

    def step(self, x: jax.Array, ring: Ring, frame: jax.Array) -> tuple[jax.Array, Ring]:
        """See `BandedAttention.step`."""
        mixed, ring = self.attention.step(self.attention_norm(x), ring, frame)
        return self._forward(x + mixed), ring

    def _forward(self, x: jax.Array) -> jax.Array:
        return x + self.narrow(nn.gelu(self.widen(self.forward_norm(x)), approximate=False))
