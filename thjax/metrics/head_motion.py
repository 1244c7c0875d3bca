"""Head motion: similarity of pose distributions, diversity of samples, alignment with the audio's onsets."""

import numpy as np
from scipy import ndimage, signal

from thjax.metrics.shapes import expect_shape, finite

ANGLES = ("pitch", "yaw", "roll")
FIXED_RANGES = ((-np.pi / 4, np.pi / 4),) * len(ANGLES)
"""Radians per angle; poses beyond count in the outermost bin."""
BINS = 100
SAMPLES = 16
"""Samples of one audio that diversity is taken over."""
BEAT_SIGMA = 3.0
"""Frames of distance at which an onset is worth exp(-1/2)."""
SPEED_SIGMA = 2.0
"""Frames of smoothing of the pose speed before its extrema are sought: 80 ms, as Siyao et al. 2022 smooth theirs."""


def pose_histogram(angles: np.ndarray, ranges=FIXED_RANGES) -> np.ndarray:
    """[3, BINS] counts of each angle; histograms of one range add up over clips and shards.

    Args:
        angles: [T, 3] radians, pitch, yaw, roll.
        ranges: (low, high) in radians per angle.

    Raises:
        ValueError: shape or values are wrong, or a range is empty.
    """
    expect_shape("angles", angles, ("T", len(ANGLES)))
    finite("angles", angles)
    counts = np.zeros((len(ANGLES), BINS), np.int64)
    for index, (low, high) in enumerate(ranges):
        if not high > low:
            raise ValueError(f"the range of {ANGLES[index]} is {low} to {high}; its end must exceed its start")
        place = np.floor((angles[:, index] - low) / (high - low) * BINS).astype(int)
        counts[index] = np.bincount(place.clip(0, BINS - 1), minlength=BINS)
    return counts


def head_similarity_of_histograms(real: np.ndarray, made: np.ndarray) -> float:
    """`head_similarity` of pooled histograms [3, BINS] over one range."""
    expect_shape("the real histogram", real, (len(ANGLES), BINS))
    expect_shape("the generated histogram", made, (len(ANGLES), BINS))
    if not (real.sum(axis=1).all() and made.sum(axis=1).all()):
        raise ValueError("a histogram is empty; leave clips without poses out and count them")
    gap = np.cumsum(real / real.sum(axis=1, keepdims=True) - made / made.sum(axis=1, keepdims=True), axis=1)
    return float(1 - np.abs(gap).sum(axis=1).mean() / BINS)


def head_similarity(real: np.ndarray, made: np.ndarray) -> float:
    """HS: 1 - W1 between the distributions of head angles, on fixed ranges, mean over pitch, yaw and roll.

    Source: Yi et al. 2020, who fix neither bins nor range; W1 is taken over 100 bins of -45..45 degrees and divided by
    the range. It ignores time, and noise and statues score 0.8 to 0.97: it decides nothing without its controls
    (static head, replayed poses, an independent track of the same person).

    Args:
        real: [T, 3] radians, pitch, yaw, roll.
        made: [S, 3] radians.

    Returns:
        0..1, higher is better.
    """
    return head_similarity_of_histograms(pose_histogram(real), pose_histogram(made))


def head_similarity_union(real: np.ndarray, made: np.ndarray) -> float:
    """`head_similarity` on each angle's own range over both tracks: strict on small motion, not comparable over clips.

    An angle that moves on neither side is equal on both and scores 1. Arguments, range and direction as
    `head_similarity`.
    """
    expect_shape("real angles", real, ("T", len(ANGLES)))
    expect_shape("generated angles", made, ("S", len(ANGLES)))
    both = np.concatenate([real, made]).astype(np.float64)
    low, high = both.min(axis=0), both.max(axis=0)
    ranges = tuple(zip(low, np.where(high > low, high, low + 1), strict=True))
    return head_similarity_of_histograms(pose_histogram(real, ranges), pose_histogram(made, ranges))


