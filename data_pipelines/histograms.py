"""Moments and histograms of per-frame values in whole numbers: the same bits whatever is added first.

Floating-point sums depend on their order. Here a value becomes a whole number of steps of 2**-20 of its unit (about
1e-6 AU, mm or rad), and sums, squares and counts are Python integers, which neither round nor overflow. Rounding moves
a value by at most half a step, so a mean and a deviation by at most half a step (4.8e-7), and a float32 of magnitude 8
or more not at all.

Counts of a field with C channels are a dict, as JSON can hold it; every entry but the last has one item a channel:

    count           finite values
    not_finite      NaN and infinite values, which are in no other entry
    below, above    of `count`, those outside the declared range
    sum             int, steps
    sum_of_squares  int, steps squared
    min, max        of the values themselves, None where there is none
    histogram       {"gaps", "counts"}: the bins that are not empty, see `_packed`
"""

import base64
import dataclasses
from collections.abc import Sequence

import numpy as np

from data_pipelines import schema

STEPS_PER_UNIT = 2**20
BINS = 4096

AU_RANGE = (0, 5)
"""Intensity, the scale of FACS."""
SIDEWAYS_RANGE = (-1024, 1024)
"""Tx and Ty, mm: a metre to each side of the camera's axis; bins of 0.5 mm."""
DEPTH_RANGE = (0, 4096)
"""Tz, mm: faces up to 4 m away, and none behind the camera; bins of 1 mm."""
ROTATION_RANGE = (-2, 2)
"""Rx, Ry and Rz, rad: beyond a full profile, which is 1.57; bins of 0.001 rad."""
FROM_START_RANGE = (-512, 512)
"""Translation from the clip's start, mm: half a metre each way; bins of 0.25 mm."""

FROM_START = "translation_from_start"
RANGES = {
    "au": (AU_RANGE,) * len(schema.AU_INTENSITY),
    "pose": (SIDEWAYS_RANGE, SIDEWAYS_RANGE, DEPTH_RANGE) + (ROTATION_RANGE,) * 3,
    FROM_START: (FROM_START_RANGE,) * 3,
}
"""{field: (low, high) of each channel}, both ends within. Whoever changes one raises `statistics.FORM`."""

_ADDED = ("count", "not_finite", "below", "above", "sum", "sum_of_squares")
_EXTREMES = (("min", min), ("max", max))


@dataclasses.dataclass(frozen=True)
class Histogram:
    """One channel over its declared range.

    Attributes:
        low, high: ends of the range, both within it.
        counts: int64 `[BINS]`, bins of equal width.
        below, above: values outside the range.
        least, most: extremes of all values, None where there is none.
    """

    low: float
    high: float
    counts: np.ndarray
    below: int
    above: int
    least: float | None
    most: float | None

    @property
    def width(self) -> float:
        """Of a bin, in the channel's unit."""
        return (self.high - self.low) / BINS


def count(field: str, values: np.ndarray) -> dict:
    """Counts of values `[n, C]` of a field of `RANGES`."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is counted as infinite
        values = np.asarray(values).astype(np.float32).astype(np.float64)  # as records store them
    finite = np.isfinite(values)
    # Exact: a float32 times a power of two is a float64, and so is a whole number next to it.
    steps = np.rint(np.where(finite, values, 0.0) * STEPS_PER_UNIT)
    low, high = (np.array(ends, np.int64) * STEPS_PER_UNIT for ends in zip(*RANGES[field], strict=True))
    below, above = finite & (steps < low), finite & (steps > high)
    inside = finite & ~below & ~above
    # Ranges are whole numbers of up to 2**12 units: 2**32 steps times 2**12 bins stays far below 2**63.
    place = (np.where(inside, steps - low, 0).astype(np.int64) * BINS) // (high - low)
    place = np.minimum(place, BINS - 1) + BINS * np.arange(len(low))
    bins, counts = np.unique(place[inside], return_counts=True)
    whole = [[int(step) for step in column[there]] for column, there in zip(steps.T, finite.T, strict=True)]
    kept = [column[there] + 0.0 for column, there in zip(values.T, finite.T, strict=True)]  # one zero, without sign
    return {
        "count": finite.sum(0).tolist(), "not_finite": (~finite).sum(0).tolist(),
        "below": below.sum(0).tolist(), "above": above.sum(0).tolist(),
        "sum": [sum(column) for column in whole],
        "sum_of_squares": [sum(step * step for step in column) for column in whole],
        "min": [float(column.min()) if len(column) else None for column in kept],
        "max": [float(column.max()) if len(column) else None for column in kept],
        "histogram": _sparse(bins, counts),
    }


def merge(field: str, parts: Sequence[dict]) -> dict:
    """The counts of everything together; any order and any grouping of the parts gives the same bits."""
    columns = lambda name: zip(*(part[name] for part in parts), strict=True)
    total = {name: [sum(column) for column in columns(name)] for name in _ADDED}
    for name, choose in _EXTREMES:
        total[name] = [choose((value for value in column if value is not None), default=None)
                       for column in columns(name)]
    # int64: 2**63 frames are more than anybody films.
    dense = np.zeros(len(RANGES[field]) * BINS, np.int64)
    for part in parts:
        bins, counts = _dense_places(part["histogram"])
        dense[bins] += counts
    bins = np.flatnonzero(dense)
    return total | {"histogram": _sparse(bins, dense[bins])}


def mean_and_deviation(counted: dict) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation `[C]` in the field's units; NaN for a channel without a value.

    Within half a step (4.8e-7) of those of the values, beside the rounding of float64.
    """
    mean, deviation = [], []
    for n, total, squares in zip(counted["count"], counted["sum"], counted["sum_of_squares"], strict=True):
        # Divided last: the difference of two large integers is exact, that of two float64 would be noise.
        mean.append(total / n / STEPS_PER_UNIT if n else np.nan)
        deviation.append(((n * squares - total * total) / (n * n)) ** 0.5 / STEPS_PER_UNIT if n else np.nan)
    return np.array(mean), np.array(deviation)


