"""Control: a user fixes, scales or shifts channels of a drawn motion over time, by a CSV file."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipelines.schema import AU_INTENSITY, FPS
from thjax.generate.motion_files import CHANNELS
from thjax.generate.table import Table, read_table

VALUE, SCALE, ADD = "", "_scale", "_add"
CLOCKS = ("frame", "timestamp")
_AU_MOST = 5.0
_AUS = np.isin(CHANNELS, AU_INTENSITY)


@dataclasses.dataclass(frozen=True)
class Control:
    """What is to become of each channel at each frame: replaced first, then scaled, then shifted.

    A replacement is told to the mapper, whose later frames go along; factor and offset edit the finished motion. The
    rows are as in the file. Between two neighbouring rows that both speak of a column its numbers are interpolated
    linearly; everywhere else only a row's own frame is touched. A single row holds throughout.

    Attributes:
        frames: [R] int, rising.
        value: [R, 23] in the channel's unit, order `CHANNELS`; here and below NaN where nothing is said.
        scale: [R, 23] factors.
        add: [R, 23] in the channel's unit.
    """

    frames: np.ndarray
    value: np.ndarray
    scale: np.ndarray
    add: np.ndarray

    @classmethod
    def none(cls) -> "Control":
        """Leaves everything as it is."""
        empty = np.zeros((0, len(CHANNELS)))
        return cls(np.zeros(0, np.int64), empty, empty, empty)

    def replacement(self, frames: np.ndarray) -> np.ndarray:
        """Values that replace what is drawn at `frames` [n], [n, 23] f32; NaN where nothing does."""
        return self._at(self.value, frames).astype(np.float32)

    def edit(self, vectors: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Animation vectors [n, S, 23] at `frames` [n], controlled, f32. What is not controlled keeps its bits.

        Scaled or shifted intensities are cut to 0 to 5.
        """
        replacement = self.replacement(frames)[:, None]
        vectors = np.where(np.isnan(replacement), vectors, replacement).astype(np.float32)
        scale, add = self._at(self.scale, frames)[:, None], self._at(self.add, frames)[:, None]
        edited = np.nan_to_num(scale, nan=1.0) * vectors + np.nan_to_num(add, nan=0.0)
        edited = np.where(_AUS, np.clip(edited, 0, _AU_MOST), edited)
        return np.where(np.isnan(scale) & np.isnan(add), vectors, edited).astype(np.float32)

    def _at(self, table: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Rows [R, 23] at `frames` [n], NaN where they say nothing: [n, 23]."""
        rows = len(self.frames)
        if not rows:
            return np.full((len(frames), len(CHANNELS)), np.nan)
        if rows == 1:
            return np.repeat(table, len(frames), axis=0)
        at = np.searchsorted(self.frames, frames, side="right") - 1
        before, after = np.clip(at, 0, rows - 1), np.clip(at + 1, 0, rows - 1)
        gone = frames - self.frames[before]
        share = gone / np.maximum(self.frames[after] - self.frames[before], 1)
        between = (1 - share[:, None]) * table[before] + share[:, None] * table[after]
        inside = (at >= 0) & (at < rows - 1)
        between = np.where(inside[:, None], between, np.nan)
        return np.where(((at >= 0) & (gone == 0))[:, None], table[before], between)


def read_control(path: str | Path) -> Control:
    """Reads a control file: `frame` (from 0) or `timestamp` (seconds), then any of NAME, NAME_scale, NAME_add.

    With both clocks `frame` counts. A timestamp means the nearest frame. Empty cells leave the channel alone.
    Intensities are 0 to 5, their factors not negative, their offsets -5 to 5; angles and their offsets -pi to pi rad.

    Raises:
        DataError: unknown columns, no clock or no channel, times that do not rise, a number outside its range.
    """
    table = read_table(path, "control", _known)
    for column in table.columns:
        if column not in CLOCKS:
            _check_range(table, column)
    return Control(_frames(table), *(_stack(table, suffix) for suffix in (VALUE, SCALE, ADD)))


def _known(header: list[str]) -> Sequence[str]:
    """The columns to read of a header that has only columns that we know."""
    columns = [name + suffix for name in CHANNELS for suffix in (VALUE, SCALE, ADD)]
    if unknown := [name for name in header if name not in (*CLOCKS, *columns)]:
        raise ValueError(f"column {unknown[0]!r} is unknown; known are frame, timestamp, and NAME (a value), "
                         f"NAME_scale (a factor) and NAME_add (an offset) for NAME in {', '.join(CHANNELS)}")
    clocks = [name for name in CLOCKS if name in header]
    if not clocks:
        raise ValueError("neither a column frame (from 0) nor timestamp (seconds); a row has to say when it is")
    named = [name for name in columns if name in header]
    if not named:
        raise ValueError("controls no channel; add a column such as AU12, AU12_scale or Rx_add")
    return [clocks[0], *named]


def _frames(table: Table) -> np.ndarray:
    """[R] int frames of the rows."""
    clock = next(name for name in CLOCKS if name in table.columns)
    times = table.columns[clock]
    table.require(times >= 0, clock, "give 0 or more in every row")
    if clock == "frame":
        table.require(times == np.round(times), clock, "frames are whole numbers")
    frames = np.round(times * (FPS if clock == "timestamp" else 1)).astype(np.int64)
    rising = np.append(True, np.diff(frames) > 0)
    table.require(rising, clock, f"rows must rise, one a frame at most ({FPS} frames a second)")
    return frames


def _stack(table: Table, suffix: str) -> np.ndarray:
    """[R, 23] of the columns with a suffix, NaN where there is none."""
    missing = np.full(len(table.rows), np.nan)
    return np.stack([table.columns.get(name + suffix, missing) for name in CHANNELS], axis=1)


def _check_range(table: Table, column: str) -> None:
    name, _, suffix = column.partition("_")
    low, high, unit = _range(name, f"_{suffix}" if suffix else VALUE)
    values = table.columns[column]
    good = np.isnan(values) | ((values >= low) & (values <= high))
    table.require(good, column, f"give {low:g} to {high:g} ({unit}), or leave the cell empty")


def _range(name: str, suffix: str) -> tuple[float, float, str]:
    """Lowest and highest number of a column, and what it is."""
    if suffix == SCALE:
        # An intensity has no sign; a pose may be mirrored.
        return (0 if name in AU_INTENSITY else -math.inf), math.inf, "a factor"
    if name in AU_INTENSITY:
        return (0 if suffix == VALUE else -_AU_MOST), _AU_MOST, "an action unit's intensity"
    if name.startswith("R"):
        return -math.pi, math.pi, "an angle in radians"
    return -math.inf, math.inf, "mm from the clip's start"
