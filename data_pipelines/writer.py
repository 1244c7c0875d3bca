"""Clips to a corpus on disk: ArrayRecord shards of fixed content, then the files that describe them.

The unit of work is the shard. A plan fixes which clips a shard holds before anything is made, so shards can be written
in any order, by any number of processes, and come out the same bytes. A shard that is already there with the right
sha256 is not written again. `Writer.finish` then writes `manifest.jsonl`, `index.npz` and, last, `dataset.json`.

    writer = Writer(directory, dataset="toy", size=64, source="seed 0")
    shards = writer.plan({"train": train_keys, "test": test_keys})
    for shard in shards:                      # or in several processes
        writer.write_shard(shard, make_clip)  # make_clip(key) -> clip, see records.segments
    manifest = writer.finish(shards)
"""

import collections
import dataclasses
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from data_pipelines import records, schema, statistics
from data_pipelines.gathered import Gathered, Ledger
from data_pipelines.manifest import DATASET_FILE, INDEX_FILE, LEDGER_FILE, Manifest
from data_pipelines.order import permutation
from data_pipelines.schema import DataError
from data_pipelines.shard_content import LostClip, ShardContent, count_shard
from data_pipelines.shards import count_records, open_shard
from thjax.core import files

# group_size 1: records are read one by one in random order. JPEG does not compress again.
ARRAY_RECORD_OPTIONS = "group_size:1,uncompressed"
CLIPS_PER_SHARD = 64
DONE_FOLDER = "done"
_PENDING = ".next"


