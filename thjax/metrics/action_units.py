"""Agreement of action units between generated and true frames: F1 and accuracy."""

import dataclasses

import numpy as np

from thjax.metrics.shapes import expect_shape


@dataclasses.dataclass(frozen=True)
class ActionUnitCounts:
    """Confusion counts per action unit; adding them pools clips.

    Attributes:
        names: A names of action units.
        true_positive: [A] frames where both say present.
        false_positive: [A] frames where only the generated one does.
        false_negative: [A] frames where only the true one does.
        true_negative: [A] frames where neither does.
    """

    names: tuple[str, ...]
    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    true_negative: np.ndarray

    def __add__(self, other: "ActionUnitCounts") -> "ActionUnitCounts":
        if self.names != other.names:
            raise ValueError(f"counts of {self.names} and {other.names} cannot be added; count the same action units")
        pairs = zip(self._counts(), other._counts(), strict=True)
        return ActionUnitCounts(self.names, *(a + b for a, b in pairs))

    def _counts(self):
        return self.true_positive, self.false_positive, self.false_negative, self.true_negative

    def f1(self) -> dict[str, float]:
        """{action unit: F1 = 2 TP / (2 TP + FP + FN)}, 0..1, higher is better.

        NaN where the unit shows on neither side, so that a mean over units does not count what was never there.
        """
        hits = 2 * self.true_positive
        return self._by_name(hits, hits + self.false_positive + self.false_negative)

    def accuracy(self) -> dict[str, float]:
        """{action unit: share of frames on which both agree}, 0..1, higher is better; a rare unit flatters it."""
        return self._by_name(self.true_positive + self.true_negative, sum(self._counts()))

    def _by_name(self, above: np.ndarray, below: np.ndarray) -> dict[str, float]:
        return {name: float(a / b) if b else float("nan") for name, a, b in zip(self.names, above, below, strict=True)}


def action_unit_counts(truth: np.ndarray, made: np.ndarray, names: tuple[str, ...],
                       detected: np.ndarray | None = None) -> ActionUnitCounts:
    """Counts of one clip; `f1` and `accuracy` of their sum are the metrics, 0..1 per unit, higher is better.

    Source: Chen et al. 2021, who read both sides with OpenFace, pool all test frames, and average five units.

    Args:
        truth: [T, A] presence in the true frames, 0 or 1.
        made: [T, A] presence in the generated frames, 0 or 1, by the same detector.
        names: A names.
        detected: [T] bool, frames that the detector trusts on both sides; None counts all.

    Raises:
        ValueError: shapes differ, or a value is neither 0 nor 1.
    """
    expect_shape("true presence", truth, ("T", len(names)))
    expect_shape("generated presence", made, truth.shape)
    for side, values in (("true", truth), ("generated", made)):
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"{side} presence holds values up to {np.max(values)}; it must be 0 or 1, so threshold "
                             "intensities first")
    counted = np.ones(len(truth), bool) if detected is None else np.asarray(detected, bool)
    expect_shape("detected", counted, (len(truth),))
    a, b = truth[counted] > 0, made[counted] > 0
    return ActionUnitCounts(
        tuple(names), (a & b).sum(axis=0), (~a & b).sum(axis=0), (a & ~b).sum(axis=0), (~a & ~b).sum(axis=0)
    )


def mean_over_units(values: dict[str, float]) -> float:
    """Mean over the action units that exist; NaN when none does."""
    present = [value for value in values.values() if np.isfinite(value)]
    return float(np.mean(present)) if present else float("nan")
