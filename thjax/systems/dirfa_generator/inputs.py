"""What the networks see of a batch: pairs of frames of one track, and Z in deviations of the corpus."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from data_pipelines import histograms, statistics
from data_pipelines.schema import DataError
from thjax.core.precision import policy
from thjax.core.rngs import Rngs
from thjax.engine import Batch
from thjax.systems.dirfa_generator.geometry import CHANNELS, vectors

SMALLEST_DEVIATION = 1e-3
"""Where a channel does not move in the whole corpus; intensities, mm or rad."""

PARTS = (tuple(range(48, 68)), (*range(17, 22), *range(36, 42)), (*range(22, 27), *range(42, 48)))
"""Landmarks of the mouth, and of each eye with its brow."""
PART_MARGIN = 0.2
"""Of a part's width, that its box is wider on every side."""


class Pair(struct.PyTreeNode):
    """Two frames of every track.

    Attributes:
        picture, z: [B, H, W, 3] in [0, 1] and [B, 23] of the source.
        truth, driving: the same of the frame to be drawn.
        valid: [B], one where the faces of both were found.
        points: [B, 68, 2] landmarks of `truth`, pixels, NaN where no face was found; None where the batch has none.
    """

    picture: jax.Array
    z: jax.Array
    truth: jax.Array
    driving: jax.Array
    valid: jax.Array
    points: jax.Array | None = None


def draw_pair(batch: Batch, rngs: Rngs) -> Pair:
    """Two different frames of each window, drawn uniformly in order from those with a face, keyed by example.

    A window with fewer than two of them is not valid.
    """
    valid = batch["valid"] > 0

    def choose(key, row):
        first, second = jax.random.split(key)
        source = jax.random.categorical(first, jnp.where(row, 0.0, -jnp.inf))
        left = row & (jnp.arange(len(row)) != source)
        target = jax.random.categorical(second, jnp.where(left, 0.0, -jnp.inf))
        return source, target, left.any()

    source, target, found = jax.vmap(choose)(rngs.stream("pair"), valid)
    take = lambda x, places: jax.vmap(lambda row, place: row[place])(x, places)
    frames, z = batch["frames"], vectors(batch["au"], batch["pose"])
    # What no label is known of may hold anything; a depth of zero would divide.
    z = jnp.where(valid[..., None], z, nobody())
    points = None
    if "landmarks" in batch:
        points = take(jnp.where(valid[..., None, None], batch["landmarks"], jnp.nan), target)
    return Pair(
        to_unit(take(frames, source)), take(z, source), to_unit(take(frames, target)), take(z, target),
        found.astype(policy("f32").params), points,
    )


def nobody() -> jax.Array:
    """[23]: a face at rest a metre away."""
    return jnp.zeros(len(CHANNELS)).at[CHANNELS.index("Tz")].set(1000.0)


def part_masks(points: jax.Array, height: int, width: int) -> jax.Array:
    """Where expressions show: boxes of the mouth and of each eye with its brow.

    Args:
        points: [B, 68, 2] x, y in pixels, pixel centres at +0.5; NaN where unknown.
        height: rows of a frame.
        width: columns of a frame.

    Returns:
        [3, B, H, W] 1 inside a box, 0 outside and where its points are unknown.
    """
    x, y = jnp.arange(width) + 0.5, jnp.arange(height) + 0.5
    masks = []
    for part in PARTS:
        low, high = points[:, list(part)].min(axis=1), points[:, list(part)].max(axis=1)
        margin = PART_MARGIN * (high[:, :1] - low[:, :1])
        low, high = low - margin, high + margin
        in_x = (x >= low[:, :1]) & (x <= high[:, :1])
        in_y = (y >= low[:, 1:]) & (y <= high[:, 1:])
        masks.append(in_y[:, :, None] & in_x[:, None, :])
    return jnp.stack(masks).astype(points.dtype)


def to_unit(pixels: jax.Array) -> jax.Array:
    """Pixels uint8 -> [0, 1]."""
    return pixels.astype(policy("f32").params) / 255


def to_pixels(frames: jax.Array) -> jax.Array:
    """[0, 1] -> uint8 pixels, rounded."""
    return jnp.round(jnp.clip(frames, 0, 1) * 255).astype(jnp.uint8)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Mean and deviation [23] of Z in a corpus, units of `geometry.CHANNELS`."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def standardised(self, z: jax.Array) -> jax.Array:
        """Z [..., 23] in deviations from the mean."""
        return (z - jnp.asarray(self.mean, z.dtype)) / jnp.asarray(self.deviation, z.dtype)


def moments(shard_statistics: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Mean and deviation of the 23 channels in the training split: {"mean", "deviation"}.

    Raises:
        DataError: the corpus has no AU or pose labels, or a channel without any finite value.
    """
    values = statistics.merge(shard_statistics)["values"]
    if missing := [name for name in ("au", "pose") if name not in values]:
        raise DataError(f"the training split has no labels of {' and '.join(missing)}; dirfa_generator is driven by "
                        "action units and head pose: label the corpus, or use one that has both")
    mean, deviation = (np.concatenate(parts) for parts in zip(
        *(histograms.mean_and_deviation(values[name]) for name in ("au", "pose")), strict=True))
    if empty := [name for name, value in zip(CHANNELS, mean, strict=True) if not np.isfinite(value)]:
        raise DataError(f"the training split has no finite value of {', '.join(empty)}; mend its labels and write the "
                        "corpus again")
    return {"mean": mean.tolist(), "deviation": np.maximum(deviation, SMALLEST_DEVIATION).tolist()}
