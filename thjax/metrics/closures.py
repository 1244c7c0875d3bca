"""Bilabial closures: whether the lips meet where p, b and m are spoken, and only there."""

import dataclasses

import numpy as np

from thjax.metrics.merging import Ratio
from thjax.metrics.shapes import expect_shape

CLOSED_GAP = 0.02
"""Lip gap in units of the outer-eye distance below which the lips count as closed: half a pixel to one at 128."""
TOLERANCE = 1
"""Frames by which a closure may lie beside its sound."""
FAR = 3
"""Frames from the nearest bilabial beyond which closed lips are a mistake."""


@dataclasses.dataclass(frozen=True)
class Closures:
    """Closures of a clip; `+` pools clips.

    Attributes:
        recall: share of the bilabials that the generated lips close for; 0..1, higher is better.
        precision: share of the generated closures that belong to a bilabial; 0..1, higher is better. Lips that never
            close have none, and no precision.
    """

    recall: Ratio
    precision: Ratio

    def __add__(self, other: "Closures") -> "Closures":
        return Closures(self.recall + other.recall, self.precision + other.precision)


def lips_closed(gap: np.ndarray) -> np.ndarray:
    """[T] bool from a lip gap [T] in units of the outer-eye distance, as `mouth.lip_gap` gives it."""
    return np.asarray(gap) < CLOSED_GAP


def closures(bilabials: np.ndarray, closed: np.ndarray, truth_closed: np.ndarray, speech: np.ndarray) -> Closures:
    """Recall and precision of closures within one frame, over speech frames only; 0..1 each, higher is better.

    A bilabial counts towards recall when the truth closes for it as well: some are shorter than a frame. It is recalled
    when the generated lips are closed in one of its frames or one frame beside. A generated closure is a run of closed
    frames inside speech; it is right when a bilabial, or one frame beside it, touches the run.

    Args:
        bilabials: [K, 2] first and last moment of every p, b and m, in frames (seconds times frames a second).
        closed: [T] bool, generated lips.
        truth_closed: [T] bool, true lips.
        speech: [T] bool, frames inside speech; silence closes lips for free.

    Raises:
        ValueError: shapes differ, or a bilabial ends before it begins.
    """
    bilabials = np.asarray(bilabials, np.float64)
    if bilabials.size:
        expect_shape("bilabials", bilabials, ("K", 2))
    bilabials = bilabials.reshape(-1, 2)
    expect_shape("speech", np.asarray(speech), ("T",))
    for name, track in (("closed", closed), ("truth_closed", truth_closed)):
        expect_shape(name, np.asarray(track), speech.shape)
    if (bilabials[:, 1] < bilabials[:, 0]).any():
        wrong = bilabials[bilabials[:, 1] < bilabials[:, 0]][0]
        raise ValueError(f"a bilabial runs from {wrong[0]} to {wrong[1]}; give (start, end) with the end last")
    inside = np.asarray(speech, bool)
    near = _frames_near(bilabials, len(inside)) & inside  # [K, T]
    expected = (near & truth_closed).any(axis=1)
    recalled = expected & (near & closed).any(axis=1)
    runs = _runs(np.asarray(closed, bool) & inside)
    right = sum(bool(near[:, start:end].any()) for start, end in runs)
    return Closures(Ratio(int(recalled.sum()), int(expected.sum())), Ratio(right, len(runs)))


def false_closures(bilabials: np.ndarray, closed: np.ndarray, speech: np.ndarray) -> Ratio:
    """Share of speech frames with lips closed more than three frames away from any p, b or m; 0..1, lower is better.

    Args:
        bilabials: [K, 2] first and last moment of every p, b and m, in frames.
        closed: [T] bool, generated lips.
        speech: [T] bool, frames inside speech.

    Raises:
        ValueError: shapes differ.
    """
    expect_shape("speech", np.asarray(speech), ("T",))
    expect_shape("closed", np.asarray(closed), speech.shape)
    near = _frames_near(np.asarray(bilabials, np.float64).reshape(-1, 2), len(speech), FAR).any(axis=0)
    inside = np.asarray(speech, bool)
    return Ratio(int((inside & closed & ~near).sum()), int(inside.sum()))


def _frames_near(bilabials: np.ndarray, length: int, tolerance: int = TOLERANCE) -> np.ndarray:
    """[K, T] bool: the frames t, each from t to t + 1, that a bilabial touches, and `tolerance` more on either side."""
    first, end = np.floor(bilabials[:, :1]), np.ceil(bilabials[:, 1:])
    last = np.maximum(end - 1, first)
    frames = np.arange(length)
    return (frames >= first - tolerance) & (frames <= last + tolerance)


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of every run of set flags."""
    edges = np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True))
