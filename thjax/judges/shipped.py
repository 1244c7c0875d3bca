"""The weights of judges: half precision in one safetensors file each; those that measure, and those that a variant of
configs/ trains by, lie in this package."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thjax.core.errors import UserError
from thjax.pretrained import weights_file

KINDS = ("sync", "lips", "identity", "face")
"""sync: do lips and sound agree. lips: which words the lips say. identity: whose face. face: landmarks, action units,
pose, blinks."""

FOLDER = Path(__file__).parent / "weights"


def shipped_names() -> list[str]:
    """Judges whose weights lie in the package."""
    return sorted(file.stem for file in FOLDER.glob("*.safetensors"))


def save(path: Path, variables: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Writes a judge's variables as float16, with what it is made of.

    Args:
        path: of the file, .safetensors.
        variables: flax collections, nested arrays.
        header: plain values: `name`, `network` (its sizes), `command`, `seed`, `figures`.
    """
    weights_file.write(path, jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), dict(variables)), header)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables as float32, and the header, of a file of `save`."""
    variables, header = weights_file.read(path)
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), variables), header


@functools.cache
def load(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and header of a judge that ships with the package, for example `sync_metric`.

    Raises:
        UserError: no such judge ships.
    """
    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        raise UserError(f"judge {name!r} does not ship with thjax; those that do: {', '.join(shipped_names())}. "
                        "Train others with `thjax judges train NAME --out DIR`")
    return read(path)
