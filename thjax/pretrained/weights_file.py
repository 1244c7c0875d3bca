"""Converted weights: one safetensors file, flat names, and a header that says where they came from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import load_file, save

from thjax.core.errors import UserError
from thjax.core.files import whole

FILE_NAME = "weights.safetensors"
_HEADER = "thjax converted weights"
VERSION = 1


def target(out: str | Path) -> Path:
    """The file that `--out` means: itself, if it ends in .safetensors, else weights.safetensors in that directory."""
    out = Path(out)
    return out if out.suffix == ".safetensors" else out / FILE_NAME


def find(place: str | Path) -> Path | None:
    """The converted weights at a place that a user names, a file or its directory; None where there are none."""
    path = target(place)
    return path if path.is_file() else None


def write(path: Path, tree: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Writes nested arrays, whole or not at all.

    Args:
        path: of the file; its directory is made.
        tree: nested mappings of arrays; names are joined by `/`.
        header: plain values for JSON: `layout`, `sizes`, where the weights came from.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One entry: the library writes several in an order that differs from call to call.
    metadata = {_HEADER: json.dumps({"version": VERSION, **header}, sort_keys=True)}
    with whole(path) as temporary:
        temporary.write_bytes(save(_flatten(tree), metadata))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The nested arrays and the header of a file of `write`.

    Raises:
        UserError: damaged, or not written by `thjax weights convert`.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
        flat = load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}); convert the weights again") from error
    if _HEADER not in metadata:
        raise UserError(f"{path}: weights of another program; make ours with `thjax weights convert LAYOUT --in FILE`")
    header = json.loads(metadata[_HEADER])
    if header["version"] != VERSION:
        raise UserError(f"{path}: version {header['version']}, this program reads {VERSION}; convert the weights again")
    return _nest(flat), header


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    flat: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = np.ascontiguousarray(value)
    return flat


def _nest(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *groups, last = name.split("/")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value
    return tree
