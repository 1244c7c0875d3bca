"""One pass over clips: true ones in, rows made, measurements out, a block at a time, so that memory stays bounded.

A host uses its cores by threads over the clips of a block: array functions and compiled networks leave Python's lock.
The clips of a block are dealt to its devices; hosts share an evaluation by `--shard I/N`, a process each.
"""

import concurrent.futures
import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import jax
import numpy as np

from thjax.core.errors import UserError
from thjax.evaluate import devices
from thjax.evaluate.collected import TRUTH, Clip, Collected
from thjax.evaluate.controls import ClipSet
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import Measurement, features_of
from thjax.evaluate.measures.onsets import onsets
from thjax.evaluate.measures.sheet import mean_of
from thjax.evaluate.truth import ClipTruth

SHOWN_CLIPS = 4
"""Clips, spread over the split, whose frames are kept for pictures."""
BLOCK_CLIPS = 12
"""Clips in memory at once, and the unit in which shards share them: a sampler's batch is the same in any shard."""
Takes = Sequence[Sequence[np.ndarray | None]]
"""Takes of the clips of a block, each [T, H, W, 3] uint8, over which metrics are averaged; None where none was made."""
Measure = Callable[[str, ClipTruth, np.ndarray], Measurement]
"""(row, truth, made frames) -> measurements."""
Report = Callable[[str], None]


class Source(Protocol):
    """Where true clips and rows come from."""

    total: int
    """Clips of the whole."""

    def truths(self, numbers: Sequence[int]) -> dict[int, ClipTruth]:
        """The true clips among these numbers that can be judged."""

    def rows(self, truths: dict[int, ClipTruth]) -> Iterable[tuple[str, Callable[[], Takes]]]:
        """Names of the rows in order, each with the function that makes it for these clips."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, from 1."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Of the form `2/4`.

        Raises:
            UserError: of another form, or outside the count.
        """
        first, slash, second = text.partition("/")
        if not (slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
            raise UserError(f"shard {text!r} must be I/N with 1 <= I <= N, for example 2/4")
        return cls(int(first), int(second))

    def blocks(self, total: int) -> list[range]:
        """The blocks of clips that are this shard's, of all `total`."""
        starts = range(0, total, BLOCK_CLIPS)[self.index - 1 :: self.count]
        return [range(start, min(start + BLOCK_CLIPS, total)) for start in starts]


@dataclasses.dataclass
class Shown:
    """A few clips of which all rows are kept, for pictures.

    Attributes:
        truths: of these clips.
        videos: {row: first take of each clip [T, H, W, 3]}, in the same order.
    """

    truths: list[ClipTruth] = dataclasses.field(default_factory=list)
    videos: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)

    @property
    def clips(self) -> ClipSet:
        """As contact sheets take them; a list for each field, for clips may differ in length."""
        truths = self.truths
        return ClipSet(
            keys=[t.key for t in truths], speakers=[t.speaker for t in truths], frames=[t.frames for t in truths],
            stills=[t.still for t in truths], audio=[t.audio for t in truths],
            valid=[np.ones(len(t.frames), np.float32) for t in truths], landmarks=None,
        )


def shown_numbers(total: int) -> set[int]:
    """Numbers of the clips that pictures show."""
    return set(np.linspace(0, total - 1, SHOWN_CLIPS).astype(int).tolist()) if total else set()


def collect(source: Source, measure: Measure, judges: Judges, shard: Shard, collected: Collected,
            report: Report = lambda message: None) -> Shown:
    """Measures the clips of a shard into `collected`.

    Args:
        source: of clips and rows.
        measure: of one clip of a row.
        judges: also looked through for the true clips' own heads and faces.
        shard: which of the clips.
        collected: takes the measurements.
        report: called with what is done next.

    Returns:
        The clips to show.
    """
    shown, numbers_shown = Shown(), shown_numbers(source.total)
    with concurrent.futures.ThreadPoolExecutor(max(cores(), jax.local_device_count())) as pool:
        for block in shard.blocks(source.total):
            where = f"clips {block[0] + 1} to {block[-1] + 1} of {source.total}"
            report(f"{where}: reading")
            truths = source.truths(block)
            _look_at(truths, judges, collected, pool)
            kept = [position for position, number in enumerate(truths) if number in numbers_shown]
            shown.truths += [list(truths.values())[position] for position in kept]
            for row, make in source.rows(truths) if truths else ():
                report(f"{where}: {row}")
                takes = make()
                for number, measured in zip(truths, _measured(row, list(truths.values()), takes, measure, pool),
                                            strict=True):
                    collected.add(row, number, measured)
                shown.videos.setdefault(row, []).extend(takes[0][position] for position in kept)
    return shown


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _look_at(truths: dict[int, ClipTruth], judges: Judges, collected: Collected, pool) -> None:
    """Enters the true clips, with the head angles and faces that the judges see."""
    def look(place: int, truth: ClipTruth):
        with devices.dealt(place):
            seen = truth.seen(judges)
            angles = None if seen.track is None else seen.angles
            beats = None if angles is None else onsets(truth.audio)
            return angles, beats, features_of(truth, seen, judges)

    looks = pool.map(look, range(len(truths)), truths.values())
    for (number, truth), (angles, beats, features) in zip(truths.items(), looks, strict=True):
        collected.clips[number] = Clip(truth.key, truth.speaker, angles, beats, len(truth.frames))
        collected.add_features(TRUTH, features)


def _measured(row: str, truths: list[ClipTruth], takes: Takes, measure: Measure, pool) -> Iterable[Measurement]:
    """The mean over takes of every clip, in order. One thread has one clip, whose truth is looked at once."""
    def one(position: int) -> Measurement:
        truth = truths[position]
        made = [take[position] for take in takes if take[position] is not None]
        if not made:
            return Measurement(left_out={"the whole row": "nothing was made, such as no other clip of this size"})
        with devices.dealt(position):
            return mean_of([measure(row, truth, frames[: len(truth.frames)]) for frames in made])

    return pool.map(one, range(len(truths)))
