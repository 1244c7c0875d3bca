"""The learning table of a mapper that lacks a part of the paper's: its rows, and its lips on long talks."""

import pathlib

from benchmarks.learning_talks import talks
from thjax.checkpoint import load_run
from thjax.evaluate.animation.clips import MotionClips
from thjax.evaluate.animation.run import collect_mapper
from thjax.evaluate.result import result_of


def score(runs: dict[int, pathlib.Path], corpus: pathlib.Path, split: str, command: str) -> dict:
    """Scores the run of the one seed."""
    [(seed, path)] = runs.items()
    run = load_run(path)
    result = result_of(collect_mapper(run, corpus, split, seed, report=print)[0], command)
    clips = MotionClips(corpus, split, run.system.stages[-1].data)
    return {
        "manifest_hash": result.about["manifest_hash"],
        "rows": {row: {name: value.as_json() for name, value in metrics.items()}
                 for row, metrics in result.rows.items()},
        "paired": {name: value.as_json() for name, value in result.paired.items()},
        "talks": [talks(run, clips, seed)],
    }
