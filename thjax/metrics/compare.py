"""Systems against systems: paired bootstrap, with Holm's correction for the number of comparisons."""

import dataclasses
import itertools

import numpy as np

from thjax.metrics.bootstrap import DRAWS, FEWEST_SPEAKERS, Interval, draw
from thjax.metrics.shapes import expect_shape


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two systems on the same clips.

    Attributes:
        first: name of a system.
        second: name of another.
        difference: first minus second.
        p: two-sided, from the draws over speakers where there are speakers, else over clips.
        p_holm: `p` corrected for all pairs compared; below 0.05 the systems differ.
    """

    first: str
    second: str
    difference: Interval
    p: float
    p_holm: float

    @property
    def enough(self) -> bool:
        """Whether interval and p can be relied on: of speakers, or clips where nobody knows them, there are eight."""
        known = self.difference.ci95_speakers is not None
        return (self.difference.speakers if known else self.difference.n) >= FEWEST_SPEAKERS

    def as_json(self) -> dict:
        """{"systems", "mean", "ci95", "n", ..., "p", "p_holm"} of the difference."""
        return {"systems": [self.first, self.second], **self.difference.as_json(), "p": self.p, "p_holm": self.p_holm}


def compare(systems: dict[str, np.ndarray], speakers: np.ndarray | None = None, seed: int = 0) -> list[Comparison]:
    """Every pair of systems on one metric; the pairs are one family for Holm's correction.

    Args:
        systems: {name: [n]} one value a clip, the same clips in the same order for every system.
        speakers: [n] labels; equal labels are one speaker.
        seed: of the draws.

    Raises:
        ValueError: fewer than two systems, or systems that were not measured on equally many clips.
    """
    if len(systems) < 2:
        raise ValueError(f"a comparison needs two systems, got {list(systems)}; add a control")
    values = {name: np.asarray(track, np.float64) for name, track in systems.items()}
    first_name, first = next(iter(values.items()))
    for name, track in values.items():
        expect_shape(f"values of {name!r} (clips of {first_name!r})", track, first.shape)
    pairs = list(itertools.combinations(values, 2))
    drawn = [draw(values[a] - values[b], np.ones_like(first), speakers, seed) for a, b in pairs]
    raw = [_two_sided(d.clips if d.by_speaker is None else d.by_speaker) for d in drawn]
    corrected = holm(np.array(raw))
    return [
        Comparison(a, b, d.interval, p, float(q)) for (a, b), d, p, q in zip(pairs, drawn, raw, corrected, strict=True)
    ]


def holm(p: np.ndarray) -> np.ndarray:
    """[m] p-values adjusted by Holm's step-down rule (Holm 1979), in the order given.

    The i-th smallest is multiplied by m - i + 1; none falls below a smaller one's, none exceeds 1.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def _two_sided(draws: np.ndarray) -> float:
    """Twice the smaller share of draws on either side of zero; never below 2 / (DRAWS + 1)."""
    rarer = min((draws <= 0).sum(), (draws >= 0).sum())
    return float(min(1.0, 2 * (1 + rarer) / (DRAWS + 1)))
