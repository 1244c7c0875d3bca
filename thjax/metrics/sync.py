"""Audio-visual sync from embeddings: offset, confidence, LSE-D and LSE-C."""

import dataclasses
from typing import Literal

import numpy as np

from thjax.metrics.shapes import expect_shape, finite, same_length

VSHIFT = 15
"""Shifts of -15 to 15 frames are searched, as the public scripts do."""
Edges = Literal["zeros", "overlap", "inside"]
PAIRWISE_EPS = 1e-6
"""Added to every difference by torch's pairwise distance, which the published values went through."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """How frames reach the sync network; a metric's name carries the preset's.

    Attributes:
        crop: `frame` (the whole picture) or `track` (the tracked face).
        size: side in pixels that the crop is resized to.
        jpeg: whether frames go through JPEG first, as in the public scripts, which write them to disk.
    """

    crop: str
    size: int
    jpeg: bool


PRESETS = {
    "lrs": Preset("frame", 224, jpeg=True),
    "tracked": Preset("track", 224, jpeg=True),
    "lrs lossless": Preset("frame", 224, jpeg=False),
    "tracked lossless": Preset("track", 224, jpeg=False),
}
"""`lrs`: Prajwal et al. 2020 on LRS clips. `tracked`: Chung and Zisserman 2016 behind their face tracker."""


@dataclasses.dataclass(frozen=True)
class Sync:
    """What the distance curve of a clip says.

    Attributes:
        offset: frames by which the video is behind the audio; negative when the audio is behind. Best is 0.
        confidence: median minus minimum of the curve, 0 and up, higher is better. LSE-C is its mean over clips.
        distance: minimum of the curve, 0 and up, lower is better. LSE-D is its mean over clips.
    """

    offset: int
    confidence: float
    distance: float


def distance_curve(video: np.ndarray, audio: np.ndarray, vshift: int = VSHIFT, edges: Edges = "zeros") -> np.ndarray:
    """Distances between video and shifted audio, averaged over the clip's windows.

    d(s) = mean over i of |v_i - a_(i+s)|, s = -vshift .. vshift. Source: Chung and Zisserman 2016; `zeros` as the
    public script computes it.

    Args:
        video: [N, D] embeddings of the windows that start at frames 0 .. N - 1 (five frames each, N = T - 5).
        audio: [N, D] embeddings of the sound of the same windows.
        vshift: largest shift in frames.
        edges: where the shift leads out of the clip. `zeros`: the audio's embedding is zero there, as published values
            were made. `overlap`: only pairs inside the clip count. `inside`: the windows that have a partner at every
            shift, so that all shifts ask the same lips; a clip without such windows falls back to `overlap`. Zero is
            nearer to a unit vector than a strange one is, so with unit embeddings `zeros` draws the minimum to the ends
            of the search. `overlap` draws that of still lips to 0: there the clip's silent ends count in full.

    Returns:
        [2 vshift + 1], entry vshift + s for the shift s.

    Raises:
        ValueError: shapes differ, values are not finite, or another choice than `zeros` for a clip no longer than
            `vshift`.
    """
    expect_shape("video embeddings", video, ("N", "D"))
    expect_shape("audio embeddings", audio, ("N", video.shape[1]))
    same_length("video", video, "audio", audio)
    finite("video embeddings", video)
    finite("audio embeddings", audio)
    v = video.astype(np.float64)
    if edges == "inside" and len(v) > 2 * vshift:
        v, heard = v[vshift : len(v) - vshift], audio.astype(np.float64)
        return np.array([_mean_distance(v, heard[start : start + len(v)]) for start in range(2 * vshift + 1)])
    if edges != "zeros":
        return _overlapping(v, audio.astype(np.float64), vshift)
    padded = np.pad(audio.astype(np.float64), ((vshift, vshift), (0, 0)))
    shifted = (padded[start : start + len(v)] for start in range(2 * vshift + 1))
    return np.array([_mean_distance(v, a) for a in shifted])


def _overlapping(v: np.ndarray, a: np.ndarray, vshift: int) -> np.ndarray:
    n = len(v)
    if n <= vshift:
        raise ValueError(f"{n} windows leave no overlap at a shift of {vshift} frames; leave clips of fewer than "
                         f"{vshift + 1} windows out")
    pairs = ((v[max(0, -s) : n - max(0, s)], a[max(0, s) : n - max(0, -s)]) for s in range(-vshift, vshift + 1))
    return np.array([_mean_distance(x, y) for x, y in pairs])


def _mean_distance(v: np.ndarray, a: np.ndarray) -> float:
    return np.linalg.norm(v - a + PAIRWISE_EPS, axis=1).mean()


def sync(curve: np.ndarray) -> Sync:
    """Offset, confidence and distance of one clip from its `distance_curve` [2 vshift + 1].

    Offset in frames, best 0; confidence (S_conf, and LSE-C as a mean over clips), higher is better; distance (LSE-D as
    a mean over clips), lower is better; both in units of the embeddings. The search undoes an offset within its reach:
    confidence and distance do not see it. Source: Chung and Zisserman 2016; LSE after Prajwal et al. 2020.

    Raises:
        ValueError: the curve has an even number of entries, so no entry stands for shift 0.
    """
    if curve.ndim != 1 or len(curve) % 2 == 0:
        raise ValueError(f"the curve is {curve.shape}; it needs one entry for each shift from -vshift to vshift, an "
                         "odd number, as distance_curve returns")
    best = int(curve.argmin())
    return Sync(len(curve) // 2 - best, float(np.median(curve) - curve[best]), float(curve[best]))


def offset_error(made: Sync, real: Sync) -> int:
    """|offset of the generated clip - offset of the real one| in frames, 0 and up, lower is better.

    Source: S_off of Wu et al. 2023. Taking the real clip's own offset out removes the recording's.
    """
    return abs(made.offset - real.offset)
