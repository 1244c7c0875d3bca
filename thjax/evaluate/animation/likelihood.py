"""How likely true motion is without looking at the sound: by a histogram, and as a random walk. Nats a channel."""

from collections.abc import Sequence

import numpy as np

from thjax.evaluate.animation.clips import CHANNELS, GROUPS, MotionClip
from thjax.metrics.motion import mean_nats
from thjax.metrics.names import metric_name
from thjax.systems.motion_sampler import MotionSampler

HALF = 0.5
"""Added to every count: a category that training never saw is not impossible."""
BASE = "cross_entropy"


class CountedLikelihood:
    """Cross-entropies of motion under counts of the training split.

    Args:
        sampler: whose categories are counted.
        training: clips of the training split.
    """

    def __init__(self, sampler: MotionSampler, training: Sequence[MotionClip]):
        self._encode, count = sampler.encode, sampler.categories
        self._channels = np.arange(len(CHANNELS))
        seen = np.full((count, len(CHANNELS)), HALF)
        steps = np.full((2 * count - 1, len(CHANNELS)), HALF)
        for number in range(len(training)):
            clip = training[number]
            categories = self._encode(clip.vectors)
            both = clip.counts[1:] & clip.counts[:-1]
            for channel in self._channels:
                seen[:, channel] += np.bincount(categories[clip.counts, channel], minlength=count)
                moved = np.diff(categories[:, channel])[both] + count - 1
                steps[:, channel] += np.bincount(moved, minlength=2 * count - 1)
        self._unigram = np.log(seen / seen.sum(axis=0))
        self._steps, self._count = np.log(steps), count
        self._reached = np.concatenate([np.zeros((1, len(CHANNELS))), np.cumsum(steps, axis=0)])

    def unigram(self, clip: MotionClip) -> dict[str, float]:
        """Every frame by itself: how often its categories occur."""
        return _means(-self._unigram[self._encode(clip.vectors), self._channels], clip.counts)

    def random_walk(self, clip: MotionClip) -> dict[str, float]:
        """Every frame as a step from the frame before, wherever that is; the first one by itself."""
        categories = self._encode(clip.vectors)
        nats = -self._unigram[categories, self._channels]
        before = categories[:-1]
        # Steps that lead out of the range are none: the rest share their mass.
        first, end = self._count - 1 - before, 2 * self._count - 1 - before
        mass = self._reached[end, self._channels] - self._reached[first, self._channels]
        step = np.diff(categories, axis=0) + self._count - 1
        known = (clip.counts[1:] & clip.counts[:-1])[:, None]
        nats[1:] = np.where(known, np.log(mass) - self._steps[step, self._channels], nats[1:])
        return _means(nats, clip.counts)


def _means(nats: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Mean over frames that count and over channels, all and by group; nats [T, 23]."""
    apart = {metric_name(BASE, group): mean_nats(nats[:, list(which)], counts) for group, which in GROUPS.items()}
    return {BASE: mean_nats(nats, counts)} | apart
