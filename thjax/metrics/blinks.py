"""Blinks and their rate, by a named rule."""

import itertools

import numpy as np

from thjax.metrics.merging import Ratio
from thjax.metrics.shapes import expect_shape

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)
"""Six points around each eye among the 68 landmarks; the person's own right and left."""
CLOSED_RATIO = 0.2
"""Eye aspect ratio below which the lids count as closed."""
CLOSED_AU45 = 1.0
"""AU45 intensity (0 to 5) above which the lids count as closed."""
LONGEST_BLINK = 10
"""Frames (400 ms at 25 fps); longer closures are closed eyes, not blinks."""
LONGEST_LOSS = 3
"""Frames without a face between closed lids that cut no blink in two; after more nobody knows."""


def eye_aspect_ratio(landmarks: np.ndarray) -> np.ndarray:
    """Height over width of the eyes, mean of both: (|p2 - p6| + |p3 - p5|) / (2 |p1 - p4|).

    Source: Soukupova and Cech 2016.

    Args:
        landmarks: [T, 68, 2] pixels; NaN where no face was found.

    Returns:
        [T], 0 (closed) to about 0.4; NaN where no face was found.
    """
    expect_shape("landmarks", landmarks, ("T", 68, 2))
    ratios = []
    for eye in (RIGHT_EYE, LEFT_EYE):
        p1, p2, p3, p4, p5, p6 = np.moveaxis(landmarks[:, eye].astype(np.float64), 1, 0)
        height = np.linalg.norm(p2 - p6, axis=-1) + np.linalg.norm(p3 - p5, axis=-1)
        ratios.append(height / np.maximum(2 * np.linalg.norm(p1 - p4, axis=-1), 1e-6))
    return np.mean(ratios, axis=0)


def blinks_by_aspect_ratio(landmarks: np.ndarray, fps: float) -> Ratio:
    """Blinks over seconds by the rule `ear`: eye aspect ratio below 0.2 for 1 to 10 frames.

    Papers that report a blink rate (Wu et al. 2023 after Zhang et al. 2021) name no rule; the threshold is Soukupova
    and Cech's of 2016. Add the ratios of clips for the pooled rate; people blink 0.28 to 0.45 times a second.

    Args:
        landmarks: [T, 68, 2] pixels; NaN where no face was found.
        fps: frames a second.

    Returns:
        Blinks over seconds with a face; 0 and up, best near the truth's own rate.
    """
    ratio = eye_aspect_ratio(landmarks)
    return Ratio(len(short_runs(_closed(ratio < CLOSED_RATIO, ratio))), _seconds(ratio, fps))


def blinks_by_au45(intensity: np.ndarray, fps: float) -> Ratio:
    """Blinks over seconds by the rule `au45`: intensity of action unit 45 above 1.0 for 1 to 10 frames.

    Source: the rule for OpenFace's AU45_r. Units, range and direction as `blinks_by_aspect_ratio`.

    Args:
        intensity: [T] on 0..5; NaN where no face was found.
        fps: frames a second.
    """
    expect_shape("AU45 intensity", intensity, ("T",))
    return Ratio(len(short_runs(_closed(intensity > CLOSED_AU45, intensity))), _seconds(intensity, fps))


def short_runs(closed: np.ndarray) -> np.ndarray:
    """Blinks: where lids are closed for 1 to `LONGEST_BLINK` frames. A run that a clip's end cuts short counts by what
    shows.

    Args:
        closed: bool [T].

    Returns:
        int [K, 2], first frame of each and the frame after its last.
    """
    edges = np.diff(np.concatenate([[False], closed, [False]]).astype(np.int8))
    runs = np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)
    return runs[runs[:, 1] - runs[:, 0] <= LONGEST_BLINK]


def _closed(closed: np.ndarray, track: np.ndarray) -> np.ndarray:
    """[T] bool: `closed` with the frames that are lost within a blink."""
    closed = closed.copy()
    for before, after in itertools.pairwise(np.flatnonzero(np.isfinite(track))):
        if after - before <= LONGEST_LOSS + 1 and closed[before] and closed[after]:
            closed[before:after] = True
    return closed


def _seconds(track: np.ndarray, fps: float) -> float:
    """Seconds with a face."""
    if not fps > 0:
        raise ValueError(f"fps is {fps}; it must be above 0, for example 25")
    return float(np.isfinite(track).sum() / fps)
