"""What a corpus on disk says about itself, checked against what is there.

`dataset.json`: format, sizes, statistics of every split, counts and sha256 of every shard. `index.npz`: one row a
record (shard, offset, n, segment, clip, speaker, split) and the clip keys, 40 bytes a record at most. `manifest.jsonl`:
a ledger for people, one line a clip.
"""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np

from data_pipelines import schema
from data_pipelines.index import Index
from data_pipelines.schema import DataError
from data_pipelines.shards import count_records
from thjax.core import files

DATASET_FILE = "dataset.json"
INDEX_FILE = "index.npz"
LEDGER_FILE = "manifest.jsonl"
CONTENT = ("shards", "files", "speakers", "fields", "coefficients")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A corpus.

    Attributes:
        directory: of the corpus.
        content: what `dataset.json` holds.
        index: columns of `index.npz`, one row a record; rows are in the order of the shards.
    """

    directory: Path
    content: dict
    index: Index

    @classmethod
    def load(cls, directory: str | Path, check_shards: bool = True) -> "Manifest":
        """Reads and checks version, presence and size of every shard, and opens none; `verify` reads them all.

        Args:
            directory: of the corpus.
            check_shards: False for whoever checks the shards one by one, to say all that is wrong.

        Raises:
            DataError: names the file, what is wrong with it, and how to mend it.
        """
        directory = Path(directory)
        path = directory / DATASET_FILE
        if not path.is_file():
            raise DataError(f"{directory} is no corpus: it has no {DATASET_FILE}; write one with "
                            f"`thjax data synth --out {directory}`, or finish the command that was writing it")
        try:
            content = json.loads(path.read_text())
            version = content["schema"]
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path} cannot be read as JSON with a schema version; write the corpus again") from None
        if version != schema.VERSION:
            raise DataError(f"{path}: schema version {version}, this program reads {schema.VERSION}; write the "
                            "corpus again with this program, or use the program that wrote it")
        if missing := [name for name in CONTENT if name not in content]:
            raise DataError(f"{path} lacks {', '.join(missing)}; {_mend(content)}")
        for shard in content["shards"] if check_shards else ():
            _check_shard(directory, shard, _mend(content))
        _check_hash(directory / INDEX_FILE, content["files"][INDEX_FILE], _mend(content))
        index = Index(directory / INDEX_FILE)
        counted = sum(shard["records"] for shard in content["shards"])
        if len(index["shard"]) != counted:
            raise DataError(f"{directory / INDEX_FILE} lists {len(index['shard'])} records, {DATASET_FILE} counts "
                            f"{counted}; {_mend(content)}")
        return cls(directory, content, index)

    def verify(self) -> None:
        """Hashes every file against `dataset.json` and counts the records of every shard.

        Raises:
            DataError: names the first file that differs.
        """
        self.verify_described()
        for shard in self.content["shards"]:
            self.verify_shard(shard)

    def verify_described(self) -> None:
        """`verify` of the files that describe the shards."""
        for name, expected in self.content["files"].items():
            _check_hash(self.directory / name, expected, _mend(self.content))

    def verify_shard(self, shard: dict) -> None:
        """`verify` of one entry of `content["shards"]`."""
        _check_shard(self.directory, shard, _mend(self.content))
        _check_content(self.directory / shard["name"], shard, _mend(self.content))

    @functools.cached_property
    def hash(self) -> str:
        """Hexadecimal sha256 of the corpus's content, wherever it lies and whatever command line wrote it."""
        return files.fingerprint({name: value for name, value in self.content.items() if name != "rebuild"})

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard["bytes"] for shard in self.content["shards"])

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(dict.fromkeys(shard["split"] for shard in self.content["shards"]))

    @property
    def speakers(self) -> list[str]:
        """Sorted names of the speakers; the batch field `speaker` is an index into this."""
        return self.content["speakers"]

    @property
    def labels(self) -> list[str]:
        """Sorted names of the optional per-frame fields that every record has."""
        return self.content["fields"]

    @property
    def pixels(self) -> bool:
        """Whether records hold frames."""
        return self.content.get("codec") != "none"

    @property
    def coefficients(self) -> list[str]:
        """Names of the columns of `coefficients`."""
        return self.content["coefficients"]

    def rows(self, split: str) -> np.ndarray:
        """Rows of `index` that belong to a split, in clip order.

        Raises:
            DataError: the corpus has no such split; names those it has.
        """
        if split not in self.splits:
            raise DataError(f"{self.directory} has no split {split!r}; it has: {', '.join(self.splits)}. "
                            "Ask for one of these, or prepare the corpus with a --split that makes it (training needs "
                            "train and validation; clips_80_10_10 makes both of any corpus)")
        rows = np.flatnonzero(self.index["split"] == self.splits.index(split))
        return rows[np.lexsort((self.index["segment"][rows], self.index["clip"][rows]))]

    def clip_key(self, row: int) -> str:
        """Key of the clip that a row of `index` belongs to."""
        return self.index.clip_key(int(self.index["clip"][row]))

    def shard_statistics(self, split: str) -> list[dict]:
        """Statistics of a split in parts that `statistics.merge` takes.

        One part, the whole split: merging is exact, so dataset.json need not carry the histograms of every shard.
        """
        return [part for name, part in self.content["splits"].items() if name == split]

    def mend(self) -> str:
        """How to make this corpus whole again, for error messages."""
        return _mend(self.content)


def _mend(content: dict) -> str:
    command = content.get("rebuild") or "the command that wrote the corpus"
    return f"rerun `{command}`: it writes what is missing or wrong and keeps the rest"


def _check_shard(directory: Path, shard: dict, mend: str) -> None:
    path = directory / shard["name"]
    if not path.is_file():
        raise DataError(f"{path} is missing; {mend}")
    size = path.stat().st_size
    if size != shard["bytes"]:
        raise DataError(f"{path} has {size} bytes, {DATASET_FILE} says {shard['bytes']}; {mend}")


def _check_content(path: Path, shard: dict, mend: str) -> None:
    _check_hash(path, shard["sha256"], mend)
    counted = count_records(path)
    if counted != shard["records"]:
        raise DataError(f"{path} holds {counted} records, {DATASET_FILE} says {shard['records']}; {mend}")


def _check_hash(path: Path, expected: str, mend: str) -> None:
    if not path.is_file():
        raise DataError(f"{path} is missing; {mend}")
    found = files.sha256(path)
    if found != expected:
        raise DataError(f"{path} has sha256 {found[:12]}..., {DATASET_FILE} says {expected[:12]}...; {mend}")