def histogram(field: str, counted: dict, channel: int) -> Histogram:
    """The histogram of one channel of a field."""
    bins, counts = _dense_places(counted["histogram"])
    mine = (bins >= channel * BINS) & (bins < (channel + 1) * BINS)
    dense = np.zeros(BINS, np.int64)
    dense[bins[mine] - channel * BINS] = counts[mine]
    return Histogram(*map(float, RANGES[field][channel]), dense,
                     *(counted[name][channel] for name in ("below", "above", "min", "max")))


def quantile(histogram: Histogram, q: float) -> float:
    """The q-quantile as `numpy.quantile` defines it (linear), within one bin width plus half a step.

    numpy interpolates between two neighbours in the sorted values; each lies in a known bin, is taken to be spread
    evenly over it and between the extremes, and so is off by less than a bin. Where a neighbour lies outside the range
    no more is known than that: the result uses the end of the range, and the bound does not hold.

    Args:
        histogram: of one channel.
        q: 0 to 1.

    Raises:
        ValueError: the histogram is empty, or q is not a share.
    """
    total = histogram.below + int(histogram.counts.sum()) + histogram.above
    if not total or not 0 <= q <= 1:
        raise ValueError(f"quantile {q} of {total} values; use 0 to 1 and a histogram that holds values")
    rank = q * (total - 1)
    first = min(int(rank), total - 1)
    share = rank - first
    value = _sorted_value(histogram, first)
    return value if not share else (1 - share) * value + share * _sorted_value(histogram, first + 1)


def _sorted_value(histogram: Histogram, rank: int) -> float:
    """About the value with `rank` smaller ones."""
    rank -= histogram.below
    ends = np.cumsum(histogram.counts)
    if rank < 0:
        return histogram.low
    if rank >= ends[-1]:
        return histogram.high
    place = int(np.searchsorted(ends, rank, side="right"))
    inside = rank - int(ends[place]) + int(histogram.counts[place])
    value = histogram.low + (place + (inside + 0.5) / int(histogram.counts[place])) * histogram.width
    return min(max(value, histogram.least), histogram.most)


def _sparse(bins: np.ndarray, counts: np.ndarray) -> dict:
    return {"gaps": _packed(np.diff(bins, prepend=0)), "counts": _packed(counts)}


def _dense_places(sparse: dict) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the bins, channel * BINS + bin in rising order, and what they hold."""
    return np.cumsum(_unpacked(sparse["gaps"]), dtype=np.int64), _unpacked(sparse["counts"])


def _packed(numbers: np.ndarray) -> str:
    """Whole numbers as text: the narrowest unsigned type that holds them, a colon, little-endian bytes in base64.

    A shard's histograms are a hundred thousand numbers: as JSON, a line each, they would outgrow all else by far.
    """
    kind = np.min_scalar_type(int(numbers.max(initial=0))).str.lstrip("|<>=")
    return f"{kind}:{base64.b64encode(numbers.astype('<' + kind).tobytes()).decode()}"


def _unpacked(text: str) -> np.ndarray:
    kind, _, data = text.partition(":")
    return np.frombuffer(base64.b64decode(data), f"<{kind}")
