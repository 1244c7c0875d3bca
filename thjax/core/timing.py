"""Side-by-side timing: interleaved in one process, medians with intervals, in the project's one form of results."""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

PAUSE = 0.03
"""Seconds between two timings: torch's threads spin for a while after their work and would steal the other's cores."""
DRAWS = 2_000


def interleave(runs: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every run in every round. Each run blocks until its work is done; the first round is thrown away.

    A run goes twice and is timed the second time: the first finds the caches full of another's arrays and threads
    asleep, which no training loop does. Torch's need ten milliseconds to wake up, many times what a layer takes.
    """
    seconds = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            time.sleep(PAUSE)
            run()
            start = time.perf_counter()
            run()
            if index:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median(values: Sequence[float], scale: float = 1.0) -> dict:
    """The median with its 95 % bootstrap interval, as results keep it; the key is `mean` in all of them."""
    values = scale * np.asarray(values)
    draws = np.median(values[np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))], axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return {"mean": float(np.median(values)), "ci95": [float(low), float(high)], "n": len(values)}


def number(value: float) -> dict:
    """A figure that was measured once."""
    return {"mean": float(value), "ci95": None, "n": 1}


def machine() -> dict:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"machine": platform.machine(), "cores": cores, "load": round(os.getloadavg()[0], 2),
            "python": platform.python_version()}
