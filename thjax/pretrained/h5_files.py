"""Reads the weights of Keras files (HDF5): numbers only, from this one file only."""

from pathlib import Path
from typing import Any

import numpy as np

from thjax.core.errors import UserError


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The weights of `model.save_weights`, or of `model.save`.

    Args:
        path: of the file.

    Returns:
        {"layer/weight": array}; of a bidirectional layer "layer/forward/weight" and "layer/backward/weight". What Keras
        puts between, and the ":0" behind, differ between its versions and are left out.

    Raises:
        UserError: h5py missing; no HDF5 file, a damaged one, or one that points out of itself or holds anything but
            numbers.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError(f"{path}: Keras files need h5py: pip install 'thjax[h5]'") from error
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    found: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            # A list of names follows no link.
            root = _member(h5py, file, "model_weights", path) if "model_weights" in list(file) else file
            for layer in root:
                for parts, value in _datasets(h5py, _member(h5py, root, layer, path), path):
                    key = _key(layer, parts)
                    if key in found:
                        raise UserError(f"{path}: has {key} twice")
                    found[key] = value
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: not a whole HDF5 file ({error}); fetch it again") from error
    return found


def _member(h5py: Any, group: Any, name: str, path: Path) -> Any:
    """An entry of a group that lies in this file; links could lead to any other."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise UserError(f"{path}: refused, {group.name}/{name} is a link out of its group; only plain numbers are read")
    return group[name]


def _datasets(h5py: Any, node: Any, path: Path, parts: tuple[str, ...] = ()):
    """(names below the layer, numbers) of every dataset."""
    if isinstance(node, h5py.Dataset):
        if node.dtype.kind not in "biuf" or node.external or node.is_virtual:
            raise UserError(f"{path}: refused, {node.name} holds {node.dtype}, or numbers of other files; only plain "
                            "numbers are read")
        yield parts, node[()]
    elif isinstance(node, h5py.Group):
        for name in node:
            yield from _datasets(h5py, _member(h5py, node, name, path), path, (*parts, name))


def _key(layer: str, parts: tuple[str, ...]) -> str:
    weight = parts[-1].split(":")[0] if parts else ""
    turns = {part.split("_")[0] for part in parts if part.startswith(("forward", "backward"))}
    return "/".join([layer, *sorted(turns), weight])
