"""Several corpora as one stream: a weight for each, and each in epochs of its own.

`--data grid=0.7,lrw=0.3` draws 70 of 100 examples from the first corpus. Which corpus an example comes from is a pure
function of its position: blocks of 1,024 positions hold every corpus in its exact share, in an order that is shuffled
for each block. Its place in that corpus's own order is the number of its examples before it, so that every corpus is
gone through epoch by epoch, whatever its size beside the others.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipelines.loader import KEPT_BYTES, Loader
from data_pipelines.manifest import Manifest
from data_pipelines.order import permutation
from data_pipelines.schema import DataError
from data_pipelines.stream import Stream
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import DataSpec
from thjax.core.files import fingerprint

BLOCK = 1024
"""Positions that hold every corpus in its share: weights count in steps of a thousandth."""
_ORDER_OF_BLOCKS = 2**40
"""Added to the seed, so that blocks are not shuffled as a corpus of 1,024 records is."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A corpus of a mixture.

    Attributes:
        directory: of the corpus.
        weight: its share of the examples, relative to the others'; None: in proportion to its records.
    """

    directory: Path
    weight: float | None = None


def parse(text: str) -> tuple[Part, ...]:
    """`DIR`, or `DIR=WEIGHT,DIR=WEIGHT`: all corpora have a weight, or none. A directory of that very name is one.

    Raises:
        DataError: a weight is no number above zero, only some have one, or a corpus comes twice.
    """
    if Path(text).is_dir():
        return (Part(Path(text)),)
    parts = []
    for piece in text.split(","):
        directory, equals, weight = piece.partition("=")
        try:
            number = float(weight) if equals else None
        except ValueError:
            number = math.nan
        if not directory or number is not None and not (math.isfinite(number) and number > 0):
            raise DataError(f"--data {text}: {piece!r} must be DIR or DIR=WEIGHT with a weight above 0, for example "
                            "grid=0.7,lrw=0.3")
        parts.append(Part(Path(directory), number))
    if len({part.weight is None for part in parts}) > 1:
        raise DataError(f"--data {text}: some corpora have a weight and some have none; give one to all or to none")
    if len({part.directory.resolve() for part in parts}) < len(parts):
        raise DataError(f"--data {text}: a corpus comes twice; give it once, with the sum of the weights")
    return tuple(parts)


def mixture_hash(parts: Sequence[Part]) -> str:
    """What a run is trained on: a corpus's own hash, or that of all corpora and weights in order."""
    hashes = [Manifest.load(part.directory).hash for part in parts]
    if len(parts) == 1:
        return hashes[0]
    return fingerprint([[found, part.weight] for found, part in zip(hashes, parts, strict=True)])


def shares(weights: Sequence[float]) -> np.ndarray:
    """Examples of each corpus in a block, `[K]`, by largest remainders; they sum to `BLOCK`.

    Raises:
        DataError: a corpus would have none.
    """
    wanted = BLOCK * np.asarray(weights, np.float64) / sum(weights)
    counts = np.floor(wanted).astype(np.int64)
    most_left = np.argsort(counts - wanted, kind="stable")[: BLOCK - counts.sum()]
    counts[most_left] += 1
    if (counts == 0).any():
        few = int(np.argmin(counts))
        raise DataError(f"corpus {few + 1} of the mixture has {weights[few] / sum(weights):.2g} of the weight, less "
                        f"than one example in {BLOCK}; give it more, or leave it out")
    return counts


def _check_coefficients(loaders: Sequence[Loader]) -> None:
    first = loaders[0].manifest
    for other in (loader.manifest for loader in loaders[1:]):
        if other.coefficients != first.coefficients:
            raise DataError(f"coefficients of {first.directory} ({_some(first.coefficients)}) and of {other.directory} "
                            f"({_some(other.coefficients)}) are not the same; label both with one face model, or leave "
                            "the field 'coefficients' out")


def _some(names: Sequence[str]) -> str:
    return f"{len(names)}: {', '.join(names[:3])}" + (" ..." if len(names) > 3 else "")


class Mixture(Stream):
    """This host's share of every batch of several corpora. Arguments as `Loader`, with `Part`s for the directory.

    Speakers are numbered through: those of the second corpus follow those of the first.

    Raises:
        DataError: a corpus cannot be used, or would never be drawn.

    Attributes:
        loaders: of the corpora.
    """

    def __init__(self, parts: Sequence[Part], spec: DataSpec, seed: int = 0, process_index: int = 0,
                 process_count: int = 1, config: LoaderConfig = LoaderConfig()):
        super().__init__(spec, process_index, process_count, config)
        room, self._seed = KEPT_BYTES // len(parts), seed
        make = lambda part, length: Loader(part.directory, spec, seed, process_index, process_count, config, room,
                                           length)
        self.loaders = [make(part, 0) for part in parts]
        self.length = max(loader.length for loader in self.loaders)
        self.loaders = [loader if loader.length == self.length else make(part, self.length)
                        for part, loader in zip(parts, self.loaders, strict=True)]
        self.coefficients = self.loaders[0].coefficients
        if "coefficients" in spec.fields:
            _check_coefficients(self.loaders)
        self._counts = shares([loader.examples if part.weight is None else part.weight
                               for part, loader in zip(parts, self.loaders, strict=True)])
        speakers = [len(loader.manifest.speakers) for loader in self.loaders]
        self._first_speaker = np.cumsum([0, *speakers[:-1]])

    @property
    def examples(self) -> int:
        """Records of the split in all corpora."""
        return sum(loader.examples for loader in self.loaders)

    def example_at(self, position: int, frames: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The example at a position of the global stream, without a batch axis; see `Stream`."""
        which, place = self.source_at(position)
        example = self.loaders[which].drawn(place, position, frames)
        if "speaker" in example:
            example["speaker"] = np.int32(example["speaker"] + self._first_speaker[which])
        return example

    def describe(self, example_ids: Sequence[int]) -> list[str]:
        """Keys of the clips behind positions of the stream."""
        sources = (self.source_at(int(position)) for position in example_ids)
        return [self.loaders[which].key_at(place) for which, place in sources]

    def source_at(self, position: int) -> tuple[int, int]:
        """Number of the corpus that a position draws from, and the place in that corpus's own order."""
        block, offset = divmod(position, BLOCK)
        which, before = _block(tuple(self._counts), self._seed, block)
        return int(which[offset]), int(block * self._counts[which[offset]] + before[offset])


@functools.lru_cache(maxsize=8)
def _block(counts: tuple[int, ...], seed: int, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the positions of a block: number of the corpus `[BLOCK]`, and examples of that corpus before it `[BLOCK]`."""
    sorted_by_corpus = np.repeat(np.arange(len(counts)), counts)
    which = sorted_by_corpus[permutation(BLOCK, seed + _ORDER_OF_BLOCKS, block)]
    before = np.empty(BLOCK, np.int64)
    for number in range(len(counts)):
        mine = np.flatnonzero(which == number)
        before[mine] = np.arange(len(mine))
    return which, before
