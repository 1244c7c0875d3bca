"""Validation: the evaluators of a stage on whole clips of the validation split, with averaged weights."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipelines.loader import Clips
from thjax.core.rngs import fold_in_name
from thjax.engine import Evaluation, NetState, Stage, System, TrainState
from thjax.parallel import compile_evaluate
from thjax.train import pictures


def averaged_nets(state: TrainState) -> dict[str, NetState]:
    """The networks with averaged parameters in place of the trained ones, where the stage keeps averages."""
    averaged = {name: state.nets[name].replace(params=params) for name, params in state.ema.items()}
    return dict(state.nets) | averaged


class Validation:
    """Runs the evaluators of one stage. Each is compiled once.

    The key is the run's, folded with a name of its own and not with the step: training draws are left alone, and
    two evaluations differ by the weights only.

    Args:
        system: of the run.
        stage: whose `evaluate` names the evaluators.
        clips: whole clips of the validation split; None for a stage without evaluators.
        key: of the run.
        mesh: of the run.

    Raises:
        ValueError: the stage names an evaluator that the system does not have.
    """

    def __init__(self, system: System, stage: Stage, clips: Clips | None, key: jax.Array, mesh):
        unknown = [name for name in stage.evaluate if name not in system.evaluators]
        if unknown:
            have = sorted(system.evaluators)
            raise ValueError(f"stage {stage.name!r} names evaluators {unknown}; the system has {have}")
        self._evaluators = {name: compile_evaluate(system.evaluators[name], mesh=mesh) for name in stage.evaluate}
        self._clips, self._at_once = clips, stage.data.batch
        self._key = fold_in_name(key, "evaluation")

    def run(
        self, state: TrainState, interrupted: Callable[[], bool] = lambda: False
    ) -> tuple[dict[str, float], list[dict[str, Any]]] | None:
        """Evaluates.

        Args:
            state: of the training; only read.
            interrupted: asked between two batches.

        Returns:
            ({"evaluator/metric": mean over clips}, samples for `pictures.strip`), or None where interrupted.
        """
        nets = averaged_nets(state)
        values: dict[str, list[np.ndarray]] = {}
        samples: list[dict[str, Any]] = []
        for batch, count in self._batches():
            seen = False
            for name, evaluate in self._evaluators.items():
                if interrupted():
                    return None
                result = evaluate(nets, batch, self._key)
                for metric, per_example in result.per_example.items():
                    values.setdefault(f"{name}/{metric}", []).append(np.asarray(per_example, np.float64)[:count])
                if result.frames is not None and not seen and len(samples) < pictures.STRIP_CLIPS:
                    samples += _samples(batch, result)[:count]
                    seen = True
        return {name: float(np.concatenate(parts).mean()) for name, parts in values.items()}, samples

    def _batches(self) -> Iterator[tuple[Mapping[str, np.ndarray], int]]:
        """Batches of one shape, and how many of their examples count: the last one is filled up with its last clip."""
        total = len(self._clips) if self._evaluators else 0
        size = min(self._at_once, total)
        for start in range(0, total, size or 1):
            numbers = range(start, start + size)
            yield self._clips.batch([min(number, total - 1) for number in numbers]), min(size, total - start)


def _samples(batch: Mapping[str, np.ndarray], result: Evaluation) -> list[dict[str, Any]]:
    """One sample per example of a batch that has pixels."""
    if "frames" not in batch:
        return []
    frames = np.asarray(result.frames)
    fields = ("still", "frames", "audio", "valid")
    return [
        {name: np.asarray(batch[name][row]) for name in fields if name in batch} | {"generated": frames[row]}
        for row in range(len(frames))
    ]


def write_pictures(run: Path, step: int, samples: list[dict[str, Any]], films: pictures.Films) -> np.ndarray | None:
    """Writes `strip.png` and `sample.mp4` of an evaluation; returns the strip, None for a stage without pixels."""
    if not samples:
        return None
    directory = run / "evaluations" / str(step)
    directory.mkdir(parents=True, exist_ok=True)
    image = pictures.strip(samples)
    pictures.write_png(directory / "strip.png", image)
    films.write(directory / "sample.mp4", samples[0], step)
    return image
