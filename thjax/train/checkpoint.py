"""Saving: in the background, sealed with hashes, whole or not at all; the newest few and the best are kept."""

import dataclasses
import errno
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
from orbax.checkpoint import v1 as ocp

from thjax.checkpoint import LoadedRun, load_run, store
from thjax.core import files
from thjax.core.errors import UserError
from thjax.engine import TrainState
from thjax.train.bookkeeping import Bookkeeping

__all__ = ["LoadedRun", "Saver", "load_run"]

MEBI = 2**20
SPARE_BYTES = MEBI // 4
"""Room for the files beside the arrays."""


class Saver:
    """Writes checkpoints of a run, one at a time, while training goes on.

    Orbax writes into a hidden directory; when it has finished, a thread adds the record and the hashes, flushes
    everything, and renames the directory to the step. So a checkpoint that has its name is complete.

    Args:
        run: directory of the run.
        keep: newest checkpoints to keep; the best of each of them is kept as well.
        saved: (step, counters) of the checkpoint that the run continues from.
    """

    def __init__(self, run: Path, keep: int, saved: tuple[int, Bookkeeping] | None = None):
        self._run, self._keep = run, keep
        self._saved = (saved[0], dataclasses.asdict(saved[1])) if saved else None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[int, Future] | None = None
        self._best: dict[int, int | None] = {}
        store.checkpoints(run).mkdir(parents=True, exist_ok=True)

    def save(self, state: TrainState, record: store.Record) -> None:
        """Starts to save, unless this very checkpoint was the last one saved. Returns when the arrays are copied off
        the device, so that their buffers may be donated.

        Raises:
            UserError: the save before this one failed, or this one could not start.
        """
        if self._saved == (record.step, record.bookkeeping):
            return
        self.wait()
        self._saved = (record.step, record.bookkeeping)
        directory = store.step_directory(self._run, record.step)
        hidden = directory.with_name(f".{directory.name}.saving").absolute()
        try:
            self._check_space(state)
            response = ocp.save_checkpointables_async(hidden, {"state": state}, overwrite=True)
        except Exception as error:
            raise self._failure(record.step, error) from error
        self._pending = (record.step, self._thread.submit(self._finish, response, hidden, directory, record))

    def check(self) -> None:
        """Raises the failure of a save that has ended meanwhile; does not wait."""
        if self._pending and self._pending[1].done():
            self.wait()

    def wait(self) -> None:
        """Waits until the last save is on the disk.

        Raises:
            UserError: it failed; says why and what is left.
        """
        if self._pending is None:
            return
        (step, future), self._pending = self._pending, None
        try:
            future.result()
        except Exception as error:
            raise self._failure(step, error) from error

    def close(self) -> None:
        """Waits, then releases the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _check_space(self, state: TrainState) -> None:
        """Raises before Orbax begins: its threads fill the terminal when the disk is full."""
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) + SPARE_BYTES
        free = shutil.disk_usage(store.checkpoints(self._run)).free
        if jax.process_count() == 1 and free < needed:
            text = f"{os.strerror(errno.ENOSPC)}: {needed / MEBI:.1f} MiB are needed, {free / MEBI:.1f} MiB are free"
            raise OSError(errno.ENOSPC, text)

    def _finish(self, response, hidden: Path, directory: Path, record: store.Record) -> None:
        response.result()
        if jax.process_index() != 0:
            return
        store.seal(hidden, record)
        replaced = directory.with_name(f".{directory.name}.replaced")
        if directory.exists():
            directory.rename(replaced)
        os.rename(hidden, directory)
        files.sync(directory.parent)
        if replaced.exists():
            store.remove(replaced)
        self._forget(record)

    def _forget(self, newest: store.Record) -> None:
        """Deletes checkpoints that are neither among the newest nor the best of one of those."""
        have = store.steps(self._run)
        self._best[newest.step] = newest.bookkeeping.get("best_step")
        kept = set(have[-self._keep :])
        kept |= {self._best_of(step) for step in tuple(kept)}
        for step in set(have) - kept:
            store.remove(store.step_directory(self._run, step))

    def _best_of(self, step: int) -> int | None:
        if step not in self._best:
            try:
                record = store.read_record(store.step_directory(self._run, step))
                self._best[step] = record.bookkeeping.get("best_step")
            except store.BrokenCheckpoint:
                self._best[step] = None
        return self._best[step]

    def _failure(self, step: int, error: Exception) -> UserError:
        left = store.steps(self._run)
        text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        reason = text.splitlines()[0]
        resume = f"the newest checkpoint is that of step {left[-1]}" if left else "no checkpoint was written before"
        place = store.checkpoints(self._run)
        return UserError(
            f"the checkpoint of step {step} could not be written to {place}: {reason}. "
            f"Mend that (space, permissions) and give the same command again; {resume}"
        )
