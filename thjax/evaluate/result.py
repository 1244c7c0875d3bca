"""The result of an evaluation: as JSON in the one form of this project, as CSV, as a terminal table."""

import csv
import dataclasses
import io
import pathlib

import numpy as np
from rich.markup import escape
from rich.table import Column, Table

from thjax.core.files import write_bytes, write_json
from thjax.evaluate import scores
from thjax.evaluate.collected import Collected
from thjax.evaluate.controls import CEILING
from thjax.evaluate.groups import better, grouped, in_order
from thjax.evaluate.pose_controls import add_pose_controls
from thjax.evaluate.scores import METRICS, Figure, PerClip
from thjax.metrics.bootstrap import FEWEST_SPEAKERS, Interval
from thjax.metrics.compare import Comparison

CLIPS = "clips.csv"
NAMED = 20
"""Clips without a value that table.json names for each reason and row; the rest is counted."""


@dataclasses.dataclass(frozen=True)
class Result:
    """Scores of a run on a split.

    Attributes:
        command: the command that makes it.
        config_hash: of the run's config.
        seeds: of the run and of the sampler.
        keys: N clips.
        speakers: N speakers.
        per_clip: {row: {metric: [N]}}, NaN where a clip has no value.
        rows: {row: {metric: Interval}}.
        paired: {name: Interval} of differences on the same clips.
        about: free facts: split, step, networks whose averaged weights were measured, manifest hash.
        comparisons: {metric: the system against every control}.
        left_out: {reason: {"metrics", "rows": {row: {"clips", "names"}}}} of values that are missing.
        not_judged: {reason: [names]} of clips that are in no row.
        adapted: {what was done: [names]} of clips that were made to fit before they were measured.
        cautions: what a reader of the tables has to know.
    """

    command: str
    config_hash: str
    seeds: list[int]
    keys: list[str]
    speakers: list[str]
    per_clip: dict[str, PerClip]
    rows: dict[str, dict[str, Interval | Figure]]
    paired: dict[str, Interval]
    about: dict
    comparisons: dict[str, list[Comparison]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, dict] = dataclasses.field(default_factory=dict)
    not_judged: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    adapted: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    cautions: list[str] = dataclasses.field(default_factory=list)

    @property
    def basic(self) -> bool:
        """Whether this holds the few metrics alone that every run prints."""
        return all(name in METRICS for metrics in self.rows.values() for name in metrics)

    def as_json(self) -> dict:
        """{"command", "config_hash", "seeds", "rows", "paired", "about"}; the judges' own ceiling is the first row.
        What was left out and not judged, comparisons, and cautions, where there are such."""
        written = {
            "command": self.command, "config_hash": self.config_hash, "seeds": self.seeds, "about": self.about,
            "rows": {row: _as_json(metrics) for row, metrics in self.rows.items()}, "paired": _as_json(self.paired),
        }
        if self.comparisons:
            written["comparisons"] = {name: [each.as_json() for each in all] for name, all in self.comparisons.items()}
        beside = {"left_out": self.left_out, "not_judged": self.not_judged, "adapted": self.adapted,
                  "cautions": self.cautions}
        return written | {name: value for name, value in beside.items() if value}

    def write(self, directory: pathlib.Path) -> None:
        """Writes table.json and clips.csv, each whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        write_json(directory / "table.json", self.as_json())
        names = in_order(name for metrics in self.per_clip.values() for name in metrics)
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["row", "clip", "speaker", *names])
        for row, metrics in self.per_clip.items():
            for index, (key, speaker) in enumerate(zip(self.keys, self.speakers, strict=True)):
                writer.writerow([row, key, speaker or "", *(_number(metrics.get(name), index) for name in names)])
        write_bytes(directory / CLIPS, buffer.getvalue().encode())

    def lines(self) -> list[list[str]]:
        """The basic table as text, header first: mean and 95 % interval."""
        names = [name for name in METRICS if name in self.rows["ours"]]
        body = [[row, *(_cell(metrics.get(name)) for name in names)] for row, metrics in self.rows.items()]
        return [["", *names], *body]

    def grouped_lines(self) -> dict[str, list[list[str]]]:
        """{group: table as text, header first}: a line for each metric, a column for each row, the ceiling first."""
        tables = {}
        for group, names in grouped(name for metrics in self.rows.values() for name in metrics).items():
            rows = [row for row in self.rows if any(name in self.rows[row] for name in names)]
            header = [group, "best", *(f"{row} (ceiling)" if row == CEILING else row for row in rows)]
            tables[group] = [header, *([name, better(name), *(_cell(self.rows[row].get(name)) for row in rows)]
                                       for name in names)]
        return tables

    def tables(self) -> dict[str, list[list[str]]]:
        """{title: table as text} of everything that a terminal or a report shows."""
        shown = {"Scores": self.lines()} if self.basic else dict(self.grouped_lines())
        if self.paired:
            shown["Differences"] = self.paired_lines()
        if self.comparisons:
            shown["Ours against the controls"] = self.comparison_lines()
        return shown | {title: lines for title, lines in (
            ("Values left out", self.left_out_lines()), ("Clips not judged", _name_lines("why", self.not_judged)),
            ("Clips made to fit", _name_lines("what was done", self.adapted)),
            ("Beware", [["beware"], *([text] for text in self.cautions)])) if lines[1:]}

    def paired_lines(self) -> list[list[str]]:
        """Paired differences as text, header first, intervals over clips and over speakers."""
        body = []
        for name, value in self.paired.items():
            speakers = _interval(value.ci95_speakers) if value.ci95_speakers else "-"
            if value.ci95_speakers and value.speakers < FEWEST_SPEAKERS:
                speakers += f" (unreliable: {value.speakers} speakers)"
            body.append([name, f"{value.mean:+.2f}", _interval(value.ci95), speakers])
        return [["ours minus control", "mean", "95 % over clips", "95 % over speakers"], *body]

    def comparison_lines(self) -> list[list[str]]:
        """Differences to every control with p after Holm, header first."""
        controls = list(dict.fromkeys(each.second for all in self.comparisons.values() for each in all))
        body = []
        for name, all in self.comparisons.items():
            found = {each.second: each for each in all}
            body.append([name, better(name), *(difference_cell(found.get(control)) for control in controls)])
        return [["ours minus", "best", *controls], *body]

    def left_out_lines(self) -> list[list[str]]:
        """What has no value and why, header first."""
        return [["why", "metrics", "clips by row"]] + [
            [reason, ", ".join(entry["metrics"]),
             ", ".join(f"{row} {found['clips']}" for row, found in entry["rows"].items())]
            for reason, entry in self.left_out.items()
        ]

    def terminal_tables(self) -> list[Table]:
        """All tables for a rich console."""
        tables = []
        for lines in self.tables().values():
            # Without escape the console takes `[synthetic]` in a name for a style, and drops it.
            first, *others = map(escape, lines[0])
            table = Table(Column(first, no_wrap=True), *others)
            for line in lines[1:]:
                table.add_row(*map(escape, line))
            tables.append(table)
        return tables


def result_of(collected: Collected, command: str) -> Result:
    """The table of everything collected; controls of head motion are added where heads were seen."""
    add_pose_controls(collected)
    per_clip = scores.per_clip(collected)
    clips = [collected.clips[number] for number in sorted(collected.clips)]
    speakers = [clip.speaker for clip in clips]
    rows = scores.intervals(collected)
    all_metrics = any(name not in METRICS for metrics in rows.values() for name in metrics)
    settings = collected.about
    return Result(
        command=command, config_hash=settings["config_hash"], seeds=settings["seeds"],
        keys=[clip.key for clip in clips], speakers=speakers, per_clip=per_clip, rows=rows,
        paired=scores.paired(per_clip, speakers), about=settings["about"],
        comparisons=scores.comparisons(per_clip, speakers) if all_metrics else {},
        left_out=_left_out(collected), not_judged=collected.not_judged, adapted=collected.adapted,
        cautions=scores.cautions(collected),
    )


def _name_lines(title: str, clips: dict[str, list[str]]) -> list[list[str]]:
    """Clips by what happened to them, header first."""
    return [[title, "clips", "names"]] + [
        [reason, str(len(names)), ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")]
        for reason, names in clips.items()
    ]


def _left_out(collected: Collected) -> dict[str, dict]:
    """Counts of missing values by reason and row; the clips are named where there are few."""
    found = {}
    for reason, rows in collected.left_out.items():
        metrics = in_order(name for numbers in rows.values() for names in numbers.values() for name in names)
        by_row = {}
        for row, numbers in rows.items():
            names = [collected.clips[number].key for number in sorted(numbers)]
            by_row[row] = {"clips": len(names), "names": names if len(names) <= NAMED else names[:NAMED] + ["..."]}
        found[reason] = {"metrics": metrics, "rows": by_row}
    return found


def _as_json(values: dict) -> dict[str, dict]:
    return {name: value.as_json() for name, value in values.items()}


def _number(values: np.ndarray | None, index: int) -> str:
    return "" if values is None or not np.isfinite(values[index]) else f"{values[index]:.6g}"


def _cell(value: Interval | Figure | None) -> str:
    """Mean and interval: over speakers, then their clips, where speakers are known; marked where they are few."""
    if value is None:
        return "-"
    if not value.ci95:
        return _short(value.mean)
    if value.ci95_speakers is None:
        return f"{_short(value.mean)} {_interval(value.ci95)}"
    mark = "" if value.speakers >= FEWEST_SPEAKERS else "?"
    return f"{_short(value.mean)} {_interval(value.ci95_speakers)}{mark}"


def difference_cell(value: Comparison | None) -> str:
    """A difference with its interval, a mark where it stands on too few, and a word where it may be chance."""
    if value is None:
        return "-"
    difference = value.difference
    mark = ("" if value.enough else "?") + ("" if value.p_holm < 0.05 else " (p > 0.05)")
    interval = difference.ci95 if difference.ci95_speakers is None else difference.ci95_speakers  # as its p
    return f"{_signed(difference.mean)} {_interval(interval)}{mark}"


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"[{_short(low)}, {_short(high)}]"


def _short(value: float) -> str:
    """Two decimals, or two digits where those would show nothing."""
    rounded = round(value, 2) + 0.0
    return f"{rounded:.2f}" if abs(value) >= 0.095 or value == 0 or not np.isfinite(value) else f"{value:.2g}"


def _signed(value: float) -> str:
    return _short(value) if value < 0 else f"+{_short(value)}"
