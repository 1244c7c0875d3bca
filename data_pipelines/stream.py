"""Batches of a stream of examples: this host's rows of each, made ahead by threads or worker processes."""

import abc
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import grain
import numpy as np

from data_pipelines.schema import DataError
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import DataSpec


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
        local_batch: examples of this host.
    """

    length: int
    examples: int

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
    def example_at(self, position: int) -> dict[str, np.ndarray]:
        """The example at a position of the global stream, without a batch axis."""

    @abc.abstractmethod
    def describe(self, example_ids: Sequence[int]) -> list[str]:
        """Keys of the clips behind positions of the stream (`example_id`, as long as that has not wrapped)."""

    def batch_at(self, stage_step: int) -> dict[str, np.ndarray]:
        """This host's contiguous rows of the global batch of a step, fields as in `schema.BATCH_FIELDS`."""
        first = stage_step * self.spec.batch + self._first_row
        examples = [self.example_at(first + row) for row in range(self.local_batch)]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    def iterate(self, start_step: int = 0) -> "BatchIterator":
        """Batches from a step on, decoded ahead; close it, or use it in a `with`."""
        return BatchIterator(self, start_step)


class BatchIterator:
    """Endless batches from a step on. An iterator and a context manager.

    Raises:
        DataError: from `next`, when a record is damaged.
    """

    def __init__(self, stream: Stream, start_step: int):
        self._iterator = None
        if not hasattr(grain.DatasetIterator, "close"):
            raise DataError(f"grain {grain.__version__} is too old to feed a training, which needs 0.2.18: the extra "
                            "`track` holds it back, so train in an environment without it (pip install thjax)")
        steps = grain.MapDataset.source(_Steps(stream, start_step))
        config, self._workers = stream.config, stream.config.workers
        if config.workers:
            _accept_unparsed_flags()
            # In a worker one thread makes a batch at a time; the workers are the parallelism.
            batches = steps.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)).mp_prefetch(
                grain.multiprocessing.MultiprocessingOptions(
                    num_workers=config.workers, per_worker_buffer_size=max(1, -(-config.prefetch // config.workers))),
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
        # Workers hand over shared memory: a copy frees it now and not when the interpreter is half gone.
        return {name: np.array(value) for name, value in batch.items()} if self._workers else batch

    def close(self) -> None:
        """Stops threads and worker processes. The iterator is at its end afterwards."""
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            iterator.close()

    def __enter__(self) -> "BatchIterator":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        self.close()


class _Steps(Sequence):
    """The batches from a step on as a source of grain: random access, so no step is replayed."""

    def __init__(self, stream: Stream, start: int):
        self._stream, self._start = stream, start

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return self._stream.batch_at(self._start + step)


def _depend_on_the_loop(worker: int, workers: int) -> None:
    """Makes a worker process live as long as the loop: it survives Ctrl-C and SIGTERM, not its parent."""
    for reaching_the_group in (signal.SIGINT, signal.SIGTERM):
        signal.signal(reaching_the_group, signal.SIG_IGN)  # the loop decides, and wants its batch
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _accept_unparsed_flags() -> None:
    """Tells absl that its flags are parsed: grain's workers read them, and nobody parses them outside absl apps."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
