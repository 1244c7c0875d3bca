"""Writes the embedded corpus with several processes. Their number changes nothing but the time.

The unit of work is a shard, whose clips the plan fixes. Finished shards are kept when the work is interrupted, and the
same settings go on from there.
"""

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from data_pipelines import guard
from data_pipelines.manifest import Manifest
from data_pipelines.synthetic import corpus as corpus_module
from data_pipelines.synthetic import features
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.render import COEFFICIENT_NAMES
from data_pipelines.synthetic.settings import DATASET, Corpus
from data_pipelines.writer import Shard, Writer
from thjax.core import processes
from thjax.core.errors import UserError
from thjax.face3d import lighting

MIN_CLIPS_PER_SHARD, MAX_CLIPS_PER_SHARD = 12, 256
SHARDS_AIMED_AT = 64
POLL_SECONDS = 0.1
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ODD_COEFFICIENTS = tuple(
    f"light_{channel}{index}" for index, sign in enumerate(lighting.MIRROR_SIGNS) if sign < 0 for channel in "rgb"
) + ("Tx", "Ry", "Rz", "gaze_x")
"""Coefficients whose sign changes in a mirror; shapes, expressions and albedo have no sides."""


class Stopped(Exception):
    """The work was told to stop."""


def make_writer(corpus: Corpus, directory: Path, espeak_version: str, rebuild: str = "", pixels: bool = True) -> Writer:
    """The writer of this corpus, or of its feature records."""
    source = corpus_module.source(corpus, espeak_version)
    if not pixels:
        return Writer(directory, dataset=DATASET, size=0, codec="none", source=source, rebuild=rebuild)
    return Writer(directory, dataset=DATASET, size=corpus.size, source=source, rebuild=rebuild,
                  coefficients=COEFFICIENT_NAMES, odd_coefficients=ODD_COEFFICIENTS)


def plan(corpus: Corpus, writer: Writer) -> list[Shard]:
    """Shards of the corpus: small enough to share out, few enough to open. Depends on the settings alone."""
    wanted = len(corpus.places) // SHARDS_AIMED_AT
    return writer.plan(corpus.clip_keys(), corpus.seed, min(max(wanted, MIN_CLIPS_PER_SHARD), MAX_CLIPS_PER_SHARD))


def write(corpus: Corpus, directory: Path, workers: int, rebuild: str = "",
          report: Callable[[int, int], None] = lambda done, clips: None, pixels: bool = True) -> Manifest:
    """Writes the corpus, or what is missing of it.

    Args:
        corpus: settings.
        directory: of the corpus.
        workers: processes that make clips, at least 1.
        rebuild: the command that error messages name later.
        report: called with (clips done, clips of the corpus) about ten times a second.
        pixels: False renders nothing and writes feature records.

    Returns:
        The manifest of the finished corpus.

    Raises:
        SpeechError: espeak-ng cannot be loaded.
        UserError: another process writes there, or a worker was killed.
        RunStopped: SIGINT or SIGTERM; finished shards stay.
    """
    if workers < 1:
        raise ValueError(f"workers {workers} must be at least 1")
    with Espeak() as espeak:
        version = espeak.version
    with guard.alone(directory), guard.Interruption() as interruption:
        writer = make_writer(corpus, directory, version, rebuild, pixels)
        shards = plan(corpus, writer)
        missing = [shard for shard in shards if not writer.is_done(shard)]
        done = len(corpus.places) - sum(len(shard.clips) for shard in missing)
        if missing:
            _write_shards(corpus, writer, missing, min(workers, len(missing)), interruption,
                          lambda more: report(done + more, len(corpus.places)))
        return writer.finish(shards)


def _write_shards(corpus: Corpus, writer: Writer, shards: list[Shard], workers: int, interruption: guard.Interruption,
                  report: Callable[[int], None]) -> None:
    context = multiprocessing.get_context("spawn")
    made, stop = context.Value("q", 0), context.Event()
    with _one_thread(), concurrent.futures.ProcessPoolExecutor(
            workers, mp_context=context, initializer=_start_worker,
            initargs=(corpus, writer, made, stop, os.getpid())) as pool:
        pending = {pool.submit(_write_shard, shard) for shard in shards}
        try:
            while pending:
                finished, pending = concurrent.futures.wait(pending, POLL_SECONDS, concurrent.futures.FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                report(made.value)
                interruption.check()
        except concurrent.futures.process.BrokenProcessPool:
            raise UserError("a process that made clips was killed, most likely for want of memory; finished shards "
                            "stay: run the same command with fewer --workers") from None
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@dataclasses.dataclass
class _Worker:
    """What a worker process holds."""

    corpus: Corpus
    writer: Writer
    made: object
    stop: object
    espeak: Espeak

    def make_clip(self, key: str) -> dict:
        if self.stop.is_set():
            raise Stopped
        make = corpus_module.make_clip if self.writer.codec != "none" else features.make_clip
        clip = make(self.corpus, self.corpus.places[key], self.espeak)
        with self.made.get_lock():
            self.made.value += 1
        return clip


_worker: _Worker | None = None


def _start_worker(corpus: Corpus, writer: Writer, made, stop, parent: int) -> None:
    global _worker
    processes.belong_to(parent)
    _worker = _Worker(corpus, writer, made, stop, Espeak())


def _write_shard(shard: Shard) -> None:
    _worker.writer.write_shard(shard, _worker.make_clip)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes share the cores already, and equal threads give equal sums."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
