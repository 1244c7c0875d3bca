"""Systems against each other: `thjax evaluate --compare DIR DIR ...`, from the clips.csv of finished evaluations."""

import csv
import dataclasses
import itertools
import pathlib

import numpy as np
from rich.markup import escape
from rich.table import Column, Table

from thjax.core.errors import UserError
from thjax.core.files import write_json
from thjax.evaluate.groups import base_of, better, in_order, is_unit
from thjax.evaluate.result import CLIPS, difference_cell
from thjax.metrics.compare import Comparison, compare, holm

ROW = "ours"
NEVER_ALONE = ("hs", "hs_union")
"""Metrics that say nothing without their controls, which no pair of systems shares."""
WRITTEN = "comparison.json"


@dataclasses.dataclass(frozen=True)
class Scored:
    """One system's row of a clips.csv.

    Attributes:
        name: of the system, from its folder.
        values: {metric: {clip: value}}, clips without a value left out.
        speakers: {clip: speaker}, empty where nobody knows them.
    """

    name: str
    values: dict[str, dict[str, float]]
    speakers: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Versus:
    """Systems on the clips that all of them were measured on.

    Attributes:
        names: of the systems.
        clips: how many clips they share, and how many each has: {"shared": n, name: n}.
        found: {metric: every pair of systems}, p corrected by Holm over all metrics and pairs.
        left_out: metrics that some system lacks, or has on no shared clip.
        alone: metrics that would stand without their controls.
    """

    names: list[str]
    clips: dict[str, int]
    found: dict[str, list[Comparison]]
    left_out: list[str]
    alone: list[str]

    @property
    def enough(self) -> bool:
        """Whether no difference stands on fewer speakers, or clips, than can be relied on."""
        return all(pair.enough for pairs in self.found.values() for pair in pairs)

    def as_json(self, command: str) -> dict:
        """{"command", "systems", "clips", "comparisons": {metric: [...]}, "left_out", "without_controls"}."""
        return {"command": command, "systems": self.names, "clips": self.clips, "left_out": self.left_out,
                "without_controls": self.alone,
                "comparisons": {name: [each.as_json() for each in pairs] for name, pairs in self.found.items()}}

    def terminal_table(self) -> Table:
        """A line for each metric, a column for each pair: mean of the first less the second, and its interval."""
        pairs = [f"{a} - {b}" for a, b in itertools.combinations(self.names, 2)]
        table = Table(Column("metric", no_wrap=True), "best", *map(escape, pairs))
        for name, each in self.found.items():
            table.add_row(escape(name), better(name), *(escape(difference_cell(pair)) for pair in each))
        return table


def compare_folders(folders: list[pathlib.Path]) -> Versus:
    """Paired bootstrap of every pair of systems on every metric; ratios are compared as means over clips.

    Args:
        folders: of finished evaluations on the same clips, two or more.

    Raises:
        UserError: fewer than two folders, one without clips.csv, or no clip that all have.
    """
    if len(folders) < 2:
        raise UserError(f"--compare {' '.join(map(str, folders))}: give two or more folders of finished evaluations")
    systems = [read(folder, name) for folder, name in zip(folders, names_of(folders), strict=True)]
    shared = sorted(set.intersection(*(clips_of(system) for system in systems)))
    if not shared:
        raise UserError(f"{', '.join(map(str, folders))} have no clip in common; evaluate them on the same corpus and "
                        "split, or on the same --reference")
    every = in_order(name for system in systems for name in system.values if not is_unit(name))
    alone = [name for name in every if base_of(name) in NEVER_ALONE]
    every = [name for name in every if name not in alone]
    raw: list[tuple[str, Comparison]] = []
    for name in every:
        common = [clip for clip in shared if all(clip in system.values.get(name, ()) for system in systems)]
        if common:
            values = {system.name: np.array([system.values[name][clip] for clip in common]) for system in systems}
            raw += [(name, each) for each in compare(values, _speakers(systems[0], common))]
    corrected = holm(np.array([each.p for _, each in raw]))
    found: dict[str, list[Comparison]] = {}
    for (name, each), p in zip(raw, corrected, strict=True):
        found.setdefault(name, []).append(dataclasses.replace(each, p_holm=float(p)))
    clips = {"shared": len(shared)} | {system.name: len(clips_of(system)) for system in systems}
    missing = [name for name in every if name not in found]
    return Versus([system.name for system in systems], clips, found, missing, alone)


def write(versus: Versus, command: str, out: pathlib.Path) -> None:
    """Writes comparison.json into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / WRITTEN, versus.as_json(command))


def read(folder: pathlib.Path, name: str) -> Scored:
    """The system's row of a folder's clips.csv.

    Raises:
        UserError: there is none, or it is of another form.
    """
    path = folder / CLIPS
    if not path.is_file():
        raise UserError(f"{folder} holds no {CLIPS}; give folders that `thjax evaluate` has written")
    with open(path, newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if not lines or not {"row", "clip", "speaker"} <= lines[0].keys():
        raise UserError(f"{path} has no columns row, clip and speaker; evaluate again")
    values: dict[str, dict[str, float]] = {}
    speakers: dict[str, str] = {}
    for line in (line for line in lines if line["row"] == ROW):
        clip, speaker = line["clip"], line["speaker"]
        if speaker:
            speakers[clip] = speaker
        for metric, value in line.items():
            if metric not in ("row", "clip", "speaker") and value:
                values.setdefault(metric, {})[clip] = float(value)
    return Scored(name, values, speakers)


def clips_of(system: Scored) -> set[str]:
    """Clips on which the system has any value."""
    return {clip for values in system.values.values() for clip in values}


def names_of(folders: list[pathlib.Path]) -> list[str]:
    """The folders' own names, or their whole paths where two are called alike."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _speakers(system: Scored, clips: list[str]) -> np.ndarray | None:
    known = [system.speakers.get(clip) for clip in clips]
    return None if None in known else np.array(known)
