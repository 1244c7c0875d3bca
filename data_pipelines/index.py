"""The columnar index of a corpus, mapped into memory: opened at once, shared by all processes that read it."""

import struct
import zipfile
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
