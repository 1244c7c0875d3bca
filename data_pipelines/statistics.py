"""Statistics of a corpus that add up: those of clips make those of a shard, those of shards make those of a split.

Everything is counted in whole numbers (data_pipelines/histograms.py), so any division into shards and any order of
merging give the same bits. A clip is counted whole, for only its first record knows where its head started.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from data_pipelines import histograms
from data_pipelines.histograms import FROM_START, RANGES
from data_pipelines.schema import DataError

FORM = 2
"""Of the statistics, not of the records: 1 was sums of float64 and no histograms. `Writer.finish` counts shards of
another form again."""
RATES = ("au_presence", "blink")
FIELDS = ("segment", "n", "face_ok", "au", "pose", *RATES)
"""Of a record, what is counted."""
_COUNTS = ("records", "clips", "frames", "frames_masked", "blinks")


def empty() -> dict:
    """Statistics of nothing."""
    return {"form": FORM} | dict.fromkeys(_COUNTS, 0) | {"rates": {}, "values": {}}


def is_current(part: Mapping[str, Any]) -> bool:
    """Whether this program can merge these statistics."""
    return part.get("form") == FORM


def of_clip(segments: Sequence[Mapping[str, Any]]) -> dict:
    """Statistics of one clip; frames without a face count as masked only.

    `values` holds the counts of AU intensities, pose, and translation from the first frame whose face was found and
    whose translation is finite. A blink begins where the lids are closed and were not in the found frame before.

    Args:
        segments: the clip's records in order, all of them; arrays as `records.decode` gives them.

    Raises:
        ValueError: a record is missing or in the wrong place.
    """
    numbers = [int(record["segment"]) for record in segments]
    if numbers != list(range(len(segments))):
        raise ValueError(f"segments {numbers} are no whole clip; give all its records, in order")
    joined = {name: np.concatenate([np.asarray(record[name]) for record in segments])
              for name in FIELDS[2:] if segments and name in segments[0]}
    found = joined.pop("face_ok") > 0
    result = empty() | {"records": len(segments), "clips": 1, "frames": sum(int(record["n"]) for record in segments),
                        "frames_masked": int((~found).sum()), "rates": {}, "values": {}}
    if not found.any():
        return result
    joined = {name: values[found] for name, values in joined.items()}
    if "pose" in joined:
        joined[FROM_START] = _from_start(joined["pose"][:, :3])
    if "blink" in joined:
        closed = joined["blink"] > 0
        result["blinks"] = int((closed & ~np.append(False, closed[:-1])).sum())
    for name in RATES:
        if name in joined:
            total = np.atleast_1d(joined[name].astype(np.int64).sum(0)).tolist()
            result["rates"][name] = {"count": len(joined[name]), "sum": total}
    result["values"] = {name: histograms.count(name, joined[name]) for name in RANGES if name in joined}
    return result


def merge(parts: Iterable[Mapping[str, Any]]) -> dict:
    """The statistics of everything together.

    Raises:
        DataError: a part was counted by a program of another form.
    """
    parts = list(parts)
    for part in parts:
        if not is_current(part):
            raise DataError(f"the corpus has statistics of form {part.get('form', 1)}, this program merges {FORM}: "
                            "exact counts with histograms. Rerun the command that wrote the corpus (`rebuild` in its "
                            "dataset.json): it keeps the shards and counts them again; `thjax data stats` shows them")
    total = empty() | {name: sum(part[name] for part in parts) for name in _COUNTS}
    for name in RATES:
        if rates := [part["rates"][name] for part in parts if name in part["rates"]]:
            sums = [sum(column) for column in zip(*(rate["sum"] for rate in rates), strict=True)]
            total["rates"][name] = {"count": sum(rate["count"] for rate in rates), "sum": sums}
    for name in RANGES:
        if counted := [part["values"][name] for part in parts if name in part["values"]]:
            total["values"][name] = histograms.merge(name, counted)
    return total


def counts(part: Mapping[str, Any]) -> dict:
    """Statistics without `values`, which take most of the room; they no longer merge."""
    return {name: part[name] for name in (*_COUNTS, "rates")}


def _from_start(translation: np.ndarray) -> np.ndarray:
    """`[n, 3]` mm from the first finite row; NaN where there is none."""
    finite = np.isfinite(translation).all(1)
    start = translation[np.argmax(finite)] if finite.any() else np.full(3, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):  # infinity minus infinity is counted as not finite
        return translation.astype(np.float64) - start
