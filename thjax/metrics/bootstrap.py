"""Intervals: seeded bootstrap over clips and over speakers."""

import dataclasses

import numpy as np

DRAWS = 10_000
LEVEL = 0.95
FEWEST_SPEAKERS = 8
"""Below this many speakers an interval over speakers is marked unreliable."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap intervals.

    Attributes:
        mean: over clips.
        ci95: (low, high), resampling clips.
        ci95_speakers: (low, high), resampling speakers, then clips within each; None without speakers.
        n: clips.
        speakers: number of speakers.
    """

    mean: float
    ci95: tuple[float, float]
    ci95_speakers: tuple[float, float] | None
    n: int
    speakers: int

    def as_json(self) -> dict:
        """The form of every table: mean, ci95, n, and the interval over speakers."""
        row = {"mean": self.mean, "ci95": list(self.ci95), "n": self.n}
        if self.ci95_speakers is not None:
            row |= {"ci95_speakers": list(self.ci95_speakers), "speakers": self.speakers,
                    "speakers_reliable": self.speakers >= FEWEST_SPEAKERS}
        return row


def bootstrap(values: np.ndarray, speakers: np.ndarray | None = None, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean.

    Args:
        values: [n] one value a clip; pass differences of the same clips for a paired comparison.
        speakers: [n] labels; equal labels are one speaker.
        seed: of the draws, so that a table is repeatable.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        finite = np.isfinite(values).sum()
        raise ValueError(f"bootstrap needs finite values, got {values.size} of which {finite} are finite")
    rng = np.random.default_rng(seed)
    draws = values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    by_speaker, count = None, 0
    if speakers is not None:
        groups = [values[np.asarray(speakers) == speaker] for speaker in np.unique(speakers)]
        count = len(groups)
        by_speaker = _percentiles(_speaker_draws(groups, rng))
    return Interval(float(values.mean()), _percentiles(draws), by_speaker, len(values), count)


def _speaker_draws(groups: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """[DRAWS] means over clips after resampling speakers, then clips within each drawn speaker."""
    chosen = rng.integers(0, len(groups), (DRAWS, len(groups)))
    sums, counts = np.zeros(DRAWS), np.zeros(DRAWS)
    for index, group in enumerate(groups):
        times = (chosen == index).sum(axis=1)
        for repeat in range(times.max()):
            drawn = times > repeat
            picks = rng.integers(0, len(group), (int(drawn.sum()), len(group)))
            sums[drawn] += group[picks].sum(axis=1)
            counts[drawn] += len(group)
    return sums / counts


def _percentiles(draws: np.ndarray) -> tuple[float, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, (tail, 100 - tail))
    return float(low), float(high)
