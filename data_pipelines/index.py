"""The columnar index of a corpus, mapped into memory: opened at once, shared by all processes that read it."""

import array
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Index(dict):
    """Columns of `index.npz` by name, read-only. Another process that gets it maps the file itself.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path):
        super().__init__(_columns(path))
        self.path = path

    def __reduce__(self):
        return Index, (self.path,)

    def clip_key(self, clip: int) -> str:
        """Key of a clip by its number."""
        if "clip_ends" not in self:  # written before keys lay end to end
            return self["clip_keys"][clip].decode()
        ends = self["clip_ends"]
        return bytes(self["clip_keys"][int(ends[clip - 1]) if clip else 0 : int(ends[clip])]).decode()


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an uncompressed npz. numpy itself maps npy files only."""
    columns = {}
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        for member in archive.infolist():
            file.seek(member.header_offset + 26)
            file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            there = dtype.itemsize * int(np.prod(shape))
            columns[member.filename.removesuffix(".npy")] = (
                np.memmap(path, dtype, "r", file.tell(), shape) if there else np.zeros(shape, dtype))
    return columns


class IndexColumns:
    """The columnar index of a corpus, gathered shard by shard: one entry a record, clips in the order of their keys.

    At most 40 bytes a record, keys included: `clip_keys` holds one text after the other, `clip_ends` where each ends.
    """

    def __init__(self):
        self._keys: list[bytes] = []
        self._owners, self._segments = array.array("i"), array.array("i")
        self._people: dict[str, int] = {}
        self._splits: dict[str, int] = {}
        self._shard_splits: list[int] = []
        self._rows: list[np.ndarray] = []

    def add(self, split: str, clips: Sequence[dict], rows: Sequence[Sequence[int]]) -> None:
        """Takes the next shard: lines of its clips in order, and (frames, segment) of its records."""
        for line in clips:
            self._keys.append(line["key"].encode())
            self._owners.append(self._people.setdefault(line["speaker"], len(self._people)))
            self._segments.append(line["segments"])
        self._rows.append(np.array(rows, np.int16).reshape(-1, 2))
        self._shard_splits.append(self._splits.setdefault(split, len(self._splits)))

    @property
    def speakers(self) -> list[str]:
        """Sorted names of everybody."""
        return sorted(self._people)

    def columns(self) -> dict[str, np.ndarray]:
        """What `index.npz` holds; speakers are numbered as sorted, splits as they came."""
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        speaker = {name: place for place, name in enumerate(self.speakers)}
        sorted_speaker = np.array([speaker[name] for name in self._people], np.int32)
        counts, segments = [len(part) for part in self._rows], np.array(self._segments, np.int64)
        rows = np.concatenate([*self._rows, np.zeros((0, 2), np.int16)])
        return {
            "shard": np.repeat(np.arange(len(counts), dtype=np.int32), counts),
            "offset": np.concatenate([np.zeros(0, np.int32), *(np.arange(count, dtype=np.int32) for count in counts)]),
            "n": np.ascontiguousarray(rows[:, 0]), "segment": np.ascontiguousarray(rows[:, 1]),
            "clip": np.repeat(number, segments),
            "speaker": np.repeat(sorted_speaker[np.array(self._owners, np.int32)], segments),
            "split": np.repeat(np.array(self._shard_splits, np.int8), counts),
            "clip_keys": np.frombuffer(b"".join(self._keys[place] for place in order), np.uint8),
            "clip_ends": np.cumsum([len(self._keys[place]) for place in order], dtype=np.int64),
        }
