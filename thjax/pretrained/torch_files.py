"""Reads files of `torch.save` without torch: tensors and plain values, nothing that could run code.

Two formats exist. Since 2020 a zip archive holds a pickle and one member per storage; before, four pickles (magic
number, protocol, system, object), the list of storage keys, and the storages' bytes followed one another.
"""

import collections
import contextlib
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thjax.core.errors import UserError
from thjax.pretrained.safe_unpickler import Array, SafeUnpickler, Storage, Tensor, UnsafePickle

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MALFORMED = (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
              struct.error, zipfile.BadZipFile, RuntimeError, MemoryError)


def read(path: str | Path) -> Any:
    """The object that `torch.save` wrote: dicts, lists and plain values, with numpy arrays for tensors.

    Args:
        path: of the file; bfloat16 tensors come as float32.

    Raises:
        UserError: missing, empty, truncated, not of this kind, or it holds anything but tensors and plain values; then
            the error names the first such thing. No code of the file is run.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with open(path, "rb") as file:
        head = file.read(64)
        file.seek(0)
        if not head:
            raise UserError(f"{path}: is empty (0 bytes)")
        if head.startswith(b"version https://git-lfs"):
            raise UserError(f"{path}: is a Git LFS pointer, not the weights; fetch the file itself (git lfs pull)")
        try:
            return _materialise(_read_zip(file) if head.startswith(b"PK") else _read_legacy(file))
        except UnsafePickle as error:
            raise UserError(f"{path}: refused, {error}; only tensors and plain values are read") from None
        except _MALFORMED as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise UserError(f"{path}: not a whole file of torch.save ({reason}); fetch it again") from error


def read_state(path: str | Path) -> dict[str, np.ndarray]:
    """A state dict: {key: array}.

    Raises:
        UserError: as `read`, or the file holds something else.
    """
    content = read(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict of tensors")
    others = [str(key) for key, value in content.items() if not isinstance(value, np.ndarray)]
    if others or not content:
        raise UserError(f"{path}: not a state dict of tensors; {', '.join(others[:8]) or 'it is empty'}")
    return {str(key): value for key, value in content.items()}


def _read_zip(file: BinaryIO) -> Any:
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise ValueError("the archive has no data.pkl")
        root = names[0].removesuffix("data.pkl")
        with contextlib.suppress(KeyError):
            if archive.read(root + "byteorder") != b"little":
                raise ValueError("big-endian storages are not supported")
        storages: dict[str, Storage] = {}

        def load(kind: str, key: str, count: int) -> Storage:
            if key not in storages:
                storages[key] = Storage(kind, count, archive.read(f"{root}data/{key}"))
            return storages[key]

        with archive.open(names[0]) as pickled:
            return SafeUnpickler(pickled, lambda kind, key, count, view: load(kind, key, count)).load()


def _read_legacy(file: BinaryIO) -> Any:
    def plain() -> Any:
        return SafeUnpickler(file, None).load()

    if plain() != _LEGACY_MAGIC:
        raise ValueError("wrong magic number")
    if (protocol := plain()) != _LEGACY_PROTOCOL:
        raise ValueError(f"protocol {protocol}")
    if not plain().get("little_endian", True):
        raise ValueError("big-endian storages are not supported")
    storages: dict[str, Storage] = {}

    def promise(kind: str, key: str, count: int, view: Any) -> Storage:
        root = storages.setdefault(key, Storage(kind, count, None))
        return root if view is None else root.view(*view[1:])

    content = SafeUnpickler(file, promise).load()
    for key in plain():
        storage = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} elements, the object says {storage.count}")
        storage.data = file.read(storage.bytes)
    return content


def _materialise(value: Any) -> Any:
    """Tensors to arrays, now that all storages are read; containers are rebuilt as plain ones."""
    if isinstance(value, (Tensor, Storage)):
        return value.array()
    if isinstance(value, Array):
        return value.value
    if isinstance(value, collections.abc.Mapping):
        return {_materialise(key): _materialise(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_materialise(item) for item in value)
    return value
