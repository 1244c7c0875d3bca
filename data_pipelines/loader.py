"""Batches as a pure function of the position in the stream, made ahead by grain.

`example_at(position)` is the example at `position = stage_step * batch + row`: a seeded global shuffle, a new one each
epoch, says which record; (seed, position) alone key the window, the still and the mirror. Host h of n reads the rows
h * batch / n to (h + 1) * batch / n, so 1, 2 and 4 hosts see the same global batch, and starting at any step reads
nothing before it. Worker processes and prefetching change the speed, never a byte.
"""

from collections.abc import Sequence

import numpy as np

from data_pipelines import records
from data_pipelines.examples import ExampleMaker, KeptCrops, as_stored, check_fields, coefficient_mirror
from data_pipelines.manifest import Manifest
from data_pipelines.order import BalancedOrder, ShuffledOrder
from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader
from data_pipelines.stream import Stream
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import DataSpec

HASHED_AT_START = 2**30
"""Corpora of up to this many bytes are hashed when a loader opens them (a second); larger ones by `Manifest.verify`."""


KEPT_BYTES = 512 * 2**20
"""A split whose records and cropped frames fit in here is read and decoded once, unless worker processes decode."""


class Loader(Stream):
    """This host's share of every batch.

    Args:
        data_dir: directory of the corpus.
        spec: what an example holds.
        seed: of order and augmentation.
        process_index: of this host.
        process_count: hosts that share a batch.
        config: workers and prefetching.
        kept_bytes: instead of `KEPT_BYTES`; 0 reads and decodes every time.
        length: frames of an example; 0: the window's, or those of the longest record where the window is 0.

    Raises:
        DataError: the corpus is damaged or lacks a split or field, or the batch does not divide over the hosts.

    Attributes:
        manifest: of the corpus.
        spec: as given.
        length: T, frames of an example.
        local_batch: examples of this host.
    """

    def __init__(self, data_dir, spec: DataSpec, seed: int = 0, process_index: int = 0, process_count: int = 1,
                 config: LoaderConfig = LoaderConfig(), kept_bytes: int | None = None, length: int = 0):
        super().__init__(spec, process_index, process_count, config)
        self.manifest, self.seed = open_corpus(data_dir, spec), seed
        self._rows = self.manifest.rows(spec.split)
        if not len(self._rows):
            raise DataError(f"{data_dir}: split {spec.split!r} is empty; write clips for it or choose another")
        self._order = order_of(self.manifest, spec, seed)
        longest = int(self.manifest.index["n"][self._rows].max())
        self.length = length or spec.window or -(-longest // spec.stride)
        self.coefficients = len(self.manifest.coefficients)
        mirror = coefficient_mirror(spec, self.manifest)
        maker = ExampleMaker(as_stored(spec, self.manifest), seed, self.length, mirror)
        room = KEPT_BYTES if kept_bytes is None else kept_bytes
        self._records = _RecordReader(self.manifest, maker, keep=not config.workers and self._size() <= room)

    def _size(self) -> int:
        """Bytes of the split's records and, where they are asked for, cropped frames."""
        stored = sum(shard["bytes"] for shard in self.manifest.content["shards"] if shard["split"] == self.spec.split)
        if not {"frames", "still"} & set(self.spec.fields):
            return stored
        crop = self.spec.crop
        return stored + int(self.manifest.index["n"][self._rows].sum()) * crop.height * crop.width * 3

    @property
    def examples(self) -> int:
        """Records of the split: examples of an epoch."""
        return len(self._rows)

    def example_at(self, position: int, frames: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The example at a position of the global stream, without a batch axis; see `Stream`."""
        return self.drawn(position, position, frames)

    def drawn(self, place: int, position: int, frames: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The example whose record is at `place` of this corpus's own order, drawn for `position` of a stream."""
        return self._records.example(position, self._order[place], frames)

    def key_at(self, place: int) -> str:
        """Key of the clip at `place` of this corpus's own order."""
        return self.manifest.clip_key(self._order[place])

    def describe(self, example_ids: Sequence[int]) -> list[str]:
        """Keys of the clips behind positions of the stream (`example_id`, as long as that has not wrapped)."""
        return [self.key_at(int(position)) for position in example_ids]


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
        self._records = _RecordReader(self.manifest, ExampleMaker(as_stored(spec, self.manifest), 0, self.length))

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


def order_of(manifest: Manifest, spec: DataSpec, seed: int) -> Sequence[int]:
    """Rows of the index by their place in the stream of examples."""
    rows = manifest.rows(spec.split)
    if spec.order == "speakers":
        return BalancedOrder(rows, manifest.index["speaker"][rows], seed)
    return ShuffledOrder(rows, seed)


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

    def example(self, position: int, row: int, frames: np.ndarray | None) -> dict[str, np.ndarray]:
        return self._maker.sampled(self._record(row), self._index["speaker"][row], position, frames)

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
