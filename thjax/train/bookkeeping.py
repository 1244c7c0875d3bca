"""What the loop remembers beside the state: which evaluation was the last, which the best, whether patience is over.

Pure and small; a checkpoint keeps it, so that a resumed run stops early at the very step at which the run would have.
"""

import dataclasses
import math
from collections.abc import Mapping

from thjax.core.errors import UserError
from thjax.engine import Patience


@dataclasses.dataclass(frozen=True)
class Bookkeeping:
    """Counters of one stage.

    Attributes:
        evaluated_step: step of the run at the last evaluation, -1 before the first.
        best_value: of the patience metric, None before the first evaluation or without patience.
        best_step: step of the run at the best value.
        best_stage_step: the same in steps of the stage; patience counts from here.
        ended: the stage is over; a resume enters the next one.
        last_seen: the newest value of every training metric, for phases that do not run in every step.
    """

    evaluated_step: int = -1
    best_value: float | None = None
    best_step: int | None = None
    best_stage_step: int = 0
    ended: bool = False
    last_seen: Mapping[str, float] = dataclasses.field(default_factory=dict)


def after_evaluation(
    book: Bookkeeping, patience: Patience | None, metrics: Mapping[str, float], step: int, stage_step: int
) -> tuple[Bookkeeping, bool]:
    """The counters after an evaluation, and whether it is a new best.

    Raises:
        UserError: the evaluators do not report the metric that the stage waits for.
    """
    book = dataclasses.replace(book, evaluated_step=step)
    if patience is None:
        return book, False
    value, sign = find_metric(metrics, patience.metric), 1 if patience.mode == "min" else -1
    better = math.isfinite(value) and (book.best_value is None or sign * value < sign * book.best_value)
    if better:
        book = dataclasses.replace(book, best_value=value, best_step=step, best_stage_step=stage_step)
    return book, better


def find_metric(metrics: Mapping[str, float], name: str) -> float:
    """A validation metric by its full name, `evaluator/metric`, or by its last part where that is unique."""
    found = [key for key in metrics if key == name] or [key for key in metrics if key.rpartition("/")[2] == name]
    if len(found) != 1:
        raise UserError(f"patience waits for metric {name!r}; the evaluators report {sorted(metrics)}")
    return metrics[found[0]]


def patience_over(book: Bookkeeping, patience_steps: int | None, stage_step: int) -> bool:
    """Whether `patience_steps` steps have gone by since the best evaluation; needs one evaluation at least."""
    if patience_steps is None or book.evaluated_step < 0:
        return False
    return stage_step - book.best_stage_step >= patience_steps