def diversity(samples: np.ndarray, deviation: np.ndarray) -> float:
    """How much samples of one audio differ: mean pairwise distance of standardised channels.

    The distance of two samples is the root mean square over frames and channels of their difference, each channel in
    units of its standard deviation in the truth. Independent tracks with the truth's spread have 1.41 (root of 2), one
    motion for one audio has 0. Noise has it too: read it beside jitter and sync.

    Args:
        samples: [16, T, K] tracks (pose, action units, coefficients) made from one audio with 16 seeds.
        deviation: [K] standard deviation of each channel over the true training tracks.

    Returns:
        0 and up; best near the value between true takes of one sentence, where they exist.

    Raises:
        ValueError: other than 16 samples, or a channel has no deviation.
    """
    expect_shape("samples", samples, (SAMPLES, "T", "K"))
    return pairwise_distance(samples, deviation)


def pairwise_distance(samples: np.ndarray, deviation: np.ndarray) -> float:
    """`diversity` of any number of samples: tracks [S, T, K], S at least 2, and deviations [K]; 0 and up.

    Raises:
        ValueError: fewer than two samples, or a channel has no deviation.
    """
    expect_shape("samples", samples, ("S", "T", "K"))
    expect_shape("deviation", deviation, (samples.shape[2],))
    finite("samples", samples)
    if len(samples) < 2:
        raise ValueError("a distance between samples needs 2 of them, got 1")
    if not (deviation > 0).all():
        still = int((~(deviation > 0)).sum())
        raise ValueError(f"{still} of {len(deviation)} channels have no deviation; leave constant channels out")
    scaled = (samples.astype(np.float64) / deviation).reshape(len(samples), -1)
    first, second = np.triu_indices(len(samples), 1)
    return float(np.sqrt(((scaled[first] - scaled[second]) ** 2).mean(axis=1)).mean())


def speed_extrema(angles: np.ndarray) -> np.ndarray:
    """[E] times in frames of the minima and maxima of the smoothed pose speed; the speed t to t + 1 is at t + 0.5.

    Args:
        angles: [T, 3] radians, T at least 4.
    """
    expect_shape("angles", angles, ("T", len(ANGLES)))
    finite("angles", angles)
    if len(angles) < 4:
        raise ValueError(f"extrema of speed need at least 4 frames, got {len(angles)}; leave shorter clips out")
    speed = np.linalg.norm(np.diff(angles.astype(np.float64), axis=0), axis=1)
    smooth = ndimage.gaussian_filter1d(speed, SPEED_SIGMA, mode="nearest")
    # A turn on a frame gives two equal speeds around it, which a strict comparison would miss.
    tops = [signal.find_peaks(curve, plateau_size=1)[1] for curve in (smooth, -smooth)]
    return np.sort(np.concatenate([(top["left_edges"] + top["right_edges"]) / 2 for top in tops])) + 0.5


def beat_alignment(onsets: np.ndarray, angles: np.ndarray) -> float:
    """Mean over the audio's onsets of exp(-d^2 / 2 s^2), d to the nearest extremum of pose speed, s = 3 frames.

    Source: the beat alignment score of Siyao et al. 2022, which the field uses for heads, from onsets to motion.

    Args:
        onsets: [K] times of the audio's onsets in frames.
        angles: [T, 3] radians.

    Returns:
        0..1, higher is better; 0 for a head that never changes speed. Restless motion has extrema everywhere and scores
        near 1: read it beside the same motion with another clip's onsets.

    Raises:
        ValueError: there is no onset, or the clip is too short.
    """
    expect_shape("onsets", onsets, ("K",))
    extrema = speed_extrema(angles)
    if not len(extrema):
        return 0.0
    nearest = np.abs(np.asarray(onsets, np.float64)[:, None] - extrema).min(axis=1)
    return float(np.exp(-(nearest**2) / (2 * BEAT_SIGMA**2)).mean())
