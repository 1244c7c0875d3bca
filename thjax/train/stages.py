"""Stages resolved: epochs and patience become steps, by the number of batches that the corpus gives."""

import dataclasses
import math
from typing import Any

from thjax.engine import Stage


@dataclasses.dataclass(frozen=True)
class ResolvedStage:
    """When a stage ends, in steps.

    Attributes:
        name: of the stage.
        batches_per_epoch: of its stream.
        steps: the stage ends after this many at the latest.
        patience_steps: the stage ends this many steps after its best evaluation; None without patience.
    """

    name: str
    batches_per_epoch: int
    steps: int
    patience_steps: int | None


def resolve(stage: Stage, batches_per_epoch: int) -> ResolvedStage:
    """The ends of a stage in steps.

    Args:
        stage: with `until` in steps or epochs.
        batches_per_epoch: steps in which every window of the training split comes by once; at least 1.
    """
    until = stage.until
    limits = [] if until.steps is None else [until.steps]
    if until.epochs is not None:
        limits.append(math.ceil(until.epochs * batches_per_epoch))
    patience = None if until.patience is None else math.ceil(until.patience.epochs * batches_per_epoch)
    return ResolvedStage(stage.name, batches_per_epoch, min(limits), patience)


def to_dict(stages: tuple[ResolvedStage, ...]) -> dict[str, Any]:
    """{stage: its limits}, as the run's config.json keeps them."""
    return {
        stage.name: {key: value for key, value in dataclasses.asdict(stage).items() if key != "name"}
        for stage in stages
    }
