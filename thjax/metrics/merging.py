"""Sums that shards and hosts take apart and that add up to one pass over everything."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from thjax.metrics.shapes import expect_shape, finite


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A pooled ratio: `+` adds numerators and denominators, so that long clips weigh more.

    Attributes:
        above: numerator.
        below: denominator, 0 or more.
    """

    above: float
    below: float

    def __add__(self, other: "Ratio") -> "Ratio":
        return Ratio(self.above + other.above, self.below + other.below)

    @property
    def value(self) -> float:
        """The ratio; NaN over nothing."""
        return self.above / self.below if self.below else float("nan")


@dataclasses.dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of features in float64; `+` merges disjoint sets.

    Deviations are taken from each part's own mean (Chan et al. 1979), so that a large mean costs no digits.

    Attributes:
        count: N rows.
        mean: [D].
        scatter: [D, D] sum over rows of the outer product of their deviations from the mean.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Moments":
        """Of features [N, D]."""
        expect_shape("features", features, ("N", "D"))
        finite("features", features)
        x = features.astype(np.float64)
        mean = x.mean(axis=0)
        centred = x - mean
        return cls(len(x), mean, centred.T @ centred)

    def __add__(self, other: "Moments") -> "Moments":
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"moments of {self.mean.size} and {other.mean.size} features cannot be added; both parts "
                             "must come from one network")
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        between = np.outer(apart, apart) * (self.count * other.count / count)
        return Moments(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> np.ndarray:
        """[D, D] sample covariance (N - 1).

        Raises:
            ValueError: fewer than two rows.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 samples, got {self.count}; add shards before reading it")
        return self.scatter / (self.count - 1)


@dataclasses.dataclass(frozen=True)
class PerClip:
    """Values of every clip, kept by name, so that no shard, order or host changes what is reported.

    Attributes:
        values: {metric: {clip: value}}.
    """

    values: dict[str, dict[str, float]]

    def __add__(self, other: "PerClip") -> "PerClip":
        merged = {metric: dict(clips) for metric, clips in self.values.items()}
        for metric, clips in other.values.items():
            own = merged.setdefault(metric, {})
            twice = sorted(own.keys() & clips.keys())
            if twice:
                raise ValueError(f"clip {twice[0]!r} and {len(twice) - 1} more were measured by two shards ({metric}); "
                                 "shards must not overlap")
            own |= clips
        return PerClip(merged)

    def of(self, metric: str) -> tuple[list[str], np.ndarray]:
        """Names of the clips in sorted order, and their values [n] float64.

        Raises:
            ValueError: the metric was not measured.
        """
        if metric not in self.values:
            raise ValueError(f"{metric!r} was not measured; there are {', '.join(sorted(self.values)) or 'no values'}")
        clips = self.values[metric]
        names = sorted(clips)
        return names, np.array([clips[name] for name in names], np.float64)


def merge(parts: Iterable):
    """The sum of parts of one kind, in the order given.

    Raises:
        ValueError: there is no part.
    """
    parts = list(parts)
    if not parts:
        raise ValueError("there is nothing to merge; every shard was empty or failed")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
