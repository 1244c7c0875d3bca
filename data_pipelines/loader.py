"""Batches as a pure function of the position in the stream, on grain.

`ds[position]` is the example at `position = stage_step * batch + row`: a seeded global shuffle, a new one each epoch,
says which record; (seed, position) alone key the window, the still and the mirror. Host h of n reads the rows
h * batch / n to (h + 1) * batch / n, so 1, 2 and 4 hosts see the same global batch, and starting at any step reads
nothing before it. Worker processes and prefetching change the speed, never a byte.
"""

import functools
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import grain
import numpy as np

from data_pipelines import records
from data_pipelines.examples import ExampleMaker, KeptCrops, check_fields, coefficient_mirror
from data_pipelines.manifest import Manifest
from data_pipelines.order import ShuffledOrder
from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import DataSpec

HASHED_AT_START = 2**30
"""Corpora of up to this many bytes are hashed when a loader opens them (a second); larger ones by `Manifest.verify`."""


KEPT_BYTES = 512 * 2**20
"""A split whose records and cropped frames fit in here is read and decoded once, unless worker processes decode."""


class Loader:
    """This host's share of every batch.

    Args:
        data_dir: directory of the corpus.
        spec: what an example holds.
        seed: of order and augmentation.
        process_index: of this host.
        process_count: hosts that share a batch.
        config: workers and prefetching.
        kept_bytes: instead of `KEPT_BYTES`; 0 reads and decodes every time.

    Raises:
        DataError: the corpus is damaged or lacks a split or field, or the batch does not divide over the hosts.

    Attributes:
        manifest: of the corpus.
        spec: as given.
        length: T, frames of an example.
        local_batch: examples of this host.
    """

    def __init__(self, data_dir, spec: DataSpec, seed: int = 0, process_index: int = 0, process_count: int = 1,
                 config: LoaderConfig = LoaderConfig(), kept_bytes: int | None = None):
        if spec.batch % process_count:
            raise DataError(f"batch {spec.batch} does not divide over {process_count} hosts; use a multiple of "
                            f"{process_count}")
        if not 0 <= process_index < process_count:
            raise DataError(f"process index {process_index} must be 0 to {process_count - 1}")
        self.manifest = open_corpus(data_dir, spec)
        self.spec, self.config, self.seed = spec, config, seed
        self.local_batch = spec.batch // process_count
        self._first_row = process_index * self.local_batch
        self._rows = self.manifest.rows(spec.split)
        if not len(self._rows):
            raise DataError(f"{data_dir}: split {spec.split!r} is empty; write clips for it or choose another")
        self._order = ShuffledOrder(self._rows, seed)
        longest = int(self.manifest.index["n"][self._rows].max())
        self.length = spec.window or -(-longest // spec.stride)
        maker = ExampleMaker(spec, seed, self.length, coefficient_mirror(spec, self.manifest))
        room = KEPT_BYTES if kept_bytes is None else kept_bytes
        self._records = _RecordReader(self.manifest, maker, keep=not config.workers and self._size() <= room)

    def _size(self) -> int:
        """Bytes of the split's records and cropped frames."""
        stored = sum(shard["bytes"] for shard in self.manifest.content["shards"] if shard["split"] == self.spec.split)
        crop = self.spec.crop
        return stored + int(self.manifest.index["n"][self._rows].sum()) * crop.height * crop.width * 3

    @functools.cached_property
    def _dataset(self) -> grain.MapDataset:
        return grain.MapDataset.source(self._order).map_with_index(self._records.example)

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_dataset"}

    @property
    def examples(self) -> int:
        """Records of the split: examples of an epoch."""
        return len(self._rows)

    @property
    def batches_per_epoch(self) -> float:
        """Steps of an epoch; the stream does not stop at its end, so this may be a fraction."""
        return self.examples / self.spec.batch

    def example_at(self, position: int) -> dict[str, np.ndarray]:
        """The example at a position of the global stream, without a batch axis."""
        return self._dataset[position]

    def batch_at(self, stage_step: int) -> dict[str, np.ndarray]:
        """This host's contiguous rows of the global batch of a step, fields as in `schema.BATCH_FIELDS`."""
        first = stage_step * self.spec.batch + self._first_row
        examples = [self._dataset[first + row] for row in range(self.local_batch)]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    def iterate(self, start_step: int = 0) -> "BatchIterator":
        """Batches from a step on, decoded ahead; close it, or use it in a `with`."""
        return BatchIterator(self, start_step)

    def describe(self, example_ids: Sequence[int]) -> list[str]:
        """Keys of the clips behind positions of the stream (`example_id`, as long as that has not wrapped)."""
        return [self.manifest.clip_key(self._order[int(position)]) for position in example_ids]


class BatchIterator:
    """Endless batches from a step on. An iterator and a context manager.

    Raises:
        DataError: from `next`, when a record is damaged.
    """

    def __init__(self, loader: Loader, start_step: int):
        steps = grain.MapDataset.source(_Steps(loader, start_step))
        self._iterator, self._workers = None, loader.config.workers
        config = loader.config
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


class Clips(Sequence):
    """Whole clips of a split in a fixed order, for evaluation: a sequence of examples without a batch axis.

    Window and mirror of the spec do not apply; every example has the frames of the longest chosen clip, `valid` 0 after
    the clip's end; `example_id` is its place in this sequence; the still is the clip's first frame with a face.

    Attributes:
        manifest: of the corpus.
        keys: of the clips.
        speakers: name of each clip's speaker.
        length: T, frames of every example.
    """

    def __init__(self, data_dir, split: str, spec: DataSpec, limit: int | None = None):
        self.manifest = open_corpus(data_dir, spec)
        index, rows = self.manifest.index, self.manifest.rows(split)
        numbers, starts = np.unique(index["clip"][rows], return_index=True)
        segments = np.split(rows, starts[1:]) if len(rows) else []
        if limit and limit < len(numbers):
            # Spread over the split, so that a few clips still show many speakers.
            segments = [segments[i * len(numbers) // limit] for i in range(limit)]
        self._segments = segments
        self.keys = [self.manifest.clip_key(rows[0]) for rows in segments]
        self.speakers = [self.manifest.speakers[index["speaker"][rows[0]]] for rows in segments]
        longest = max((int(index["n"][rows].sum()) for rows in segments), default=0)
        self.length = -(-longest // spec.stride)
        self._records = _RecordReader(self.manifest, ExampleMaker(spec, 0, self.length))

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"clip {number} of {len(self)}")
        return self._records.clip(self._segments[number], number % len(self))

    def batch(self, numbers: Sequence[int]) -> dict[str, np.ndarray]:
        """Several clips with a batch axis in front."""
        examples = [self[number] for number in numbers]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


def clips(data_dir, split: str, spec: DataSpec, limit: int | None = None) -> Clips:
    """Whole clips of a split in a fixed order.

    Args:
        data_dir: directory of the corpus.
        split: of its manifest.
        spec: fields, stride and crop; its split, window and mirror do not apply.
        limit: at most so many, spread over the split; None or 0 takes all.
    """
    return Clips(data_dir, split, spec, limit)


def open_corpus(data_dir, spec: DataSpec) -> Manifest:
    """Loads and checks a corpus and that it has what the spec asks for.

    Raises:
        DataError: names the file or field and the way out.
    """
    manifest = Manifest.load(data_dir)
    check_fields(spec, manifest)
    if manifest.bytes <= HASHED_AT_START:
        manifest.verify()
    return manifest


class _RecordReader:
    """Rows of the index to examples.

    Args:
        manifest: of the corpus.
        maker: of the examples.
        keep: whether records and their cropped frames stay in memory once they were used.
    """

    def __init__(self, manifest: Manifest, maker: ExampleMaker, keep: bool = False):
        self._index, self._maker = manifest.index, maker
        self._keep, self._kept = keep, {}
        self.shards = ShardReader([manifest.directory / shard["name"] for shard in manifest.content["shards"]])

    def example(self, position: int, row: int) -> dict[str, np.ndarray]:
        return self._maker.sampled(self._record(row), self._index["speaker"][row], position)

    def clip(self, rows: Sequence[int], number: int) -> dict[str, np.ndarray]:
        return self._maker.whole([self._record(row) for row in rows], self._index["speaker"][rows[0]], number)

    def _record(self, row: int) -> dict:
        if row in self._kept:
            return self._kept[row]
        data = self.shards.read(int(self._index["shard"][row]), int(self._index["offset"][row]))
        record = records.decode(data, self._maker.labels)
        if not self._keep:
            return record
        crop = self._maker.spec.crop
        record["crops"] = KeptCrops(record["n"], crop.height, crop.width)
        return self._kept.setdefault(row, record)


class _Steps(Sequence):
    """The batches from a step on as a source of grain: random access, so no step is replayed."""

    def __init__(self, loader: Loader, start: int):
        self._loader, self._start = loader, start

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return self._loader.batch_at(self._start + step)


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
