"""The result of an evaluation: as JSON in the one form of this project, as CSV, as a terminal table."""

import csv
import dataclasses
import io
import pathlib

import numpy as np
from rich.table import Table

from thjax.core.files import write_bytes, write_json
from thjax.evaluate.scores import METRICS, PerClip
from thjax.metrics.bootstrap import FEWEST_SPEAKERS, Interval


@dataclasses.dataclass(frozen=True)
class Result:
    """Scores of a run on a split.

    Attributes:
        command: the command that makes it.
        config_hash: of the run's config.
        seeds: of the run and of the sampler.
        keys: N clips.
        speakers: N speakers.
        per_clip: {row: {metric: [N]}}.
        rows: {row: {metric: Interval}}.
        paired: {name: Interval} of differences on the same clips.
        about: free facts: split, step, weights, manifest hash.
    """

    command: str
    config_hash: str
    seeds: list[int]
    keys: list[str]
    speakers: list[str]
    per_clip: dict[str, PerClip]
    rows: dict[str, dict[str, Interval]]
    paired: dict[str, Interval]
    about: dict

    def as_json(self) -> dict:
        """{"command", "config_hash", "seeds", "rows", "paired", "about"}; row `ours` first."""
        return {
            "command": self.command, "config_hash": self.config_hash, "seeds": self.seeds, "about": self.about,
            "rows": {row: _as_json(metrics) for row, metrics in self.rows.items()}, "paired": _as_json(self.paired),
        }

    def write(self, directory: pathlib.Path) -> None:
        """Writes table.json and clips.csv, each whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / "table.json", self.as_json())
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["row", "clip", "speaker", *METRICS])
        for row, metrics in self.per_clip.items():
            for index, (key, speaker) in enumerate(zip(self.keys, self.speakers, strict=True)):
                values = (f"{metrics[name][index]:.6g}" if name in metrics else "" for name in METRICS)
                writer.writerow([row, key, speaker, *values])
        write_bytes(directory / "clips.csv", buffer.getvalue().encode())

    def lines(self) -> list[list[str]]:
        """The table as text, header first: mean and the 95 % interval over clips."""
        names = [name for name in METRICS if name in self.rows["ours"]]
        body = [[row, *(_cell(metrics[name]) for name in names)] for row, metrics in self.rows.items()]
        return [["", *names], *body]

    def paired_lines(self) -> list[list[str]]:
        """Paired differences as text, header first, intervals over clips and over speakers."""
        body = []
        for name, value in self.paired.items():
            speakers = _interval(value.ci95_speakers) if value.ci95_speakers else "-"
            if value.speakers < FEWEST_SPEAKERS:
                speakers += f" (unreliable: {value.speakers} speakers)"
            body.append([name, f"{value.mean:+.2f}", _interval(value.ci95), speakers])
        return [["ours minus control", "mean", "95 % over clips", "95 % over speakers"], *body]

    def terminal_tables(self) -> list[Table]:
        """Both tables for a rich console."""
        tables = []
        for lines in (self.lines(), self.paired_lines()):
            table = Table(*lines[0])
            for line in lines[1:]:
                table.add_row(*line)
            tables.append(table)
        return tables


def _as_json(values: dict[str, Interval]) -> dict[str, dict]:
    return {name: value.as_json() for name, value in values.items()}


def _cell(value: Interval) -> str:
    return f"{value.mean:.2f} {_interval(value.ci95)}"


def _interval(interval: tuple[float, float]) -> str:
    return "[{:.2f}, {:.2f}]".format(*np.round(interval, 2))

