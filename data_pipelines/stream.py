"""Batches of a stream of examples: this host's rows of each, made ahead by threads or worker processes."""

import abc
import dataclasses
import os
import signal
import warnings
from collections.abc import Iterator, Sequence

import grain
import numpy as np

from data_pipelines import schema
from data_pipelines.batch_memory import BatchMemory, Shapes
from data_pipelines.schema import DataError
from thjax.core import processes
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import DataSpec

_STEPS_THAT_RUN = 3
"""Whose batches may still be held when the next is asked for."""


class Stream(abc.ABC):
    """Examples by their position in a global stream, and batches of them. A subclass says what an example is.

    Args:
        spec: what an example holds.
        process_index: of this host.
        process_count: hosts that share a batch.
        config: workers and prefetching.

    Raises:
        DataError: the batch does not divide over the hosts.

    Attributes:
        spec: as given.
        config: as given.
        length: T, frames of an example.
        examples: of an epoch.
        coefficients: K, of the corpus's morphable head; 0 without.
        local_batch: examples of this host.
    """

    length: int
    examples: int
    coefficients: int

    def __init__(self, spec: DataSpec, process_index: int, process_count: int, config: LoaderConfig):
        if spec.batch % process_count:
            raise DataError(f"batch {spec.batch} does not divide over {process_count} hosts; use a multiple of "
                            f"{process_count}")
        if not 0 <= process_index < process_count:
            raise DataError(f"process index {process_index} must be 0 to {process_count - 1}")
        self.spec, self.config = spec, config
        self.local_batch = spec.batch // process_count
        self._first_row = process_index * self.local_batch

    @property
    def batches_per_epoch(self) -> float:
        """Steps of an epoch; the stream does not stop at its end, so this may be a fraction."""
        return self.examples / self.spec.batch

    @abc.abstractmethod
    def example_at(self, position: int, frames: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The example at a position of the global stream, without a batch axis.

        Args:
            position: of the stream.
            frames: memory that its frames may be made in, uint8 `[T, H, W, 3]`; None takes new memory.
        """

    @abc.abstractmethod
    def describe(self, example_ids: Sequence[int]) -> list[str]:
        """Keys of the clips behind positions of the stream (`example_id`, as long as that has not wrapped)."""

    def batch_at(self, stage_step: int, out: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """This host's contiguous rows of the global batch of a step, fields as in `schema.BATCH_FIELDS`.

        Args:
            stage_step: of the stage.
            out: arrays of `batch_shapes` that are filled; None takes new memory.
        """
        if out is None:
            out = {name: np.empty(shape, dtype) for name, (shape, dtype) in self.batch_shapes().items()}
        first = stage_step * self.spec.batch + self._first_row
        for row in range(self.local_batch):
            # Frames are nearly all there is to copy: as they are stored, they are decoded where they stay.
            place = out["frames"][row] if "frames" in out else None
            example = self.example_at(first + row, place)
            for name, values in out.items():
                if example[name] is not place:
                    values[row] = example[name]
        return out

    def batch_shapes(self) -> Shapes:
        """{field: (shape, dtype)} of this host's rows of a batch."""
        shapes = schema.example_shapes(self.spec, self.length, self.coefficients)
        return {name: ((self.local_batch, *shape), dtype) for name, (shape, dtype) in shapes.items()}

    def iterate(self, start_step: int = 0) -> "BatchIterator":
        """Batches from a step on, decoded ahead; close it, or use it in a `with`."""
        return BatchIterator(self, start_step)


class BatchIterator:
    """Endless batches from a step on. An iterator and a context manager.

    Raises:
        DataError: from `next`, when a record is damaged.
    """

    def __init__(self, stream: Stream, start_step: int):
        self._iterator = self._memory = None
        if not hasattr(grain.DatasetIterator, "close"):
            raise DataError(f"grain {grain.__version__} is too old to feed a training, which needs 0.2.18: the extra "
                            "`track` holds it back, so train in an environment without it (pip install thjax)")
        config, self._workers = stream.config, stream.config.workers
        self._memory = _memory_for(stream)
        steps = grain.MapDataset.source(_Steps(stream, start_step, self._memory))
        if config.workers:
            _accept_unparsed_flags()
            # In a worker its one thread makes the batches: another beside it would cost a third of its time.
            batches = steps.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)).mp_prefetch(
                grain.multiprocessing.MultiprocessingOptions(
                    num_workers=config.workers, per_worker_buffer_size=_ahead_of_each(config)),
                worker_init_fn=_depend_on_the_loop)
        else:
            # grain's own default, 16 threads and 500 elements, is made for elements of some KiB.
            ahead = config.prefetch
            batches = steps.to_iter_dataset(grain.ReadOptions(num_threads=ahead, prefetch_buffer_size=ahead))
        self._iterator = iter(batches)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        if self._iterator is None:
            raise StopIteration
        batch = next(self._iterator)
        if isinstance(batch, _Placed):
            return self._memory.lease(batch.number)
        # Workers hand over shared memory: a copy frees it now and not when the interpreter is half gone.
        return {name: np.array(value) for name, value in batch.items()} if self._workers else batch

    def close(self) -> None:
        """Stops threads and worker processes. The iterator is at its end afterwards."""
        iterator, self._iterator = self._iterator, None
        try:
            if iterator is not None:
                iterator.close()
        finally:
            if self._memory is not None:
                self._memory.close()

    def __enter__(self) -> "BatchIterator":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        self.close()


@dataclasses.dataclass(frozen=True)
class _Placed:
    """A batch that a worker process made in shared memory."""

    number: int


class _Steps(Sequence):
    """The batches from a step on as a source of grain: random access, so no step is replayed."""

    def __init__(self, stream: Stream, start: int, memory: BatchMemory | None):
        self._stream, self._start, self._memory = stream, start, memory

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, number: int) -> dict[str, np.ndarray] | _Placed:
        place = self._memory.take(number) if self._memory else None
        in_worker = self._stream.config.workers > 0
        if place is not None and not in_worker:
            place = self._memory.lease(number)
        batch = self._stream.batch_at(self._start + number, place)
        if place is None or not in_worker:
            return batch
        if batch is place:
            return _Placed(number)
        own = {name: np.array(value) for name, value in batch.items()}  # parts of it may lie in the place
        self._memory.give_back(number)
        return own


def _ahead_of_each(config: LoaderConfig) -> int:
    """Batches that are kept ahead of each worker."""
    return max(1, -(-config.prefetch // config.workers))


def _memory_for(stream: Stream) -> BatchMemory | None:
    """Places for the batches that are under way at once, and for those of the steps that run."""
    config = stream.config
    # Of each worker as many wait on its side as on this, and on both sides one is in somebody's hands.
    under_way = config.workers * 2 * (_ahead_of_each(config) + 1) if config.workers else config.prefetch + 1
    try:
        return BatchMemory(stream.batch_shapes(), under_way + _STEPS_THAT_RUN, shared=config.workers > 0)
    except OSError as error:
        warnings.warn(f"every batch takes memory of its own, which feeds more slowly: {error}", stacklevel=2)
        return None


def _depend_on_the_loop(worker: int, workers: int) -> None:
    """Makes a worker process live as long as the loop: it survives Ctrl-C and SIGTERM, not its parent."""
    processes.belong_to(os.getppid())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # reaches the group, too: the loop decides, and wants its batch


def _accept_unparsed_flags() -> None:
    """Tells absl that its flags are parsed: grain's workers read them, and nobody parses them outside absl apps."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
