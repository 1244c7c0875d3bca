"""Writes the shards of a plan with several processes, and accounts for every clip. Their number changes no byte."""

import collections
import concurrent.futures
import dataclasses
import functools
import json
import threading
from collections.abc import Callable
from pathlib import Path

from data_pipelines import guard
from data_pipelines.manifest import Manifest
from data_pipelines.prepare.plan import Plan, below, reasons_of
from data_pipelines.prepare.process import Make, Makers
from data_pipelines.prepare.reasons import BadClip, TooManyBad
from data_pipelines.schema import DataError
from data_pipelines.shard_content import LostClip
from data_pipelines.writer import NotWritten, Shard, Writer
from thjax.core import files

QUARANTINE_FILE = "quarantine.jsonl"
POLL_SECONDS = 0.1
FEW = 20
"""Bad clips that never stop a run before its end."""


class Stopped(Exception):
    """The work was told to stop."""


@dataclasses.dataclass(frozen=True)
class Hands:
    """Who works.

    Attributes:
        workers: processes that make clips; 0 makes them in this process, where a decoder that dies ends the run.
        timeout: seconds that a clip may take.
        rank, nshard: shards with index % nshard == rank are written here; others elsewhere.
    """

    workers: int = 1
    timeout: float = 300.0
    rank: int = 0
    nshard: int = 1

    def __post_init__(self):
        if self.workers < 0 or self.timeout <= 0:
            raise DataError(f"workers {self.workers} must be at least 0 and timeout {self.timeout} above 0")
        if not 0 <= self.rank < self.nshard:
            raise DataError(f"rank {self.rank} must be 0 to {self.nshard - 1}, for nshard is {self.nshard}")

    @property
    def threads(self) -> int:
        """Shards written at once."""
        return max(self.workers, 1)

    def makers(self, make: Make) -> Makers:
        """Processes that call `make`."""
        return Makers(make, bool(self.workers), self.timeout)


@dataclasses.dataclass
class Progress:
    """What has been done, for whoever shows it.

    Attributes:
        clips: of this process's shards.
        done: clips that are written or lost.
        lost: clips lost, by reason.
    """

    clips: int
    done: int = 0
    lost: collections.Counter = dataclasses.field(default_factory=collections.Counter)


def write(plan: Plan, writer: Writer, makers: Makers, hands: Hands = Hands(), max_bad: float = 0.02,
          report: Callable[[Progress], None] = lambda progress: None) -> Manifest | None:
    """Writes what is missing of a plan.

    Args:
        plan: of the corpus.
        writer: of the plan.
        makers: of the clips.
        hands: who works.
        max_bad: share of the clips not excluded that may be bad, found by the reader or here.
        report: called about ten times a second.

    Returns:
        The manifest, or None while other ranks still have shards to write.

    Raises:
        TooManyBad: what is written stays; nothing describes it as a corpus.
        RunStopped: SIGINT or SIGTERM.
        DataError: the disk is full, or PyAV is missing.
    """
    mine = [shard for number, shard in enumerate(plan.shards) if number % hands.nshard == hands.rank]
    rejected = sum(line["status"] == "quarantined" for line in plan.left_out)
    work = _Work(plan, writer, makers, hands.threads, Progress(sum(len(shard.clips) for shard in mine)), rejected,
                 max_bad)
    with guard.alone(plan.directory, hands.rank, hands.nshard), guard.Interruption() as interruption:
        work.run(mine, interruption, report)
        with guard.in_turn(plan.directory):
            return finish(plan, writer, max_bad)


def finish(plan: Plan, writer: Writer, max_bad: float) -> Manifest | None:
    """Counts, and describes the corpus when every shard is there.

    Returns:
        None where a shard is missing.

    Raises:
        TooManyBad: see `write`.
    """
    if not all(writer.shard_path(shard).is_file() for shard in plan.shards):
        return None
    try:
        gathered = writer.gather(plan.shards)
    except NotWritten:
        return None
    lost = gathered.lost + [line for line in plan.left_out if line["status"] == "quarantined"]
    counts = count(plan, gathered.clips, lost)
    _write_lines(plan.directory / QUARANTINE_FILE, sorted(lost, key=lambda line: line["key"]))
    _check_bad(counts["quarantined"], counts["written"] + counts["quarantined"], counts["reasons"], max_bad,
               plan.directory)
    extra = {"counts": counts, "licence": plan.content["licence"], "division": plan.content["division"],
             "settings": plan.content["settings"]}
    if facts := gathered.label_facts():
        extra["label_facts"] = facts
    return writer.describe(plan.shards, gathered, extra, plan.left_out)


