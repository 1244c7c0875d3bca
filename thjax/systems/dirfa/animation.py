"""The facial animation vector Z: its 23 channels, and their quantiser (Wu et al. 2023, section 3.1, eq. 2 and 4)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.schema import AU_INTENSITY, POSE
from thjax.core.precision import policy

CHANNELS = AU_INTENSITY + POSE
"""17 intensities, 0 to 5; then Tx Ty Tz in mm from the clip's start and Rx Ry Rz in rad."""
TRANSLATION = tuple(CHANNELS.index(name) for name in ("Tx", "Ty", "Tz"))
AU_RANGE = (0.0, 5.0)


def channels(*names: str) -> np.ndarray:
    """Indices of channels by name."""
    return np.array([CHANNELS.index(name) for name in names])


GROUPS = {
    "lips": channels("AU10", "AU14", "AU17", "AU20", "AU23", "AU25", "AU26"),
    "brows": channels("AU01", "AU02", "AU04"),
    "pose": channels(*POSE),
}
"""Channels that figures are given for apart. Lips: what speech decides."""
MOODS = channels("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU12", "AU15")
"""Channels that come and go with neither speech nor blinks."""


@dataclasses.dataclass(frozen=True)
class Quantiser:
    """D intervals of equal width a channel; a value becomes the nearest centroid, a category becomes its centroid.

    Between the two lies the unit coordinate, 0 at the low end of a channel's range and 1 at its high end: category c
    covers [c / D, (c + 1) / D) and its centroid lies at (c + 0.5) / D.

    Attributes:
        low, high: [23] ends of the ranges, in the units of `CHANNELS`.
        mean, deviation: [23] of the training split, same units: what noise and regression are scaled by.
        categories: D.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    categories: int

    @classmethod
    def from_statistics(cls, stats: Mapping[str, Any], categories: int) -> "Quantiser":
        """The quantiser of a corpus, see `statistics.ranges`."""
        fields = {name: tuple(map(float, stats[name])) for name in ("low", "high", "mean", "deviation")}
        return cls(**fields, categories=categories)

    def unit(self, values: jax.Array) -> jax.Array:
        """Values [..., 23] -> unit coordinates, outside [0, 1] where a value is out of range."""
        low, high = self._ends()
        return (values - low) / (high - low)

    def values(self, unit: jax.Array) -> jax.Array:
        """Unit coordinates [..., 23] -> values."""
        low, high = self._ends()
        return low + unit * (high - low)

    def encode(self, values: jax.Array) -> jax.Array:
        """Values [..., 23] -> int32 categories [..., 23], those of the nearest centroids (eq. 2)."""
        # Intervals of equal width: the nearest centroid is the centroid of the interval that the value lies in.
        place = jnp.floor(self.unit(values) * self.categories)
        return jnp.clip(place, 0, self.categories - 1).astype(jnp.int32)

    def centroid(self, categories: jax.Array) -> jax.Array:
        """Categories [..., 23] -> unit coordinates of their centroids."""
        return (categories.astype(policy("f32").params) + 0.5) / self.categories

    def decode(self, categories: jax.Array) -> jax.Array:
        """Categories [..., 23] -> values of their centroids (eq. 4)."""
        return self.values(self.centroid(categories))

    def clipped(self, values: jax.Array) -> jax.Array:
        """[..., 23] bool: the value lies outside its range and goes to the outermost category."""
        unit = self.unit(values)
        return (unit < 0) | (unit > 1)

    def unit_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation [23] in unit coordinates."""
        low, high = np.asarray(self.low), np.asarray(self.high)
        return (np.asarray(self.mean) - low) / (high - low), np.asarray(self.deviation) / (high - low)

    def _ends(self) -> tuple[jax.Array, jax.Array]:
        dtype = policy("f32").params
        return jnp.asarray(self.low, dtype), jnp.asarray(self.high, dtype)


def animation_vectors(au: jax.Array, pose: jax.Array, start_pose: jax.Array) -> jax.Array:
    """Labels of a batch as Z.

    Translation is counted from the clip's start, wherever in it the window lies: absolute millimetres tell where a
    camera stood.

    Args:
        au: [B, T, 17], 0 to 5.
        pose: [B, T, 6], order `POSE`, mm and rad.
        start_pose: [B, 6], pose in the clip's first frame with a face.

    Returns:
        [B, T, 23], order `CHANNELS`.
    """
    together = jnp.concatenate([au, pose], axis=-1).astype(policy("f32").params)
    moving = jnp.asarray(np.isin(POSE, [CHANNELS[channel] for channel in TRANSLATION]), together.dtype)
    start = jnp.pad(start_pose * moving, ((0, 0), (len(AU_INTENSITY), 0)))
    return together - start[:, None]
