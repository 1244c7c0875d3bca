"""Motion: how much a clip trembles, in pixels and in channels."""

import numpy as np

from thjax.metrics.shapes import expect_shape, finite


def jitter(frames: np.ndarray) -> float:
    """Mean absolute second difference of the pixels over time.

    Args:
        frames: [T, H, W, C] uint8, T at least 3.

    Returns:
        Grey levels, 0..510. Neither direction is better by itself: compare with the truth's own value. A frozen
        clip has 0, flicker and noise raise it.

    Raises:
        ValueError: fewer than three frames.
    """
    if len(frames) < 3:
        raise ValueError(f"jitter needs at least 3 frames, got {len(frames)}")
    x = frames.astype(np.float64)
    return float(np.abs(x[2:] - 2 * x[1:-1] + x[:-2]).mean())


def roughness(track: np.ndarray, deviation: np.ndarray) -> float:
    """Mean absolute second difference of standardised channels over time.

    Args:
        track: [T, K] channels (action units, pose), T at least 3.
        deviation: [K] standard deviation of each over the true training tracks.

    Returns:
        0 and up. Neither direction is better by itself: tables show it over the truth's own value, best near 1.

    Raises:
        ValueError: fewer than three frames, or a channel has no deviation.
    """
    x = _standardised(track, deviation)
    if len(x) < 3:
        raise ValueError(f"roughness needs at least 3 frames, got {len(x)}")
    return float(np.abs(x[2:] - 2 * x[1:-1] + x[:-2]).mean())


def variance(track: np.ndarray, deviation: np.ndarray) -> float:
    """Variance over time of standardised channels, mean over channels.

    Args:
        track: [T, K] channels (action units, pose), T at least 2.
        deviation: [K] standard deviation of each over the true training tracks.

    Returns:
        0 and up. Tables show it over the truth's own value, best near 1: a motion that is the mean of many plausible
        ones moves too little.

    Raises:
        ValueError: a single frame, or a channel has no deviation.
    """
    x = _standardised(track, deviation)
    if len(x) < 2:
        raise ValueError(f"variance needs at least 2 frames, got {len(x)}")
    return float(x.var(axis=0).mean())


def mean_nats(nats: np.ndarray, counts: np.ndarray) -> float:
    """Cross-entropy of true motion: mean of -log p over frames that count and over channels, nats; lower is better.

    A mapper that says nothing has the cross-entropy of a histogram; one that copies, that of a random walk. How far
    below both it comes is what it has learnt. Figures of different numbers of categories do not compare.

    Source: Wu et al. 2023, eq. 5.

    Args:
        nats: [T, K] -log of the probability of each channel's true category.
        counts: [T] bool, frames with labels.

    Raises:
        ValueError: shapes differ, or no frame counts.
    """
    expect_shape("nats", nats, ("T", "K"))
    expect_shape("counts", np.asarray(counts), nats.shape[:1])
    if not np.any(counts):
        raise ValueError("no frame counts; leave the clip out")
    return float(nats[np.asarray(counts, bool)].mean())


def _standardised(track: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """[T, K] float64 channels in deviations."""
    expect_shape("track", track, ("T", "K"))
    expect_shape("deviation", deviation, (track.shape[1],))
    finite("track", track)
    if not (deviation > 0).all():
        raise ValueError("a channel has no deviation; leave constant channels out")
    return track.astype(np.float64) / deviation