def count(plan: Plan, written: int, lost: list[dict]) -> dict:
    """What became of everything that was discovered. The parts sum to the whole, or this raises."""
    excluded = [line for line in plan.left_out if line["status"] == "excluded"]
    counts = {
        "discovered": plan.content["discovered"], "written": written, "quarantined": len(lost),
        "excluded": len(excluded), "removed": plan.content["removed"]["clips"],
        "reasons": reasons_of([*lost, *excluded]),
    }
    parts = sum(counts[name] for name in ("written", "quarantined", "excluded", "removed"))
    if parts != counts["discovered"]:
        raise RuntimeError(f"{plan.directory}: {counts} do not sum to what was discovered")
    return counts


class _Work:
    """Shards in several threads."""

    def __init__(self, plan: Plan, writer: Writer, makers: Makers, threads: int, progress: Progress, rejected: int,
                 max_bad: float):
        self._plan, self._writer, self._makers, self._threads = plan, writer, makers, threads
        self._progress, self._rejected, self._max_bad = progress, rejected, max_bad
        self._lock, self._stop = threading.Lock(), threading.Event()

    def run(self, shards: list[Shard], interruption: guard.Interruption, report: Callable[[Progress], None]) -> None:
        """Writes shards; on an error those under way are given up, finished ones stay."""
        with concurrent.futures.ThreadPoolExecutor(self._threads) as pool:
            pending = {pool.submit(self._write_shard, shard) for shard in shards}
            try:
                while pending:
                    finished, pending = concurrent.futures.wait(pending, POLL_SECONDS,
                                                                concurrent.futures.FIRST_EXCEPTION)
                    for future in finished:
                        future.result()
                    report(self._progress)
                    interruption.check()
                    self._check_bad()
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)

    def _write_shard(self, shard: Shard) -> None:
        if not self._writer.write_shard(shard, functools.partial(self._clip, shard=shard)):
            report = self._writer.report(shard)
            with self._lock:
                self._progress.done += len(shard.clips)
                self._progress.lost.update(line["reason"] for line in report.get("lost", ()))

    def _clip(self, key: str, shard: Shard) -> dict | LostClip:
        if self._stop.is_set():
            raise Stopped
        reference = self._plan.reference(key)
        made = self._makers(reference)
        if isinstance(made, dict):
            made["ledger"]["source"] = self._below(made["ledger"]["source"])
        with self._lock:
            self._progress.done += 1
            if isinstance(made, BadClip):
                self._progress.lost[made.reason] += 1
        if not isinstance(made, BadClip):
            return made
        ledger = {"source": self._below(str(reference.video)), "detail": self._below(made.detail)}
        return LostClip(key, reference.speaker, made.reason, ledger)

    def _below(self, text: str) -> str:
        return below(self._plan.content["wish"]["root"], text)

    def _check_bad(self) -> None:
        bad = self._rejected + sum(self._progress.lost.values())
        if bad >= FEW:
            reasons = self._progress.lost + collections.Counter(
                line["reason"] for line in self._plan.left_out if line["status"] == "quarantined")
            _check_bad(bad, self._plan.clips + self._rejected, reasons, self._max_bad, self._plan.directory)


def _check_bad(bad: int, clips: int, reasons: dict, max_bad: float, directory: Path) -> None:
    if bad > max_bad * clips:
        most = ", ".join(f"{number} {reason}" for reason, number in
                         sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
        raise TooManyBad(f"{bad} of {clips} clips are bad ({most}), more than --max-bad {max_bad:g} allows; "
                         f"{QUARANTINE_FILE} in {directory} lists them when all are tried. Mend them and run again "
                         "with --rescan, or accept them with a larger --max-bad: what is written stays")


def _write_lines(path: Path, lines: list[dict]) -> None:
    with files.whole(path) as temporary:
        temporary.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


