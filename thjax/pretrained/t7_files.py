"""Reads binary files of Torch 7 (`torch.save` of Lua): numbers, text, tables and the fields of objects. No code.

Every value begins with its kind. Tables, objects, tensors and storages carry a number, by which later values refer to
them.
"""

import dataclasses
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from thjax.core.errors import UserError
from thjax.pretrained.safe_unpickler import Storage, Tensor

_NIL, _NUMBER, _TEXT, _TABLE, _OBJECT, _BOOLEAN = range(6)
_KINDS = ("Double", "Float", "Long", "Int", "Short", "Char", "Byte")
_MALFORMED = (ValueError, LookupError, TypeError, OverflowError, struct.error, RecursionError, EOFError, MemoryError,
              UnicodeDecodeError)


class _Refused(Exception):
    """Something other than numbers, text, tables and fields."""


@dataclasses.dataclass
class Object:
    """What a Lua object holds.

    Attributes:
        kind: its class.
        fields: its table.
    """

    kind: str
    fields: dict[Any, Any]


def read(path: str | Path) -> Any:
    """The value in a file: numbers as float, tables as dict, tensors as arrays, other objects as `Object`.

    Raises:
        UserError: missing, damaged, or it holds Lua functions or values that no network needs.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with open(path, "rb") as file:
        try:
            return _Reader(file, path.stat().st_size).value()
        except _Refused as error:
            raise UserError(f"{path}: refused, {error}; only numbers, text, tables and tensors are read") from None
        except _MALFORMED as error:
            raise UserError(f"{path}: not a whole binary file of Torch 7 ({type(error).__name__}: {error}); "
                            "fetch it again") from error


class _Reader:
    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        self._seen: dict[int, Any] = {}

    def value(self) -> Any:
        """The next value, whatever it is."""
        kind = self._int()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return struct.unpack("<d", self._bytes(8))[0]
        if kind == _TEXT:
            return self._text()
        if kind == _BOOLEAN:
            return self._int() == 1
        if kind not in (_TABLE, _OBJECT):
            raise _Refused("it holds a Lua function" if kind in (6, 7, 8) else f"it holds a value of kind {kind}")
        index = self._int()
        if index not in self._seen:
            self._seen[index] = None
            self._seen[index] = self._table(index) if kind == _TABLE else self._object(index)
        return self._seen[index]

    def _table(self, index: int) -> dict[Any, Any]:
        found = self._seen[index] = {}
        for _ in range(self._int()):
            key, value = self.value(), self.value()
            if not isinstance(key, (str, float, bool)):
                raise _Refused(f"a table has a key of type {type(key).__name__}")
            found[key] = value
        return found

    def _object(self, index: int) -> Any:
        name = self._text()
        if name.startswith("V "):  # a version, which the first files did not write
            name = self._text()
        owner, _, kind = name.partition(".")
        if owner == "torch" and kind.removesuffix("Tensor") in _KINDS:
            return self._tensor()
        if owner == "torch" and kind.removesuffix("Storage") in _KINDS:
            return self._storage(kind)
        if owner == "torch":
            raise _Refused(f"it holds a {name}")
        made = self._seen[index] = Object(name, {})
        fields = self.value()
        if not isinstance(fields, dict):
            raise _Refused(f"its {name} is no table")
        made.fields = fields
        return made

    def _tensor(self) -> np.ndarray:
        rank = self._int()
        numbers = struct.unpack(f"<{2 * rank + 1}q", self._bytes(8 * (2 * rank + 1)))
        storage = self.value()
        if rank == 0 or storage is None:
            return np.zeros(0, np.float32)
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without a storage")
        return Tensor(storage, numbers[-1] - 1, numbers[:rank], numbers[rank:-1]).array()

    def _storage(self, kind: str) -> Storage:
        (count,) = struct.unpack("<q", self._bytes(8))
        storage = Storage(kind, count, None)
        storage.data = self._bytes(storage.bytes)
        return storage

    def _int(self) -> int:
        return struct.unpack("<i", self._bytes(4))[0]

    def _text(self) -> str:
        return self._bytes(self._int()).decode("latin1")

    def _bytes(self, count: int) -> bytes:
        if not 0 <= count <= self._size - self._file.tell():
            raise EOFError(f"{count} bytes wanted at {self._file.tell()} of {self._size}")
        return self._file.read(count)
