"""Normalisation whose statistics skip frames that do not exist and mean the same on any number of devices."""

import dataclasses
import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.core.context import Context

NormKind = Literal["batch", "group", "paper_batch", "none"]
NORM_KINDS = ("batch", "group", "paper_batch", "none")
CHANNEL_GROUPS = 32


@dataclasses.dataclass(frozen=True)
class NormSpec:
    """How the layers of a network normalise.

    Attributes:
        kind: `batch`: one mean and variance over the global batch (Ioffe and Szegedy 2015). `paper_batch`: over
            contiguous groups of `group_examples` examples of it, so that a pod trains with a paper's batch statistics.
            `group`: per row, over groups of channels (Wu and He 2018), independent of the batch. `none`: the identity.
        group_examples: examples in a group, `paper_batch` only.
        momentum: share of the old running statistics that a training step keeps.
    """

    kind: NormKind = "batch"
    group_examples: int = 0
    momentum: float = 0.9

    def __post_init__(self):
        if self.kind not in NORM_KINDS:
            raise ValueError(f"norm {self.kind!r} is unknown; use one of {', '.join(NORM_KINDS)}")
        if self.kind == "paper_batch" and self.group_examples < 1:
            raise ValueError(f"norm paper_batch needs group_examples >= 1, not {self.group_examples}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"norm momentum {self.momentum} must lie in [0, 1)")


class Norm(nn.Module):
    """Normalises channels, then scales and shifts them. Statistics are f32, or f64 under `jax_enable_x64`.

    Running statistics live in the collection `batch_stats` and are written only where the caller makes it mutable.

    Attributes:
        kind, group_examples, momentum: see `NormSpec`.
        epsilon: added to variances.
        dtype: of the result.
    """

    kind: NormKind = "batch"
    group_examples: int = 0
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, valid: jax.Array | None = None, ctx: Context = Context(), train: bool = False,
        frames: int = 1,
    ) -> jax.Array:
        """Normalises.

        Args:
            x: [N, ..., C], N = examples * frames, rows of an example contiguous.
            valid: [N], zero for rows that statistics must skip; None counts all.
            ctx: reductions over the global batch.
            train: use the statistics of this batch, not the running ones.
            frames: rows of one example.

        Returns:
            As `x`, in `dtype`.

        Raises:
            ValueError: unknown kind; rows that are no multiple of `frames`.
        """
        spec = NormSpec(self.kind, self.group_examples, self.momentum)
        if spec.kind == "none":
            return x.astype(self.dtype)
        if x.shape[0] % frames:
            raise ValueError(f"{x.shape[0]} rows are no multiple of {frames} frames per example")
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), float)
        bias = self.param("bias", nn.initializers.zeros, (channels,), float)
        wide = x.astype(scale.dtype)
        if train and valid is not None:
            # `where`, not a product: a padded frame may hold anything, and its gradient is zero times that.
            wide = jnp.where(valid.reshape(-1, *(1,) * (x.ndim - 1)) > 0, wide, 0)
        if spec.kind == "group":
            mean, variance = _row_moments(wide)
        else:
            mean, variance = self._batch_moments(wide, valid, ctx, train, frames)
        gain = scale * jax.lax.rsqrt(variance + self.epsilon)
        return (wide * gain + (bias - mean * gain)).astype(self.dtype)

    def _batch_moments(self, x, valid, ctx, train, frames):
        """Mean and variance that broadcast against x, and the update of the running ones."""
        shape = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, x.dtype)
        variance = self.variable("batch_stats", "var", jnp.ones, shape, x.dtype)
        if not train or self.is_initializing():
            return mean.value, variance.value
        if self.kind == "batch":
            now = new = _moments(*ctx.psum(_sums(x, valid, rows=None)))
        else:
            per_example = jnp.concatenate(_sums(x, valid, rows=frames), axis=-1)
            per_group = ctx.group_sum(per_example, self.group_examples)
            total, square, count = jnp.split(per_group, (shape[0], 2 * shape[0]), axis=-1)
            now = _moments(total, square, count)
            # Every group weighs the same, but one without a single valid frame has no statistics.
            known = (count > 0).astype(x.dtype)
            sums = ctx.psum((*((moment * known).sum(0) for moment in now), known.sum()))
            new = tuple(moment / jnp.maximum(sums[2], 1) for moment in sums[:2])
            now = tuple(_expand(moment, x, frames) for moment in now)
        if self.is_mutable_collection("batch_stats"):
            mean.value = self.momentum * mean.value + (1 - self.momentum) * jax.lax.stop_gradient(new[0])
            variance.value = self.momentum * variance.value + (1 - self.momentum) * jax.lax.stop_gradient(new[1])
        return now


def make_norm(spec: NormSpec, dtype: Any, name: str) -> Norm:
    """The `Norm` layer that a network's spec asks for."""
    return Norm(spec.kind, spec.group_examples, spec.momentum, dtype=dtype, name=name)


def _sums(x, valid, rows):
    """Sum, sum of squares, count per channel: of all, or per example of `rows` rows as [E, C], [E, C], [E, 1].

    Rows that are not valid are zero already and are not counted.
    """
    counts = jnp.ones(x.shape[0], x.dtype) if valid is None else (valid > 0).astype(x.dtype)
    positions = math.prod(x.shape[1:-1])
    if rows is None:
        axes = tuple(range(x.ndim - 1))
        return x.sum(axes), jnp.square(x).sum(axes), counts.sum() * positions
    x = x.reshape(x.shape[0] // rows, rows * positions, x.shape[-1])
    return x.sum(1), jnp.square(x).sum(1), counts.reshape(-1, rows).sum(1, keepdims=True) * positions


def _moments(total, square, count):
    count = jnp.maximum(count, 1)
    mean = total / count
    return mean, jnp.maximum(square / count - jnp.square(mean), 0)


def _expand(moment, x, frames):
    """[E, C] per example -> [N, 1..., C] per row."""
    return jnp.repeat(moment, frames, axis=0).reshape(x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])


def _row_moments(x):
    """Moments of each row over groups of channels, as [N, 1..., C]."""
    n, channels = x.shape[0], x.shape[-1]
    groups = math.gcd(CHANNEL_GROUPS, channels)
    split = x.reshape(n, -1, groups, channels // groups)
    mean = split.mean((1, 3), keepdims=True)
    variance = jnp.square(split - mean).mean((1, 3), keepdims=True)
    shape = (n, *(1,) * (x.ndim - 2), channels)
    return tuple(jnp.repeat(moment.reshape(n, groups), channels // groups, axis=1).reshape(shape)
                 for moment in (mean, variance))
