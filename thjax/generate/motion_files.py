"""A motion as a CSV file: ours, written and read, and OpenFace's, read."""

import contextlib
import csv
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from data_pipelines.schema import AU_INTENSITY, FPS, POSE, DataError
from thjax.core import files
from thjax.generate.table import Table, read_table
from thjax.systems.motion_sampler import CHANNELS

log = logging.getLogger(__name__)
HEADER = ("frame", "timestamp", *CHANNELS)
OPENFACE = {f"{name}_r": name for name in AU_INTENSITY} | {f"pose_{name}": name for name in POSE}
"""OpenFace's columns by our names; its translation is absolute, mm from the camera."""
_ON_GRID = 0.05
"""Frames that a row may lie beside its place and still count as being there: OpenFace rounds to milliseconds."""


@contextlib.contextmanager
def motion_writer(path: Path) -> Iterator[Callable[[np.ndarray], None]]:
    """Yields a function that appends animation vectors [n, 23] to a CSV file, which appears whole or not at all.

    One row a frame: its index from 0, seconds from the start, then the channels. Nine digits: read back as float32
    they are the same numbers.
    """
    with files.whole(path) as temporary, open(temporary, "w", newline="", encoding="ascii") as file:
        rows, frame = csv.writer(file, lineterminator="\n"), 0
        rows.writerow(HEADER)

        def append(vectors: np.ndarray) -> None:
            nonlocal frame
            for vector in vectors:
                rows.writerow([frame, f"{frame / FPS:.2f}", *(f"{value:.9g}" for value in vector)])
                frame += 1

        yield append


def read_motion(path: str | Path) -> np.ndarray:
    """The motion of a performance, at 25 frames per second.

    Ours (columns as `HEADER`), or OpenFace 2's (`AU01_r` ... and `pose_Tx` ... `pose_Rz`), whose translation is counted
    from its first frame; its frames without a face (`success` 0) are interpolated, with a notice. With a column
    `timestamp` at other times than every 40 ms the rows are interpolated at those, with a notice; without one, a row
    is a frame. Other columns do not matter.

    Returns:
        [T, 23] float32, order `CHANNELS`.

    Raises:
        DataError: no such motion in the file; empty cells; times that do not rise; no face in any frame.
    """
    table = read_table(path, "motion", _wanted)
    openface = next(iter(OPENFACE)) in table.columns
    names = list(OPENFACE) if openface else list(CHANNELS)
    for name, values in table.columns.items():
        table.require(~np.isnan(values), name, "a motion needs a number in every frame")
    vectors = np.stack([table.columns[name] for name in names], axis=1)
    places = _places(table)
    if "success" in table.columns:
        vectors = _without_gaps(table, places, vectors)
    if openface:
        moved = [CHANNELS.index(name) for name in ("Tx", "Ty", "Tz")]
        vectors[:, moved] -= vectors[0, moved]
    return _at_25(table, places, vectors).astype(np.float32)


def _wanted(header: list[str]) -> list[str]:
    """The columns to read of a header, ours or OpenFace's."""
    openface = "AU01_r" in header or "pose_Tx" in header
    wanted = list(OPENFACE) if openface else list(CHANNELS)
    if missing := [name for name in wanted if name not in header]:
        whose = "OpenFace's columns" if openface else "our columns"
        raise ValueError(f"lacks {', '.join(missing)} of {whose}; a motion has {', '.join(CHANNELS)}, or as OpenFace "
                         "writes them AU01_r ... and pose_Tx ... pose_Rz (FeatureExtraction -aus -pose)")
    further = ("timestamp", "success") if openface else ("timestamp",)
    return [*wanted, *(name for name in further if name in header)]


def _places(table: Table) -> np.ndarray:
    """[R] when the rows are, in frames of ours from the first row."""
    if "timestamp" not in table.columns:
        return np.arange(len(table.rows), dtype=np.float64)
    times = table.columns["timestamp"]
    rising = np.append(True, np.diff(times) > 0)
    table.require(rising, "timestamp", "seconds must rise from row to row; give the rows of one face alone")
    return (times - times[0]) * FPS


def _without_gaps(table: Table, places: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [R, 23] with the frames that show no face interpolated from those that do."""
    found = table.columns["success"] > 0
    if not found.any():
        raise DataError(f"{table.path}: no face in any frame (success is 0 in all {len(found)} rows); track it again")
    if not found.all():
        log.warning("%s: no face in %d of %d frames; they are interpolated", table.path, (~found).sum(), len(found))
    return np.stack([np.interp(places, places[found], column[found]) for column in vectors.T], axis=1)


def _at_25(table: Table, places: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Vectors [R, 23] of rows at `places`, at every frame: [T, 23]."""
    if np.abs(places - np.arange(len(places))).max() < _ON_GRID:
        return vectors
    frames = np.arange(int(places[-1] + _ON_GRID) + 1)
    log.warning("%s: its rows are not %d a second throughout (%.2f on average); %d rows become %d frames", table.path,
                FPS, (len(places) - 1) / places[-1] * FPS, len(places), len(frames))
    return np.stack([np.interp(frames, places, column) for column in vectors.T], axis=1)
