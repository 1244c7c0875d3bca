"""The columnar index of a corpus, mapped into memory: opened at once, shared by all processes that read it."""

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


def index_of(shards: Sequence, reports: Sequence[dict], speakers: list[str]) -> dict[str, np.ndarray]:
    """The columnar index of a plan's shards: one entry a record, clips numbered in the order of their keys.

    At most 40 bytes a record, keys included: `clip_keys` holds one text after the other, `clip_ends` where each ends.
    """
    lines = [line for report in reports for line in report["clips"]]
    keys = [line["key"].encode() for line in lines]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    number = np.empty(len(keys), np.int32)
    number[order] = np.arange(len(keys), dtype=np.int32)
    speaker_number = {name: place for place, name in enumerate(speakers)}
    segments = np.array([line["segments"] for line in lines], np.int64)
    rows = np.array([row for report in reports for row in report["rows"]], np.int32).reshape(-1, 2)
    counts = [len(report["rows"]) for report in reports]
    splits = list(dict.fromkeys(shard.split for shard in shards))
    owner = [speaker_number[line["speaker"]] for line in lines]
    of_shard = lambda values, dtype: np.repeat(np.array(values, dtype), counts)
    return {
        "shard": of_shard(range(len(shards)), np.int32),
        "offset": np.concatenate([np.arange(count, dtype=np.int32) for count in counts] or [np.zeros(0, np.int32)]),
        "n": rows[:, 0].astype(np.int16), "segment": rows[:, 1].astype(np.int16),
        "clip": np.repeat(number, segments), "speaker": np.repeat(np.array(owner, np.int32), segments),
        "split": of_shard([splits.index(shard.split) for shard in shards], np.int8),
        "clip_keys": np.frombuffer(b"".join(keys[place] for place in order), np.uint8),
        "clip_ends": np.cumsum([len(keys[place]) for place in order], dtype=np.int64),
    }
