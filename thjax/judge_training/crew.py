"""Work shared out to processes, in order, with the result of each kept on disk: interrupted, it goes on from there."""

import concurrent.futures
import concurrent.futures.process
import inspect
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data_pipelines import guard
from data_pipelines.synthetic import corpus
from data_pipelines.synthetic.settings import Corpus
from thjax.core import files, processes
from thjax.core.errors import UserError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}

Arrays = dict[str, np.ndarray]


def gather(make: Callable[[tuple], Arrays], jobs: Sequence[tuple], folder: Path, name: str,
           report: Callable[[int, int], None] = lambda done, jobs: None, workers: int = 0) -> Arrays:
    """Runs `make` on every job and stacks what they return; finished material is read from disk instead.

    Args:
        make: a function of a module, job -> {field: [N, ...]}; jobs may differ in N.
        jobs: plain values, so that they name the material.
        folder: where the material is kept.
        name: of the material's file, for people.
        report: called with (jobs done, jobs).
        workers: processes; 0 takes one for each usable core.

    Returns:
        {field: [sum of N, ...]}, jobs in order.
    """
    path = folder / f"{name}-{_fingerprint(make, jobs)}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    with guard.in_turn(folder):  # what two judges need is drawn by one, with all cores
        if not path.is_file():
            _write(path, _drawn(make, jobs, name, workers, report))
    with np.load(path) as file:
        return dict(file)


def _drawn(make: Callable[[tuple], Arrays], jobs: Sequence[tuple], name: str, workers: int,
           report: Callable[[int, int], None]) -> Arrays:
    """What `gather` returns, drawn."""
    parts: list[Arrays] = []
    context = multiprocessing.get_context("spawn")
    before = {key: os.environ.get(key) for key in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with concurrent.futures.ProcessPoolExecutor(
                workers or len(os.sched_getaffinity(0)), mp_context=context, initializer=processes.belong_to,
                initargs=(os.getpid(),)) as pool:
            try:
                for part in pool.map(make, jobs):
                    parts.append(part)
                    report(len(parts), len(jobs))
            except concurrent.futures.process.BrokenProcessPool:
                raise UserError(f"a process that drew {name} was killed, most likely for want of memory; run the same "
                                "command again on fewer cores (taskset)") from None
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
    return {field: np.concatenate([part[field] for part in parts]) for field in parts[0]}


def _write(path: Path, arrays: Arrays) -> None:
    with files.whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def _fingerprint(make: Callable, jobs: Sequence[tuple]) -> str:
    """Changes with the jobs, with the code that draws the corpus, and with the module of `make`."""
    code = [corpus.source(Corpus(), ""), files.sha256(Path(inspect.getfile(make)))]
    return files.fingerprint([make.__qualname__, list(jobs), *code])[:12]
