"""What a metric made of a fault, held against what it must make of it."""

import dataclasses
from typing import Literal, get_args

import numpy as np
import scipy.stats

from thjax.metrics.shapes import expect_shape

Kind = Literal["up", "down", "silent", "free"]
KINDS: tuple[str, ...] = get_args(Kind)
"""up, down: the metric's value rises or falls with the dose. silent: it does not care. free: nothing is asked."""
LEAST_SPEARMAN = 0.95
"""Median over clips that `up` and `down` ask for."""
MOST_CHANGE = 0.10
"""Of the distance from the truth to the metric's worst control: what `silent` allows at the largest dose."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One metric under one fault.

    Attributes:
        kind: what is asked of it.
        spearman: rank correlation of dose and value, median over clips; 0 for a clip whose value never changes.
        change: mean over clips of value at the largest dose minus value of the truth, as a share of the distance from
            the truth to the metric's worst control; NaN where no control differs from the truth.

    Both are NaN where no clip has a value at every dose; then only a free cell holds.
    """

    kind: Kind
    spearman: float
    change: float

    @property
    def holds(self) -> bool:
        """Whether the metric does what is asked."""
        if self.kind == "up":
            return self.spearman >= LEAST_SPEARMAN
        if self.kind == "down":
            return self.spearman <= -LEAST_SPEARMAN
        return self.kind == "free" or abs(self.change) <= MOST_CHANGE

    def as_json(self) -> dict:
        """{"class", "spearman", "change", "holds"}; numbers that do not exist are null."""
        return {"class": self.kind, "spearman": _number(self.spearman), "change": _number(self.change),
                "holds": bool(self.holds)}


def judge(kind: Kind, values: np.ndarray, controls: np.ndarray) -> Cell:
    """The cell of a metric under a fault.

    Args:
        kind: what is asked.
        values: [N, 1 + D], of N clips: the truth first, then doses rising. Rows that are not finite throughout are left
            out: there the metric does not exist.
        controls: [N, C], of the same clips under C controls.

    Raises:
        ValueError: shapes differ, or the class is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"class {kind!r} is unknown; use {', '.join(KINDS)}")
    expect_shape("values", values, ("N", "D"))
    expect_shape("controls", controls, (len(values), "C"))
    exists = np.isfinite(values).all(axis=1)
    if not exists.any():
        return Cell(kind, float("nan"), float("nan"))
    values = values[exists]
    change = float((values[:, -1] - values[:, 0]).mean())
    return Cell(kind, spearman(values), share_of_worst(change, values[:, 0], controls[exists]))


def spearman(values: np.ndarray) -> float:
    """Median over rows [N, 1 + D] of the rank correlation with the dose."""
    doses = np.arange(values.shape[1])
    still = np.ptp(values, axis=1) == 0
    each = [0.0 if constant else scipy.stats.spearmanr(doses, row).statistic
            for row, constant in zip(values, still, strict=True)]
    return float(np.median(each))


def share_of_worst(change: float, truth: np.ndarray, controls: np.ndarray) -> float:
    """`change` over the largest distance of a control's mean from the truth's: truth [N], controls [N, C]."""
    distances = [abs(float((column - truth)[np.isfinite(column)].mean()))
                 for column in controls.T if np.isfinite(column).any()]
    worst = max(distances, default=0.0)
    if worst == 0.0:
        return 0.0 if change == 0.0 else float("nan")
    return change / worst


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
