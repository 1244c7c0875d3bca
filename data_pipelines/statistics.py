"""Statistics of a shard that add up: counts and moments, merged into those of a split without reading data again."""

from collections.abc import Iterable

import numpy as np

_MOMENTS = ("au", "pose")
_RATES = ("au_presence", "blink")


def empty() -> dict:
    """Statistics of nothing."""
    return {"records": 0, "clips": 0, "frames": 0, "frames_masked": 0, "moments": {}, "rates": {}}


def of_record(record: dict) -> dict:
    """Statistics of one record (arrays as `records.decode` gives them); frames without a face count as masked only."""
    found = np.asarray(record["face_ok"]) > 0
    result = empty() | {"records": 1, "clips": int(record["segment"] == 0), "frames": int(record["n"]),
                        "frames_masked": int((~found).sum())}
    for name in _MOMENTS:
        if name in record and found.any():
            values = np.asarray(record[name], np.float64)[found]
            result["moments"][name] = {
                "count": len(values), "sum": values.sum(0).tolist(), "sum_of_squares": (values**2).sum(0).tolist(),
                "min": values.min(0).tolist(), "max": values.max(0).tolist(),
            }
    for name in _RATES:
        if name in record and found.any():
            values = np.asarray(record[name], np.int64)[found]
            result["rates"][name] = {"count": len(values), "sum": np.atleast_1d(values.sum(0)).tolist()}
    return result


def merge(parts: Iterable[dict]) -> dict:
    """The statistics of everything together. Sums run in the order given, so equal input gives equal bytes."""
    total = empty()
    for part in parts:
        for name in ("records", "clips", "frames", "frames_masked"):
            total[name] += part[name]
        for kind in ("moments", "rates"):
            for name, values in part[kind].items():
                known = total[kind].get(name)
                total[kind][name] = values if known is None else _add(known, values)
    return total


def mean_and_deviation(moments: dict) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation `[K]` from an entry of `moments`."""
    mean = np.asarray(moments["sum"]) / moments["count"]
    variance = np.asarray(moments["sum_of_squares"]) / moments["count"] - mean**2
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _add(a: dict, b: dict) -> dict:
    combine = {"min": np.minimum, "max": np.maximum}
    return {name: a[name] + b[name] if name == "count" else combine.get(name, np.add)(a[name], b[name]).tolist()
            for name in a}
