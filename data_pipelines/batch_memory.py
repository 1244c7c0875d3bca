"""Memory that a loader's batches are made in, again and again.

Memory that a process touches for the first time costs time, and a batch that worker processes make would be copied
twice on its way. Here a batch is made where it stays, in one of a few places; a place is free for another batch when
nobody holds an array of the last one, be it a step or a device.
"""

import contextlib
import mmap
import os
import pickle
import weakref

import numpy as np

Shapes = dict[str, tuple[tuple[int, ...], type]]
"""{field: (shape, dtype)}."""
_ALIGNED = 64
"""Bytes: jax takes arrays that begin at multiples of it without a copy."""


class BatchMemory:
    """Places for batches, in this process or shared with the worker processes that it is pickled into.

    Batch n lies in place n modulo their number, so that nobody has to be asked: batches that are made at the same time
    are neighbours.

    Args:
        shapes: of a batch.
        places: number of them; they take memory one by one as batches come to lie in them, and keep it.
        shared: whether worker processes of this one write into it.

    Raises:
        OSError: this system cannot share memory so.
    """

    def __init__(self, shapes: Shapes, places: int, shared: bool = False):
        sizes = {name: int(np.prod(shape)) * np.dtype(dtype).itemsize for name, (shape, dtype) in shapes.items()}
        ends = np.cumsum([-(-size // _ALIGNED) * _ALIGNED for size in sizes.values()])
        self._shapes, self._starts = shapes, dict(zip(shapes, [0, *ends[:-1].tolist()], strict=True))
        self._sizes, self._places = sizes, places
        self._size = -(-int(ends[-1]) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._head = -(-places // mmap.PAGESIZE) * mmap.PAGESIZE  # says which places are taken
        self._file = -1
        if not shared:
            self._map(mmap.mmap(-1, self._head + places * self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            return
        if not hasattr(os, "memfd_create"):
            raise OSError("this system has no memfd_create")
        # It has no name, so that nothing is left behind however the processes end.
        self._file = os.memfd_create("thjax batches")
        try:
            os.ftruncate(self._file, self._head + places * self._size)
            self._map(mmap.mmap(self._file, self._head + places * self._size))
        except OSError:
            self.close()
            raise

    def _map(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._taken = np.frombuffer(memory, np.uint8, self._places)

    def take(self, number: int) -> dict[str, np.ndarray] | None:
        """The arrays of batch `number`, to be filled; None where somebody still holds what lies in its place.

        The place stays taken until it is given back, or until `lease` was called for the batch and its arrays are gone.
        """
        place = number % self._places
        if self._taken[place]:
            return None
        self._taken[place] = 1
        return self._arrays(self._whole(place))

    def lease(self, number: int) -> dict[str, np.ndarray]:
        """The arrays of batch `number`, taken before, here or in a worker; their place is free when they are gone."""
        place = number % self._places
        whole = self._whole(place)
        # All views rest on this one array, so it ends with the last of them.
        weakref.finalize(whole, _free, self._taken, place, os.getpid()).atexit = False
        return self._arrays(whole)

    def give_back(self, number: int) -> None:
        """Frees the place of batch `number`, taken before, in which nothing came to lie."""
        self._taken[number % self._places] = 0

    def _whole(self, place: int) -> np.ndarray:
        return np.frombuffer(self._memory, np.uint8, self._size, self._head + place * self._size)

    def _arrays(self, whole: np.ndarray) -> dict[str, np.ndarray]:
        return {name: whole[self._starts[name] :][: self._sizes[name]].view(dtype).reshape(shape)
                for name, (shape, dtype) in self._shapes.items()}

    def close(self) -> None:
        """No worker can join any more. Arrays that are held stay what they are."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __getstate__(self) -> dict:
        if self._file < 0:
            raise pickle.PicklingError("memory of this process alone, or closed: no other process can write into it")
        return {name: value for name, value in vars(self).items() if name not in ("_memory", "_taken", "_file")} | {
            "_path": f"/proc/{os.getpid()}/fd/{self._file}", "_identity": _identity(self._file)}

    def __setstate__(self, state: dict) -> None:
        path, identity = state.pop("_path"), state.pop("_identity")
        vars(self).update(state, _file=-1)
        # Out of reach, or closed and its number another's: every place seems taken, and batches are made elsewhere.
        self._taken = np.ones(self._places, np.uint8)
        with contextlib.suppress(OSError):
            file = os.open(path, os.O_RDWR)
            try:
                if _identity(file) == identity:
                    self._map(mmap.mmap(file, self._head + self._places * self._size))
            finally:
                os.close(file)


def _free(taken: np.ndarray, place: int, process: int) -> None:
    if os.getpid() == process:  # a process that was forked off may end the arrays that it inherited
        taken[place] = 0


def _identity(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_dev, found.st_ino
