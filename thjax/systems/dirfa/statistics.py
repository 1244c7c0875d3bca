"""From the statistics that a corpus keeps to the ranges that the quantiser needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipelines import histograms, statistics
from data_pipelines.schema import DataError
from thjax.systems.dirfa.animation import AU_RANGE, CHANNELS, TRANSLATION

TAIL = 0.001
"""Share of the values that a range leaves out at each end: it reaches from the 0.1 to the 99.9 percentile."""
SMALLEST = 0.01
"""Least deviation of a channel, as a share of its range."""
NARROWEST = 1e-3
"""Width of a range, mm or rad, where a corpus does not move at all."""


def ranges(shard_statistics: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Ranges and moments of the 23 channels, from the training split.

    AUs have their scale, 0 to 5. Pose reaches from its 0.1 to its 99.9 percentile, within a bin of the histogram:
    0.25 mm and 0.001 rad. Translation is counted from the clip's first found frame, rotation as it is.

    Args:
        shard_statistics: see data_pipelines/statistics.py.

    Returns:
        {"low", "high", "mean", "deviation"}: 23 numbers each, order and units of `animation.CHANNELS`.

    Raises:
        DataError: the corpus has no AU or pose labels, no finite value of a channel, or statistics of an older program.
    """
    values = statistics.merge(shard_statistics)["values"]
    if missing := [name for name in ("au", "pose") if name not in values]:
        raise DataError(f"the training split has no labels of {' and '.join(missing)}; dirfa learns from action units "
                        "and head pose: label the corpus, or use one that has both")
    # In the order of CHANNELS: AUs, translation from the start, rotation.
    origin = [("au", channel) for channel in range(TRANSLATION[0])]
    origin += [(histograms.FROM_START, channel) for channel in range(len(TRANSLATION))]
    origin += [("pose", channel) for channel in range(len(TRANSLATION), len(CHANNELS) - TRANSLATION[0])]
    if empty := [name for name, (field, channel) in zip(CHANNELS, origin, strict=True)
                 if not values[field]["count"][channel]]:
        raise DataError(f"the training split has no finite value of {', '.join(empty)}; mend its labels and write the "
                        "corpus again")
    moments = {field: histograms.mean_and_deviation(counted) for field, counted in values.items()}
    mean, deviation = np.array([[moments[field][moment][channel] for field, channel in origin] for moment in range(2)])
    low, high = np.array([_ends(field, values[field], channel) for field, channel in origin]).T
    still = high - low < NARROWEST
    low, high = np.where(still, low - NARROWEST / 2, low), np.where(still, high + NARROWEST / 2, high)
    # A channel that hardly moves still has to be divided by something.
    deviation = np.maximum(deviation, SMALLEST * (high - low))
    found = {"low": low, "high": high, "mean": mean, "deviation": deviation}
    return {name: [float(value) for value in column] for name, column in found.items()}


def _ends(field: str, counted: Mapping[str, Any], channel: int) -> tuple[float, float]:
    if field == "au":
        return AU_RANGE
    histogram = histograms.histogram(field, counted, channel)
    return histograms.quantile(histogram, TAIL), histograms.quantile(histogram, 1 - TAIL)
