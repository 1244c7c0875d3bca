"""From the moments that a corpus keeps to the ranges that the quantiser needs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipelines import statistics
from data_pipelines.schema import DataError
from thjax.systems.dirfa.animation import AU_RANGE, TRANSLATION

TAIL = 3.0902
"""Deviations from the mean to the 0.1 and 99.9 percentiles of a normal distribution."""
SMALLEST = 0.01
"""Least deviation of a channel, as a share of its range."""
NARROWEST = 1e-3
"""Width of a range, mm or rad, where a corpus does not move at all."""


def ranges(shard_statistics: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Ranges and moments of the 23 channels, from the shards of the training split.

    AUs have their scale, 0 to 5. Shards keep counts, moments and extremes of the pose and no percentiles: the 0.1 and
    99.9 percentiles are those of a normal distribution of the same moments, never beyond the extremes. Translation from
    a clip's start is a difference of two values of the same distribution: mean 0, at most sqrt(2) times its deviation.

    Args:
        shard_statistics: see data_pipelines/statistics.py.

    Returns:
        {"low", "high", "mean", "deviation"}: 23 numbers each, order and units of `animation.CHANNELS`.

    Raises:
        DataError: the corpus has no AU or pose labels.
    """
    moments = statistics.merge(shard_statistics)["moments"]
    if missing := [name for name in ("au", "pose") if name not in moments]:
        raise DataError(f"the training split has no labels of {' and '.join(missing)}; dirfa learns from action units "
                        "and head pose: label the corpus, or use one that has both")
    au_mean, au_deviation = statistics.mean_and_deviation(moments["au"])
    pose_mean, pose_deviation = statistics.mean_and_deviation(moments["pose"])
    least, most = np.asarray(moments["pose"]["min"]), np.asarray(moments["pose"]["max"])
    moved = np.array(TRANSLATION) - len(au_mean)
    reach = (most - least)[moved]
    pose_mean[moved], pose_deviation[moved] = 0, 2**0.5 * pose_deviation[moved]
    least[moved], most[moved] = -reach, reach
    low = np.maximum(pose_mean - TAIL * pose_deviation, least)
    high = np.minimum(pose_mean + TAIL * pose_deviation, most)
    still = high - low < NARROWEST
    low, high = np.where(still, low - NARROWEST / 2, low), np.where(still, high + NARROWEST / 2, high)
    found = {
        "low": np.concatenate([np.full(len(au_mean), AU_RANGE[0]), low]),
        "high": np.concatenate([np.full(len(au_mean), AU_RANGE[1]), high]),
        "mean": np.concatenate([au_mean, pose_mean]),
    }
    # A channel that hardly moves still has to be divided by something.
    least_deviation = SMALLEST * (found["high"] - found["low"])
    found["deviation"] = np.maximum(np.concatenate([au_deviation, pose_deviation]), least_deviation)
    return {name: [float(value) for value in values] for name, values in found.items()}
