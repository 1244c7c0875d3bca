"""Metric writers: `metrics.jsonl`, one object a line, and TensorBoard. Entries after a restored step are dropped."""

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from thjax.core import files
from thjax.train.event_file import EventFile, filter_events

JSONL, TENSORBOARD = "metrics.jsonl", "tensorboard"


class Logs:
    """Writers of a run.

    Args:
        run: directory of the run.
        step: step that the run continues from; later entries are dropped.
        evaluated_step: step of the last evaluation that counts; later validation entries are dropped.
    """

    def __init__(self, run: Path, step: int, evaluated_step: int):
        def keep(entry_step: int, kind: str) -> bool:
            return entry_step <= (evaluated_step if kind == "validation" else step)

        path = run / JSONL
        if path.exists():
            _filter_lines(path, keep)
        filter_events(run / TENSORBOARD, lambda entry_step, tag: keep(entry_step, tag.partition("/")[0]))
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by `close`)
        self._tensorboard = EventFile(run / TENSORBOARD)

    def write(self, kind: str, step: int, stage: str, scalars: Mapping[str, float], **also: float) -> None:
        """One entry.

        Args:
            kind: `train` or `validation`.
            step: of the run, after the update.
            stage: name.
            scalars: {metric: value}; what is not finite is left out, as JSON has no word for it and an idle phase
                reports NaN.
            also: measurements of the loop, such as frames_per_second.
        """
        values = {name: float(value) for name, value in scalars.items() if math.isfinite(value)}
        entry = {"kind": kind, "step": step, "stage": stage} | values | also | {"time": round(time.time(), 3)}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._tensorboard.scalar(step, f"{kind}/{name}", value)
        for name, value in also.items():
            self._tensorboard.scalar(step, f"speed/{name}", value)

    def picture(self, step: int, image: np.ndarray) -> None:
        """A strip [H, W, 3] uint8 of an evaluation."""
        self._tensorboard.picture(step, "validation/strip", image)

    def flush(self) -> None:
        """Puts every entry on the disk: called before a checkpoint, which promises the entries up to its step."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._tensorboard.flush()

    def close(self) -> None:
        """Closes. Entries were flushed with the last checkpoint; on a full disk the others are lost."""
        for file in (self._file, self._tensorboard):
            with contextlib.suppress(OSError):
                file.close()


class NoLogs:
    """The writers of every process but the first."""

    def write(self, *_, **__):
        """Nothing."""

    picture = flush = close = write


def _filter_lines(path: Path, keep) -> None:
    """Rewrites a JSONL file without refused lines and without a last line that a kill cut short."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if keep(entry["step"], entry["kind"]):
            kept.append(line + "\n")
    files.write_bytes(path, "".join(kept).encode())
