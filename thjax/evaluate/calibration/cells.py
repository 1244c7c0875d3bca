"""From measurements of clips to the cells of the matrix, and to what sync must do beside them."""

import math

import numpy as np

from thjax.evaluate.calibration.faults import FAULTS
from thjax.evaluate.calibration.measuring import (
    CONTROLS,
    OTHER_AUDIO,
    STILL_FRAMES,
    TRUTH,
    Measured,
    dose_row,
)
from thjax.evaluate.calibration.performances import CLIPS_EACH
from thjax.evaluate.calibration.verdicts import Cell, Kind, judge
from thjax.metrics.distribution import frechet, kernel_distance
from thjax.metrics.merging import Moments
from thjax.metrics.sync import VSHIFT

POOLED = ("wer", "au_f1", "au_accuracy", "blink_rate_ear", "blink_rate_au45", "undetected")
"""Ratios over many clips: a clip of three seconds holds too few events, so a speaker's clips are one unit."""
RARE = ("closure_recall", "closure_precision", "beat_alignment")
"""A speaker's clips hold too few of these events, too: all clips together are one unit."""
DISTANCES = ("fid", "kid")
"""Distances of whole sets: again one unit."""
LEAST_SHARE = 0.5
"""Of the clips that must have a face at a dose for a distance of sets to be taken over them."""
FEATURES_FOR_KID = 600
"""Evenly spread; the kernel distance takes every pair."""
WITHIN = 1
RECOVERED_BAR = 0.90
CHANCE = (2 * WITHIN + 1) / (2 * VSHIFT + 1)
"""Share of clips that a guess among all shifts puts within a frame."""
CHANCE_DEVIATIONS = 3.0


def rows_of(fault: str) -> list[str]:
    """The truth, then the doses of a fault, rising."""
    return [TRUTH, *(dose_row(fault, number) for number in range(1, len(FAULTS[fault].doses) + 1))]


def table(measured: list[Measured], metric: str, rows: list[str]) -> np.ndarray:
    """[N, R] values of a metric, N units (clips, speakers or one); NaN where it has none."""
    if metric in DISTANCES:
        return np.array([[_distance(measured, metric, row) for row in rows]])
    size = CLIPS_EACH if metric in POOLED else len(measured) if metric in RARE else 1
    units = [measured[start : start + size] for start in range(0, len(measured), size)]
    return np.array([[_ratio(unit, metric, row) for row in rows] for unit in units])


def _ratio(clips, metric: str, row: str) -> float:
    parts = [clip.values[row][metric] for clip in clips if metric in clip.values.get(row, ())]
    below = sum(part[1] for part in parts)
    return sum(part[0] for part in parts) / below if below else float("nan")


def _distance(measured: list[Measured], metric: str, row: str) -> float:
    both = [clip for clip in measured if TRUTH in clip.features and row in clip.features]
    if not both or len(both) < LEAST_SHARE * len(measured):
        return float("nan")
    real, made = (np.concatenate([clip.features[name] for clip in both]).astype(np.float64)
                  for name in (TRUTH, row))
    if metric == "fid":
        return frechet(Moments.of(real), Moments.of(made))
    # The same frames on both sides would make the truth's distance to itself negative: halves of different clips do.
    step = max(1, len(real) // FEATURES_FOR_KID)
    return kernel_distance(real[::step], made[step // 2 :: step])


def metrics_of(measured: list[Measured]) -> list[str]:
    """Bases of everything that was measured, in the order of the first clip, then the distances."""
    found = dict.fromkeys(name for clip in measured for name in clip.values[TRUTH])
    return [*found, *(DISTANCES if any(clip.features for clip in measured) else ())]


def cells(measured: list[Measured], matrix: dict[str, dict[str, Kind]]) -> dict[str, dict[str, Cell]]:
    """Every cell of the matrix, as measured."""
    result: dict[str, dict[str, Cell]] = {}
    for metric, row in matrix.items():
        controls = table(measured, metric, list(CONTROLS))
        result[metric] = {fault: judge(kind, table(measured, metric, rows_of(fault)), controls)
                          for fault, kind in row.items()}
    return result


def checks(measured: list[Measured]) -> dict[str, dict]:
    """{name: {"value", "bar", "n", "holds"}}: planted offsets are found, and where there is none to find, none is."""
    planted = FAULTS["av_offset"].doses
    made, sign = table(measured, "sync_offset", rows_of("av_offset")), []
    for clip in measured:
        late = int(clip.name.rpartition("/")[2]) % 2
        sign.append(1 if late else -1)
    errors = made[:, 1:] - made[:, :1] - np.array(sign)[:, None] * np.array(planted)[None]
    found = float((np.abs(errors) <= WITHIN).mean())
    deviation = math.sqrt(CHANCE * (1 - CHANCE) / len(measured))
    bar = CHANCE + CHANCE_DEVIATIONS * deviation
    result = {"offset_recovered": {"value": found, "bar": RECOVERED_BAR, "n": errors.size,
                                   "holds": found >= RECOVERED_BAR}}
    for row in (STILL_FRAMES, OTHER_AUDIO):
        share = float((np.abs(table(measured, "sync_offset", [row])) <= WITHIN).mean())
        result[f"offset_at_chance_{row}"] = {"value": share, "bar": bar, "n": len(measured), "holds": share <= bar}
    return result
