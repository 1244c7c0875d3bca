"""Landmark distances between a clip and its truth: LMD, its uncentred form, and F-LMD."""

import dataclasses

import numpy as np

from thjax.metrics.shapes import expect_shape, same_length

POINTS = 68
MOUTH = slice(48, 68)
"""Outer and inner lips among the 68 landmarks."""
FACE = slice(0, 68)
SIDE = 256
"""Distances are given in pixels of frames scaled to this side."""


@dataclasses.dataclass(frozen=True)
class Detections:
    """What one detector found in a clip.

    Attributes:
        points: [T, 68, 2] x, y in pixels; a frame without a face is NaN throughout.
        detector: its name, for example `dlib-68`; labels of a corpus are `exact`.
        height: of the frames in pixels.
        width: of the frames in pixels.
    """

    points: np.ndarray
    detector: str
    height: int
    width: int

    def __post_init__(self):
        expect_shape("landmarks", self.points, ("T", POINTS, 2))

    @property
    def scaled(self) -> np.ndarray:
        """[T, 68, 2] in pixels of a `SIDE` x `SIDE` frame, each axis scaled by itself as a resize does."""
        return self.points.astype(np.float64) * (SIDE / np.array([self.width, self.height], np.float64))


@dataclasses.dataclass(frozen=True)
class LandmarkDistance:
    """A landmark distance of a clip.

    Attributes:
        value: pixels at 256 x 256, lower is better; NaN when no frame counts.
        frames: that count.
        skipped: frames without a face on either side.
    """

    value: float
    frames: int
    skipped: int


def lmd(truth: Detections, other: Detections, reduction: str = "mean") -> LandmarkDistance:
    """Landmark distance of the mouth (points 48-67), each set centred on its own centroid.

    Mean over frames of the mean (or sum) over points of the Euclidean distance. Source: Chen et al. 2018, centred
    as the public script of Chen et al. 2019 (ATVG) does. That script sums over the 20 points; the values it is
    known for fit the mean.

    Args:
        truth: of the true clip.
        other: of the same frames, by the same detector.
        reduction: `mean` over points, or `sum`.

    Returns:
        0 and up, lower is better. A mouth that moves as a whole costs nothing; a shift of one landmark does.

    Raises:
        ValueError: detectors or numbers of frames differ, or the reduction is unknown.
    """
    return _distance(truth, other, MOUTH, centred=True, reduction=reduction)


def lmd_abs(truth: Detections, other: Detections, reduction: str = "mean") -> LandmarkDistance:
    """`lmd` without centring: the mouth's place counts too. Arguments, units and direction as `lmd`."""
    return _distance(truth, other, MOUTH, centred=False, reduction=reduction)


def f_lmd(truth: Detections, other: Detections, reduction: str = "mean") -> LandmarkDistance:
    """`lmd` over all 68 points of the face (F-LMD). Arguments, units and direction as `lmd`."""
    return _distance(truth, other, FACE, centred=True, reduction=reduction)


def _distance(truth: Detections, other: Detections, points: slice, centred: bool, reduction: str) -> LandmarkDistance:
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; it may be 'mean' (default) or 'sum' over points")
    if truth.detector != other.detector:
        raise ValueError(f"landmarks come from {truth.detector!r} and {other.detector!r}; detectors disagree by more "
                         "than systems do, so run one of them on both clips")
    same_length("truth", truth.points, "other", other.points)
    a, b = truth.scaled[:, points], other.scaled[:, points]
    counts = np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2))
    a, b = a[counts], b[counts]
    if centred:
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    per_frame = getattr(np.linalg.norm(a - b, axis=-1), reduction)(axis=1)
    frames = int(counts.sum())
    value = float(per_frame.mean()) if frames else float("nan")
    return LandmarkDistance(value, frames, len(counts) - frames)
