"""Intervals: seeded bootstrap over clips and over speakers."""

import dataclasses

import numpy as np

DRAWS = 10_000
LEVEL = 0.95
FEWEST_SPEAKERS = 8
"""Below this many speakers an interval over speakers is marked unreliable."""
BLOCK = 1_000
"""Draws that are held at once."""


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


@dataclasses.dataclass(frozen=True)
class Draws:
    """Resampled means of one set of clips.

    Attributes:
        mean: of the clips themselves.
        clips: [DRAWS] means, resampling clips.
        by_speaker: [DRAWS] means, resampling speakers, then clips within each; None without speakers.
        n: clips.
        speakers: number of speakers.
    """

    mean: float
    clips: np.ndarray
    by_speaker: np.ndarray | None
    n: int
    speakers: int

    @property
    def interval(self) -> Interval:
        """Percentile intervals of the draws."""
        by_speaker = None if self.by_speaker is None else _percentiles(self.by_speaker)
        return Interval(self.mean, _percentiles(self.clips), by_speaker, self.n, self.speakers)


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
    return draw(values, np.ones_like(values), speakers, seed).interval


def bootstrap_ratio(above: np.ndarray, below: np.ndarray, speakers: np.ndarray | None = None,
                    seed: int = 0) -> Interval:
    """Percentile bootstrap of a pooled ratio, for example blinks over seconds: each draw is sum over sum.

    Args:
        above: [n] numerator of each clip.
        below: [n] denominator of each clip, 0 or more.
        speakers: [n] labels, as `bootstrap`.
        seed: of the draws.

    Raises:
        ValueError: no clip, a value that is not finite, or denominators that do not add up to more than 0.
    """
    return draw(np.asarray(above, np.float64), np.asarray(below, np.float64), speakers, seed).interval


def draw(above: np.ndarray, below: np.ndarray, speakers: np.ndarray | None, seed: int) -> Draws:
    """Resamples sum(above) / sum(below); a mean has ones below. Arguments and errors as `bootstrap_ratio`."""
    values = np.concatenate([above, below])
    if above.size == 0 or above.shape != below.shape or not np.isfinite(values).all():
        finite = np.isfinite(above).sum()
        raise ValueError(f"bootstrap needs finite values, got {above.size} of which {finite} are finite; leave clips "
                         "that cannot be judged out and count them")
    if not below.sum() > 0:
        raise ValueError(f"the denominators of {len(below)} clips add up to {below.sum()}, so no ratio exists; report "
                         "the metric as not available")
    rng = np.random.default_rng(seed)
    clips = _clip_draws(above, below, rng)
    by_speaker, count = None, 0
    if speakers is not None:
        labels = np.asarray(speakers)
        groups = [np.flatnonzero(labels == speaker) for speaker in np.unique(labels)]
        count = len(groups)
        by_speaker = _speaker_draws(above, below, groups, rng)
    return Draws(float(above.sum() / below.sum()), clips, by_speaker, len(above), count)


def _clip_draws(above: np.ndarray, below: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[DRAWS] ratios after resampling clips."""
    blocks = []
    for _ in range(DRAWS // BLOCK):
        picks = rng.integers(0, len(above), (BLOCK, len(above)))
        blocks.append(_divide(above[picks].sum(axis=1), below[picks].sum(axis=1)))
    return np.concatenate(blocks)


def _speaker_draws(above: np.ndarray, below: np.ndarray, groups: list[np.ndarray],
                   rng: np.random.Generator) -> np.ndarray:
    """[DRAWS] ratios after resampling speakers, then clips within each drawn speaker."""
    chosen = rng.integers(0, len(groups), (DRAWS, len(groups)))
    sums, weights = np.zeros(DRAWS), np.zeros(DRAWS)
    for index, group in enumerate(groups):
        times = (chosen == index).sum(axis=1)
        for repeat in range(times.max()):
            drawn = times > repeat
            picks = group[rng.integers(0, len(group), (int(drawn.sum()), len(group)))]
            sums[drawn] += above[picks].sum(axis=1)
            weights[drawn] += below[picks].sum(axis=1)
    return _divide(sums, weights)


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Ratios; NaN where a draw has nothing below, which percentiles then leave out."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _percentiles(draws: np.ndarray) -> tuple[float, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(draws, (tail, 100 - tail))
    return float(low), float(high)