class NotWritten(DataError):
    """A corpus cannot be described while one of its shards is missing."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of the plan.

    Attributes:
        split: name of the split.
        index: of the shard in its split.
        count: shards of the split.
        clips: keys of the clips it holds, in order.
        content: whatever else its clips follow from, as a fingerprint; a shard of another content is written again.
    """

    split: str
    index: int
    count: int
    clips: tuple[str, ...]
    content: str = ""


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes one corpus into one directory.

    Attributes:
        directory: made when it is not there.
        dataset: name of the corpus.
        size: pixels of the square frame, or (height, width); 0 without frames.
        codec: of the frames, one of `schema.CODECS`; "none" writes feature records: audio and labels alone.
        source: everything the clips follow from (settings, seed, version of what makes them). Shards that were written
            from another source are written again.
        rebuild: the command that writes this corpus; error messages name it.
        coefficients: names of the corpus's `coefficients`; clips may bring them along as `coefficient_names` instead.
        odd_coefficients: those whose sign changes in a mirror; "_left" and "_right" in a name change places. None: the
            coefficients have no mirror image, so mirrored examples cannot hold them.
    """

    directory: str | Path
    dataset: str
    size: int | tuple[int, int]
    codec: str = "jpeg"
    source: str = ""
    rebuild: str = ""
    coefficients: tuple[str, ...] = ()
    odd_coefficients: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.codec not in schema.CODECS:
            raise DataError(f"codec {self.codec!r} is unknown; known: {', '.join(schema.CODECS)}")
        if (self.codec == "none") != (self.frame_size == (0, 0)):
            raise DataError(f"frames of {self.frame_size} pixels with codec {self.codec!r}; feature records have codec "
                            "'none' and size 0, all others neither")

    @property
    def frame_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def plan(self, clips: Mapping[str, Sequence[str]], seed: int = 0,
             clips_per_shard: int = CLIPS_PER_SHARD) -> list[Shard]:
        """Shards of nearly equal size from the clip keys of every split, mixed by a seeded shuffle.

        Raises:
            DataError: a key is in the plan twice.
        """
        everything = [key for keys in clips.values() for key in keys]
        if len(set(everything)) < len(everything):
            twice = collections.Counter(everything).most_common(1)[0][0]
            raise DataError(f"clip {twice!r} is in the plan twice; keys must be unique over all splits")
        shards = []
        for split, keys in clips.items():
            mixed = [sorted(keys)[i] for i in permutation(len(keys), seed, zlib.crc32(split.encode()))]
            count = -(-len(mixed) // clips_per_shard)
            for index, part in enumerate(np.array_split(np.arange(len(mixed)), count) if count else []):
                shards.append(Shard(split, index, count, tuple(mixed[i] for i in part)))
        return shards

    def shard_path(self, shard: Shard) -> Path:
        """Where a shard lies."""
        height, width = self.frame_size
        size = f"{height}" if height == width else f"{height}x{width}"
        what = f"{size}-{self.codec}" if height else "features"
        name = f"{self.dataset}-{shard.split}-{what}-{shard.index:05d}-of-{shard.count:05d}.array_record"
        return Path(self.directory) / name

    def is_done(self, shard: Shard) -> bool:
        """True when the shard is on disk, of this plan and source, with the sha256 it was written with."""
        report = self._report(shard)
        path = self.shard_path(shard)
        return report is not None and path.is_file() and files.sha256(path) == report["sha256"]

    def write_shard(self, shard: Shard, make_clip: Callable[[str], dict | LostClip]) -> bool:
        """Writes a shard unless it is done. Safe in any process; two processes must not write the same shard.

        Args:
            shard: of the plan.
            make_clip: key -> clip as `records.segments` takes it, or why there is none; its split is set here. A
                mapping under `ledger` goes into the clip's line of the ledger.

        Returns:
            True when the shard was written, False when it was already there.

        Raises:
            DataError: a clip breaks a rule of the format; the shard does not appear.
        """
        if self.is_done(shard):
            return False
        path = self.shard_path(shard)
        (path.parent / DONE_FOLDER).mkdir(parents=True, exist_ok=True)
        self._report_path(shard).unlink(missing_ok=True)
        shard_content = ShardContent()
        with files.whole(path) as temporary:
            output = ArrayRecordWriter(str(temporary), ARRAY_RECORD_OPTIONS)
            try:
                for key in shard.clips:
                    clip = make_clip(key)
                    if isinstance(clip, LostClip):
                        shard_content.add_lost(clip, shard.split)
                        continue
                    for data in shard_content.add_clip(self._checked(clip, key, shard.split)):
                        _written(path, output.write, data)
            finally:
                _written(path, output.close)
            if count_records(temporary) != len(shard_content.rows):
                raise DataError(f"{path} could not be written whole; make room on the disk and rerun the command")
        files.write_json(self._report_path(shard), self._whole_report(shard, shard_content, path), sort_keys=True)
        return True

    def sign(self, shard: Shard) -> None:
        """Notes in the report of a finished shard what it was made from, where an older program did not: once the plan
        has other clips for it nothing else tells."""
        report = self._report(shard)
        if report is not None and "made_from" not in report:
            files.write_json(self._report_path(shard), report | {"made_from": self._made_from(shard)}, sort_keys=True)

    def keep_clips(self, shard: Shard) -> Literal["as it was", "rewritten", "deleted"]:
        """Rewrites a shard on disk that holds more clips than the plan has now; reads nothing but the shard. One that
        differs from the plan in anything else is no part of it any more and is deleted.

        Killed at any moment and called again, it goes on: the new report waits beside the old one until the new shard
        is in its place.
        """
        path, pending = self.shard_path(shard), Path(f"{self._report_path(shard)}{_PENDING}")
        if not path.is_file() or self._report(shard) is not None:
            return "as it was"
        report = self._any_report(shard)
        if report is None or not self._holds(report, shard):
            for gone in (pending, self._report_path(shard)):
                gone.unlink(missing_ok=True)
            path.unlink()
            return "deleted"
        waiting = json.loads(pending.read_text()) if pending.is_file() else {}
        if waiting.get("plan") != self._plan_hash(shard) or waiting["sha256"] != files.sha256(path):
            keep, reader = set(shard.clips), open_shard(path)
            content = ShardContent()
            content.clips, content.lost = (
                [line for line in report.get(part, ()) if line["key"] in keep] for part in ("clips", "lost"))
            content.fields, content.label_source = report["fields"], report["label_source"]
            content.coefficients = report.get("coefficients")
            with files.whole(path) as temporary:
                output = ArrayRecordWriter(str(temporary), ARRAY_RECORD_OPTIONS)
                try:
                    for place in range(reader.num_records()):
                        data = reader.read([place])[0]
                        record = records.decode(data)
                        if record["key"].rpartition("#")[0] in keep:
                            content.add_record(record)
                            _written(path, output.write, data)
                finally:
                    _written(path, output.close)
                files.write_json(pending, self._whole_report(shard, content, temporary), sort_keys=True)
        os.replace(pending, self._report_path(shard))
        return "rewritten"

    def _holds(self, report: dict, shard: Shard) -> bool:
        """Whether a shard was made as this one asks, and of all its clips at least."""
        written = {line["key"] for part in ("clips", "lost") for line in report.get(part, ())}
        return report.get("made_from") == self._made_from(shard) and written >= set(shard.clips)

    def finish(self, shards: Sequence[Shard], extra: Mapping = {}, lines: Iterable[dict] = ()) -> Manifest:
        """Describes the finished shards and returns the manifest: `describe` of what `gather` gathers.

        Raises:
            DataError: a shard is not done, or shards do not have the same fields.
        """
        return self.describe(shards, self.gather(shards), extra, lines)

    def gather(self, shards: Sequence[Shard]) -> Gathered:
        """Reads the reports of all shards, one by one.

        A shard whose statistics an older program counted is read and counted again, not written.

        Raises:
            NotWritten: a shard is not done.
            DataError: shards do not have the same fields.
        """
        gathered = Gathered(Ledger(Path(self.directory) / LEDGER_FILE))
        for shard in shards:
            path = self.shard_path(shard)
            report = self.report(shard)
            if report is None:
                raise NotWritten(f"{path} is not written yet; write every shard of the plan, then finish")
            gathered.add(path.name, shard.split, self._counted(shard, report))
        return gathered

    def describe(self, shards: Sequence[Shard], gathered: Gathered, extra: Mapping = {},
                 lines: Iterable[dict] = ()) -> Manifest:
        """Writes the files that describe a corpus, and returns the manifest.

        Args:
            shards: of the plan.
            gathered: what they hold.
            extra: more entries of `dataset.json`.
            lines: more lines of the ledger, of clips that were never in the plan.
        """
        directory = Path(self.directory)
        gathered.add_lines(lines)
        gathered.ledger.write()
        with files.whole(directory / INDEX_FILE) as temporary, open(temporary, "wb") as file:
            np.savez(file, **gathered.index.columns())
        files.write_json(directory / DATASET_FILE, self._content(gathered) | dict(extra), sort_keys=True)
        self.remove_strangers(shards)
        return Manifest.load(directory)

    def remove_strangers(self, shards: Sequence[Shard]) -> None:
        """Removes shards that an earlier, different plan wrote here; only files with a report of ours."""
        keep = {self.shard_path(shard).name for shard in shards}
        for report in (Path(self.directory) / DONE_FOLDER).glob("*.array_record.json"):
            name = report.name.removesuffix(".json")
            if name not in keep:
                (Path(self.directory) / name).unlink(missing_ok=True)
                report.unlink()

    def _whole_report(self, shard: Shard, content: ShardContent, path: Path) -> dict:
        return content.report() | {"plan": self._plan_hash(shard), "made_from": self._made_from(shard),
                                   "sha256": files.sha256(path), "bytes": path.stat().st_size}

    def _checked(self, clip: dict, key: str, split: str) -> dict:
        if clip["key"] != key:
            raise DataError(f"clip {clip['key']!r} was made for the key {key!r}; they must be equal")
        size = tuple(clip["frames"].shape[1:3]) if "frames" in clip else (clip.get("height", 0), clip.get("width", 0))
        if size != self.frame_size:
            raise DataError(f"{key}: frames are {size}, the corpus is {self.frame_size}")
        names = clip.get("coefficient_names", self.coefficients)
        if "coefficients" in clip and clip["coefficients"].shape[-1] != len(names):
            raise DataError(f"{key}: {clip['coefficients'].shape[-1]} coefficients, the writer has {len(names)} names; "
                            "give Writer(coefficients=...) one name each")
        return clip | {"dataset": self.dataset, "split": split, "codec": self.codec}

    def _plan_hash(self, shard: Shard) -> str:
        parts = [shard.split, shard.index, shard.count, shard.clips, *([shard.content] if shard.content else [])]
        return files.fingerprint([schema.VERSION, self.source, self.frame_size, self.codec, self.coefficients,
                                  self.odd_coefficients, parts])

    def _made_from(self, shard: Shard) -> str:
        """A hash of everything that a shard follows from but the list of its clips."""
        return self._plan_hash(dataclasses.replace(shard, clips=()))

    def _report_path(self, shard: Shard) -> Path:
        return Path(self.directory) / DONE_FOLDER / (self.shard_path(shard).name + ".json")

    def report(self, shard: Shard) -> dict | None:
        """What `write_shard` reported; None where the shard is not written, or of another plan."""
        return self._report(shard) if self.shard_path(shard).is_file() else None

    def _report(self, shard: Shard) -> dict | None:
        """What `write_shard` reported, None when there is nothing of this plan."""
        report = self._any_report(shard)
        return report if report and report.get("plan") == self._plan_hash(shard) else None

    def _any_report(self, shard: Shard) -> dict | None:
        """What was reported of a shard of this name, of whatever plan; None without a report."""
        try:
            return json.loads(self._report_path(shard).read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _counted(self, shard: Shard, report: dict) -> dict:
        """The report with statistics that this program can merge."""
        if not statistics.is_current(report["statistics"]):
            report = report | {"statistics": count_shard(self.shard_path(shard))}
            files.write_json(self._report_path(shard), report, sort_keys=True)
        return report

    def _content(self, gathered: Gathered) -> dict:
        directory, (height, width) = Path(self.directory), self.frame_size
        return {
            "schema": schema.VERSION, "dataset": self.dataset, "height": height, "width": width, "codec": self.codec,
            "frames_per_second": schema.FPS, "sample_rate": schema.SAMPLE_RATE,
            "source": self.source, "rebuild": self.rebuild,
            "fields": gathered.fields or [], "label_source": gathered.label_source,
            "coefficients": gathered.coefficients or list(self.coefficients),
            "odd_coefficients": None if self.odd_coefficients is None else list(self.odd_coefficients),
            "splits": gathered.splits(), "speakers": gathered.index.speakers, "shards": gathered.shards,
            "files": {name: files.sha256(directory / name) for name in (LEDGER_FILE, INDEX_FILE)},
        }


def _written(path: Path, action: Callable, *arguments) -> None:
    """Runs a method of an ArrayRecordWriter, which reports a full disk as a RuntimeError of its own."""
    try:
        action(*arguments)
    except RuntimeError as error:
        why = str(error).partition(";")[0]
        raise DataError(f"{path} could not be written ({why}); make room on the disk and rerun the command") from None
