"""Readers: one module for each layout in which a corpus is distributed. A reader is imported when it is asked for."""

import importlib
from collections.abc import Iterator, Mapping

from data_pipelines.readers.reference import Reader

_PLACES = {
    "folder": ("data_pipelines.readers.folder", "Folder"),
    "grid": ("data_pipelines.readers.grid", "Grid"),
    "lrw": ("data_pipelines.readers.lrw", "Lrw"),
    "mead": ("data_pipelines.readers.mead", "Mead"),
    "tcd_timit": ("data_pipelines.readers.tcd_timit", "TcdTimit"),
    "voxceleb2": ("data_pipelines.readers.voxceleb2", "VoxCeleb2"),
}


class _Readers(Mapping[str, Reader]):
    """Readers by name."""

    def __getitem__(self, name: str) -> Reader:
        module, kind = _PLACES[name]
        return getattr(importlib.import_module(module), kind)()

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


READERS: Mapping[str, Reader] = _Readers()
"""Name of a corpus -> its reader."""
