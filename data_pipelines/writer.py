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

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from data_pipelines import files, records, schema, statistics
from data_pipelines.manifest import DATASET_FILE, INDEX_FILE, LEDGER_FILE, Manifest
from data_pipelines.order import permutation
from data_pipelines.schema import DataError
from data_pipelines.shards import count_records

# group_size 1: records are read one by one in random order. JPEG does not compress again.
ARRAY_RECORD_OPTIONS = "group_size:1,uncompressed"
CLIPS_PER_SHARD = 64
DONE_FOLDER = "done"


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of the plan.

    Attributes:
        split: name of the split.
        index: of the shard in its split.
        count: shards of the split.
        clips: keys of the clips it holds, in order.
    """

    split: str
    index: int
    count: int
    clips: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes one corpus into one directory.

    Attributes:
        directory: made when it is not there.
        dataset: name of the corpus.
        size: pixels of the square frame, or (height, width).
        codec: of the frames; only "jpeg".
        source: everything the clips follow from (settings, seed, version of what makes them). Shards that were written
            from another source are written again.
        rebuild: the command that writes this corpus; error messages name it.
        coefficients: names of the corpus's `coefficients`.
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
        if self.codec != "jpeg":
            raise DataError(f"codec {self.codec!r} is unknown; known: jpeg")

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
            twice = next(key for key in everything if everything.count(key) > 1)
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
        name = f"{self.dataset}-{shard.split}-{size}-{self.codec}-{shard.index:05d}-of-{shard.count:05d}.array_record"
        return Path(self.directory) / name

    def is_done(self, shard: Shard) -> bool:
        """True when the shard is on disk, of this plan and source, with the sha256 it was written with."""
        report = self._report(shard)
        path = self.shard_path(shard)
        return report is not None and path.is_file() and files.sha256(path) == report["sha256"]

    def write_shard(self, shard: Shard, make_clip: Callable[[str], dict]) -> bool:
        """Writes a shard unless it is done. Safe in any process; two processes must not write the same shard.

        Args:
            shard: of the plan.
            make_clip: key -> clip as `records.segments` takes it; its split is set here.

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
        shard_content = _ShardContent()
        with files.whole(path) as temporary:
            output = ArrayRecordWriter(str(temporary), ARRAY_RECORD_OPTIONS)
            try:
                for key in shard.clips:
                    for data in shard_content.add_clip(self._checked(make_clip(key), key, shard.split)):
                        _written(path, output.write, data)
            finally:
                _written(path, output.close)
            if count_records(temporary) != len(shard_content.rows):
                raise DataError(f"{path} could not be written whole; make room on the disk and rerun the command")
        report = shard_content.report() | {"plan": self._plan_hash(shard), "sha256": files.sha256(path),
                                           "bytes": path.stat().st_size}
        files.write_json(self._report_path(shard), report)
        return True

    def finish(self, shards: Sequence[Shard]) -> Manifest:
        """Describes the finished shards and returns the manifest.

        Raises:
            DataError: a shard is not done, or shards do not have the same fields.
        """
        directory = Path(self.directory)
        reports = [self._report(shard) for shard in shards]
        for shard, report in zip(shards, reports, strict=True):
            if report is None or not self.shard_path(shard).is_file():
                raise DataError(f"{self.shard_path(shard)} is not written yet; write every shard of the plan, "
                                "then finish")
        fields = reports[0]["fields"] if reports else []
        for shard, report in zip(shards, reports, strict=True):
            if report["fields"] != fields:
                raise DataError(f"{self.shard_path(shard).name} has the fields {report['fields']}, others {fields}; "
                                "every clip of a corpus must have the same")
        ledger = [line for report in reports for line in report["clips"]]
        speakers = sorted({line["speaker"] for line in ledger})
        with files.whole(directory / LEDGER_FILE) as temporary:
            temporary.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in sorted(ledger, key=_key)))
        with files.whole(directory / INDEX_FILE) as temporary, open(temporary, "wb") as file:
            np.savez(file, **_index(shards, reports, speakers))
        content = self._describe(shards, reports, speakers)
        files.write_json(directory / DATASET_FILE, content)
        self._remove_strangers(shards)
        return Manifest.load(directory)

    def _checked(self, clip: dict, key: str, split: str) -> dict:
        if clip["key"] != key:
            raise DataError(f"clip {clip['key']!r} was made for the key {key!r}; they must be equal")
        if tuple(clip["frames"].shape[1:3]) != self.frame_size:
            raise DataError(f"{key}: frames are {clip['frames'].shape[1:3]}, the corpus is {self.frame_size}")
        if "coefficients" in clip and clip["coefficients"].shape[-1] != len(self.coefficients):
            raise DataError(f"{key}: {clip['coefficients'].shape[-1]} coefficients, the writer has "
                            f"{len(self.coefficients)} names; give Writer(coefficients=...) one name each")
        return clip | {"dataset": self.dataset, "split": split}

    def _plan_hash(self, shard: Shard) -> str:
        return files.fingerprint([schema.VERSION, self.source, self.frame_size, self.codec, self.coefficients,
                                  self.odd_coefficients, dataclasses.astuple(shard)])

    def _report_path(self, shard: Shard) -> Path:
        return Path(self.directory) / DONE_FOLDER / (self.shard_path(shard).name + ".json")

    def _report(self, shard: Shard) -> dict | None:
        """What `write_shard` reported, None when there is nothing of this plan."""
        try:
            report = json.loads(self._report_path(shard).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return report if report.get("plan") == self._plan_hash(shard) else None

    def _describe(self, shards: Sequence[Shard], reports: Sequence[dict], speakers: list[str]) -> dict:
        directory = Path(self.directory)
        parts = {split: [r["statistics"] for s, r in zip(shards, reports, strict=True) if s.split == split]
                 for split in dict.fromkeys(shard.split for shard in shards)}
        height, width = self.frame_size
        return {
            "schema": schema.VERSION, "dataset": self.dataset, "height": height, "width": width, "codec": self.codec,
            "frames_per_second": schema.FPS, "sample_rate": schema.SAMPLE_RATE,
            "source": self.source, "rebuild": self.rebuild,
            "fields": reports[0]["fields"] if reports else [], "label_source": _label_source(reports),
            "coefficients": list(self.coefficients),
            "odd_coefficients": None if self.odd_coefficients is None else list(self.odd_coefficients),
            "splits": {split: statistics.merge(part) for split, part in parts.items()},
            "speakers": speakers,
            "shards": [
                {"name": self.shard_path(shard).name, "split": shard.split, "records": report["statistics"]["records"],
                 **{name: report[name] for name in ("bytes", "sha256", "statistics")}}
                for shard, report in zip(shards, reports, strict=True)
            ],
            "files": {name: files.sha256(directory / name) for name in (LEDGER_FILE, INDEX_FILE)},
        }

    def _remove_strangers(self, shards: Sequence[Shard]) -> None:
        """Removes shards that an earlier, different plan wrote here; only files with a report of ours."""
        keep = {self.shard_path(shard).name for shard in shards}
        for report in (Path(self.directory) / DONE_FOLDER).glob("*.array_record.json"):
            name = report.name.removesuffix(".json")
            if name not in keep:
                (Path(self.directory) / name).unlink(missing_ok=True)
                report.unlink()


class _ShardContent:
    """What a shard holds, gathered while it is written."""

    def __init__(self):
        self.clips, self.rows, self.statistics, self.label_source = [], [], [], {}
        self.fields: list[str] | None = None

    def add_clip(self, clip: dict) -> list[bytes]:
        """Encodes a clip into records of at most one segment each and counts it.

        Raises:
            DataError: its labels are not those of the clips before it.
        """
        encoded = []
        for record in records.segments(clip):
            data = records.encode(record)
            labels = sorted(name for name in records.LABELS if name in record)
            self.fields = labels if self.fields is None else self.fields
            if labels != self.fields:
                raise DataError(f"{clip['key']}: labels {labels}, clips before it have {self.fields}; "
                                "every clip of a corpus must have the same")
            self.rows.append([record["n"], record["segment"]])
            self.statistics.append(statistics.of_record(records.decode(data)))
            encoded.append(data)
        self.label_source |= clip.get("label_source", {})
        self.clips.append({"key": clip["key"], "split": clip["split"], "speaker": clip["speaker"], "status": "ok",
                           "frames": len(clip["frames"]), "segments": len(encoded),
                           "sentence": clip.get("sentence", "")})
        return encoded

    def report(self) -> dict:
        return {"clips": self.clips, "rows": self.rows, "fields": self.fields or [], "label_source": self.label_source,
                "statistics": statistics.merge(self.statistics)}


def _written(path: Path, action: Callable, *arguments) -> None:
    """Runs a method of an ArrayRecordWriter, which reports a full disk as a RuntimeError of its own."""
    try:
        action(*arguments)
    except RuntimeError as error:
        why = str(error).partition(";")[0]
        raise DataError(f"{path} could not be written ({why}); make room on the disk and rerun the command") from None


def _key(line: dict) -> str:
    return line["key"]


def _label_source(reports: Sequence[dict]) -> dict:
    return {name: source for report in reports for name, source in report["label_source"].items()}


def _index(shards: Sequence[Shard], reports: Sequence[dict], speakers: list[str]) -> dict[str, np.ndarray]:
    """The columnar index: one entry a record, clips numbered in the order of their keys."""
    ledger = sorted((line for report in reports for line in report["clips"]), key=_key)
    clip_number = {line["key"]: number for number, line in enumerate(ledger)}
    speaker_number = {name: number for number, name in enumerate(speakers)}
    splits = list(dict.fromkeys(shard.split for shard in shards))
    columns = []
    for number, (shard, report) in enumerate(zip(shards, reports, strict=True)):
        lines = [line for line in report["clips"] for _ in range(line["segments"])]
        for offset, (line, (n, segment)) in enumerate(zip(lines, report["rows"], strict=True)):
            columns.append((number, offset, n, segment, clip_number[line["key"]], speaker_number[line["speaker"]],
                            splits.index(shard.split)))
    names = ("shard", "offset", "n", "segment", "clip", "speaker", "split")
    table = np.array(columns, np.int32).reshape(-1, len(names))
    return {name: table[:, i] for i, name in enumerate(names)} | {
        "clip_keys": np.array([line["key"].encode() for line in ledger], dtype=np.bytes_)}
