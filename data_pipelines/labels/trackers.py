"""Face trackers by name. Each is imported when it is asked for, from the extra `track`."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from data_pipelines.schema import DataError

INSTALL = ("python3.11 -m venv .venv-track && .venv-track/bin/pip install '.[media,track]', then "
           ".venv-track/bin/thjax label ...")
"""Trackers need an older protobuf than training does, so they get an environment of their own."""


class Tracker(Protocol):
    """Finds faces in one picture at a time, each picture for itself: what came before changes nothing.

    Attributes:
        version: of the packages that decide the result.
    """

    version: str

    def faces(self, image: np.ndarray) -> list[np.ndarray]:
        """Landmarks of every face in uint8 `[H, W, 3]` RGB: float32 `[68, 2]` each, pixels, pixel centres at +0.5,
        iBUG order."""


class _Trackers(Mapping[str, Tracker]):
    """Trackers by name; asking for one loads its models."""

    def __init__(self, places: dict[str, tuple[str, str]]):
        self.places = places

    def __getitem__(self, name: str) -> Tracker:
        module, kind = self.places[name]
        try:
            return getattr(importlib.import_module(module), kind)()
        except (ImportError, OSError) as error:
            raise DataError(f"--tracker {name} cannot be loaded here ({error}); trackers live in an environment of "
                            f"their own: {INSTALL}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


TRACKERS = _Trackers({
    "mediapipe": ("data_pipelines.labels.mediapipe_mesh", "FaceMesh"),
    "dlib": ("data_pipelines.labels.dlib_shape", "ShapePredictor"),
})
"""Name of a tracker -> the tracker, loaded."""


def versions(*distributions: str) -> str:
    """Installed versions, as "name 1.2, name 3.4"."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in distributions)


def model_file(package: str, path: str) -> Path:
    """A model file inside an installed package, which is not imported.

    Raises:
        ImportError: the package is not there, or holds no such file; nothing is ever downloaded.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(f"the package {package} is not installed")
    file = Path(found.origin).parent / path
    if not file.is_file():
        raise ImportError(f"{file.parent} holds no {file.name}: another version of {package} than the extra pins")
    return file
