"""What the reports of all shards say together, taken in one by one.

Of every clip only its key and a few numbers stay in memory; what the ledger says of it waits in an unnamed file. So a
corpus of a million clips is described in a few hundred megabytes.
"""

import array
import collections
import dataclasses
import itertools
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from data_pipelines import statistics
from data_pipelines.index import IndexColumns
from data_pipelines.schema import DataError
from data_pipelines.shard_content import with_sources
from thjax.core import files

MERGED_AT_ONCE = 64
"""Statistics that are held before they are merged: one by one would take ten times as long."""


class Ledger:
    """Lines about clips, to be written in the order of their keys.

    Args:
        path: of the file that they become; until then they lie beside it, in a file without a name.
    """

    def __init__(self, path: Path):
        self._path, self._keys, self._ends = path, [], array.array("q", [0])
        with files.named(path):
            self._spool = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - goes with the ledger

    def add(self, line: dict) -> None:
        """Takes a line; its key decides where it comes."""
        text = (json.dumps(line, sort_keys=True) + "\n").encode()
        with files.named(self._path):
            self._spool.write(text)
        self._keys.append(line["key"].encode("utf-8", "surrogatepass"))
        self._ends.append(self._ends[-1] + len(text))

    def write(self) -> None:
        """Writes the file, whole or not at all."""
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        with files.whole(self._path) as temporary, open(temporary, "wb") as file:
            self._spool.flush()
            for _, places in itertools.groupby(order, self._keys.__getitem__):
                file.writelines(sorted(map(self._line, places)))  # a key may be there twice: two files claimed it

    def _line(self, place: int) -> bytes:
        start, end = self._ends[place], self._ends[place + 1]
        return os.pread(self._spool.fileno(), end - start, start)


@dataclasses.dataclass
class Gathered:
    """Everything that the reports of shards say.

    Attributes:
        ledger: a line for each of their clips.
        index: columns of the index.
        clips: that are written.
        lost: lines of the clips that could not be used.
        shards: entries of `dataset.json`, in order.
        fields: labels of every record; None before the first shard that holds one.
        label_source: {field: source}, see `shard_content.with_sources`.
        coefficients: names that clips brought along.
    """

    ledger: Ledger
    index: IndexColumns = dataclasses.field(default_factory=IndexColumns)
    clips: int = 0
    lost: list[dict] = dataclasses.field(default_factory=list)
    shards: list[dict] = dataclasses.field(default_factory=list)
    fields: list[str] | None = None
    label_source: dict[str, str] = dataclasses.field(default_factory=dict)
    coefficients: list[str] = dataclasses.field(default_factory=list)
    _parts: dict[str, list[dict]] = dataclasses.field(default_factory=dict)
    _facts: dict[str, collections.Counter] = dataclasses.field(default_factory=dict)

    def add(self, name: str, split: str, report: dict) -> None:
        """Takes the report of the next shard.

        Args:
            name: of its file.
            split: that it belongs to.
            report: see `shard_content.ShardContent.report`, with `bytes` and `sha256` of the file.

        Raises:
            DataError: its labels are not those of the shards before it.
        """
        if report["rows"]:
            self._check_fields(name, report)
        lost = report.get("lost", [])
        for line in itertools.chain(report["clips"], lost):
            self.ledger.add(line)
        self.index.add(split, report["clips"], report["rows"])
        self.clips += len(report["clips"])
        self.lost += lost
        self.label_source = with_sources(self.label_source, report["label_source"])
        self._add_facts(report["clips"])
        self._add_statistics(split, report["statistics"])
        self.shards.append({"name": name, "split": split, "records": report["statistics"]["records"],
                            "bytes": report["bytes"], "sha256": report["sha256"],
                            "statistics": statistics.counts(report["statistics"])})

    def splits(self) -> dict[str, dict]:
        """Statistics of every split."""
        return {split: statistics.merge(parts) for split, parts in self._parts.items()}

    def label_facts(self) -> list[dict]:
        """How labels were made: {sources: {field: source}, and what their files say}, everything that occurs.

        With `clips`, `frames`, `frames_masked` (no face, or no picture) and `frames_interpolated` of each.
        """
        return [json.loads(text) | counted for text, counted in sorted(self._facts.items())]

    def add_lines(self, lines: Iterable[dict]) -> None:
        """More lines of the ledger, of clips that are in no shard."""
        for line in lines:
            self.ledger.add(line)

    def _add_facts(self, clips: list[dict]) -> None:
        for line in clips:
            if "labels" in line:
                counted = self._facts.setdefault(json.dumps(line["labels"], sort_keys=True), collections.Counter())
                counted["clips"] += 1
                for name in ("frames", "frames_masked", "frames_interpolated"):
                    counted[name] += line[name]

    def _check_fields(self, name: str, report: dict) -> None:
        mine = {"fields": report["fields"], "coefficients": report.get("coefficients", [])}
        if self.fields is None:
            self.fields, self.coefficients = mine.values()
        for what, names in mine.items():
            if names != getattr(self, what):
                raise DataError(f"{name} has the {what} {names}, others {getattr(self, what)}; every clip of a corpus "
                                "must have the same")

    def _add_statistics(self, split: str, part: dict) -> None:
        parts = self._parts.setdefault(split, [])
        parts.append(part)
        if len(parts) == MERGED_AT_ONCE:
            parts[:] = [statistics.merge(parts)]
