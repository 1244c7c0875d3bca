"""The learning table of a system that draws pixels."""

import pathlib

import numpy as np

from data_pipelines.schema import DataError
from thjax.checkpoint import load_run
from thjax.evaluate.run import evaluate_run
from thjax.evaluate.scores import paired, table


def score(runs: dict[int, pathlib.Path], corpus: pathlib.Path, split: str, command: str) -> dict:
    """Scores the runs of all seeds; rows are the mean over seeds, and the system of every seed."""
    results = [evaluate_run(load_run(run), corpus, split, seed, command, report=print)[0]
               for seed, run in runs.items()]
    if any(result.keys != results[0].keys for result in results):
        raise DataError("the seeds were scored on different clips")
    speakers = results[0].speakers
    mean = {
        row: {name: np.mean([r.per_clip[row][name] for r in results], axis=0) for name in metrics}
        for row, metrics in results[0].per_clip.items()
    }
    per_seed = {f"ours_seed_{seed}": r.per_clip["ours"] for seed, r in zip(runs, results, strict=True)}
    rows = table(mean | per_seed, speakers)
    return {
        "manifest_hash": results[0].about["manifest_hash"],
        "rows": {row: {name: value.as_json() for name, value in metrics.items()} for row, metrics in rows.items()},
        "paired": {name: value.as_json() for name, value in paired(mean, speakers).items()},
        "paired_per_seed": [
            {name: value.as_json() for name, value in result.paired.items()} for result in results
        ],
    }
