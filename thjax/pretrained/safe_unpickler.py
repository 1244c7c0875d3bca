"""An unpickler that admits tensors and plain values only. Everything else is refused by name before it can run."""

import collections
import dataclasses
import math
import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

_STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2",
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?",
}


class UnsafePickle(Exception):
    """A pickle asks for something other than tensors and plain values. Says for what."""


@dataclasses.dataclass
class Storage:
    """A flat run of numbers, whose bytes may still have to be read.

    Attributes:
        kind: key of `_STORAGES`.
        count: elements.
        data: their bytes, or None.
        root: the storage that this one is a part of, from element `offset` on, or None.
    """

    kind: str
    count: int
    data: bytes | None
    root: "Storage | None" = None
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.count * np.dtype(_STORAGES[self.kind]).itemsize

    def view(self, offset: int, count: int) -> "Storage":
        """A part of this storage."""
        if not 0 <= offset <= offset + count <= self.count:
            raise ValueError(f"a view of {count} from {offset} on, in a storage of {self.count}")
        return Storage(self.kind, count, None, self, offset)

    def array(self) -> np.ndarray:
        """[count] numbers; bfloat16 widened to float32."""
        if self.root is not None:
            return self.root.array()[self.offset : self.offset + self.count]
        if self.data is None or len(self.data) != self.bytes:
            raise ValueError(f"a storage of {self.bytes} bytes has {len(self.data or b'')}")
        numbers = np.frombuffer(self.data, _STORAGES[self.kind])
        return (numbers.astype("<u4") << 16).view("<f4") if self.kind == "BFloat16Storage" else numbers


@dataclasses.dataclass
class Tensor:
    """A strided look at a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def array(self) -> np.ndarray:
        """A copy, contiguous.

        Raises:
            ValueError: the look goes beyond the storage.
        """
        numbers = self.storage.array()
        if len(self.shape) != len(self.stride) or any(n < 0 for n in (*self.shape, *self.stride, self.offset)):
            raise ValueError(f"a tensor of shape {self.shape} and strides {self.stride} from {self.offset} on")
        if math.prod(self.shape) > numbers.size:
            raise ValueError(f"a tensor of shape {self.shape} in a storage of {numbers.size}")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if 0 in self.shape:
            return np.zeros(self.shape, numbers.dtype)
        if last >= numbers.size:
            raise ValueError(f"a tensor reaches element {last} of a storage of {numbers.size}")
        strides = [step * numbers.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


class _StandIn:
    """What a pickle gets in place of something it names. It is shared by all pickles, so none may alter it."""

    __slots__ = ()

    def __setstate__(self, state):
        raise UnsafePickle("it alters something it does not own")


class _Kind(_StandIn):
    """Stands for a storage class; cannot be called."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class _Function(_StandIn):
    """Stands for a function or a class that a pickle may call."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable):
        self._call = call

    def __call__(self, *args):
        return self._call(*args)


def _tensor(storage, offset, shape, stride, *_) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without a storage")
    return Tensor(storage, int(offset), tuple(int(n) for n in shape), tuple(int(n) for n in stride))


def _parameter(data, *_) -> Tensor:
    if not isinstance(data, Tensor):
        raise ValueError("a parameter without a tensor")
    return data


class Array:
    """A numpy array in the making: numpy's pickles make an empty one and give it its state."""

    def __init__(self, *_):
        self.value = np.zeros(0)

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, _DType) or not isinstance(data, (bytes, bytearray)):
            raise UnsafePickle("it holds a numpy array of objects")
        self.value = np.frombuffer(data, dtype.kind).reshape(shape, order="F" if fortran else "C").copy()


class _DType:
    """A numpy type of plain numbers in the making."""

    def __init__(self, kind: str, *_):
        if not isinstance(kind, str) or np.dtype(kind).kind not in "biuf":
            raise UnsafePickle(f"it holds a numpy type {kind!r}")
        self.kind = np.dtype(kind)

    def __setstate__(self, state):
        if state[1] in ("<", ">"):
            self.kind = self.kind.newbyteorder(state[1])


def _scalar(dtype, data):
    if not isinstance(dtype, _DType) or not isinstance(data, (bytes, bytearray)):
        raise UnsafePickle("it holds a numpy scalar of an object")
    return np.frombuffer(data, dtype.kind)[0].item()


def _encode(text, encoding="latin1"):
    if encoding != "latin1":
        raise UnsafePickle(f"it encodes text as {encoding!r}")
    return text.encode("latin1")


_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ADMITTED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
    ("torch", "Size"): _Function(tuple),
    ("numpy", "ndarray"): _Function(Array),
    ("numpy", "dtype"): _Function(_DType),
    ("_codecs", "encode"): _Function(_encode),
    **{("torch", name): _Kind(name) for name in _STORAGES},
    **{(module, "_reconstruct"): _Function(Array) for module in _NUMPY},
    **{(module, "scalar"): _Function(_scalar) for module in _NUMPY},
}


class SafeUnpickler(pickle.Unpickler):
    """Unpickles tensors and plain values.

    Args:
        file: positioned at a pickle.
        storage: (kind, key, elements, view) -> Storage for the tensors' numbers; None where there can be none.

    Raises:
        UnsafePickle: from `load`, before anything else is called.
    """

    def __init__(self, file: BinaryIO, storage: Callable[[str, str, int, Any], Storage] | None):
        super().__init__(file, encoding="latin1")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """One of the admitted stand-ins; never an import."""
        module = {"__builtin__": "builtins"}.get(module, module)
        if (module, name) not in _ADMITTED:
            raise UnsafePickle(f"it asks for {module}.{name}")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        """The storage that a persistent id of torch means."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Kind):
            named = pid[0] if isinstance(pid, tuple) and pid else pid
            raise UnsafePickle(f"it refers to a {named!r} outside of it, not to a storage")
        if self._storage is None:
            raise UnsafePickle("it has a tensor where none can be")
        _, kind, key, _, count, *view = pid
        return self._storage(kind.name, str(key), int(count), view[0] if view else None)
