"""The mouth: its crop and the lower face, their PSNR, and the lip gap and width, from landmarks or pixels."""

import dataclasses

import numpy as np

from thjax.metrics.image import psnr
from thjax.metrics.landmarks import MOUTH
from thjax.metrics.shapes import expect_shape

INNER_LIPS = ((61, 67), (62, 66), (63, 65))
"""Pairs of upper and lower inner lip."""
EYES = (36, 45)
"""Outer eye corners, whose distance is the unit of length."""
MARGIN = 0.25
"""The mouth box is widened by this share of its width on every side."""
CORNERS = (48, 54)
"""Outer corners of the mouth."""
NOSE_TIP = 30
LOWER_FACE = [*range(2, 15), *range(30, 36), *range(48, 68)]
"""Jaw from ear lobe to ear lobe, lower nose, lips."""


def mouth_mask(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels of the mouth crop: the bounding box of landmarks 48-67 per frame, widened by `MARGIN`.

    Args:
        landmarks: [T, 68, 2] x, y in pixels, pixel centres at +0.5.
        height: rows of a frame.
        width: columns of a frame.

    Returns:
        [T, H, W] bool.
    """
    low, high = landmarks[:, MOUTH].min(axis=1), landmarks[:, MOUTH].max(axis=1)  # [T, 2]
    margin = MARGIN * (high[:, :1] - low[:, :1])
    return _box_mask(low - margin, high + margin, height, width)


def lower_face_mask(landmarks: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixels of the lower face: from the row of the nose tip down to the chin, across the jaw. As `mouth_mask`."""
    points = landmarks[:, LOWER_FACE]
    low, high = points.min(axis=1), points.max(axis=1)
    return _box_mask(np.stack([low[:, 0], landmarks[:, NOSE_TIP, 1]], axis=1), high, height, width)


def _box_mask(low: np.ndarray, high: np.ndarray, height: int, width: int) -> np.ndarray:
    """[T, H, W] bool: pixel centres inside the box low [T, 2] to high [T, 2] of each frame."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    in_x = (x >= low[:, :1]) & (x <= high[:, :1])
    in_y = (y >= low[:, 1:]) & (y <= high[:, 1:])
    return in_y[:, :, None] & in_x[:, None, :]


def mouth_psnr(truth: np.ndarray, other: np.ndarray, landmarks: np.ndarray) -> float:
    """PSNR inside the true mouth crop, error pooled over the clip; dB, higher is better. Shapes as `psnr`."""
    return psnr(truth, other, mouth_mask(landmarks, *truth.shape[1:3]))


def lower_face_psnr(truth: np.ndarray, other: np.ndarray, landmarks: np.ndarray) -> float:
    """PSNR inside the true lower face, error pooled over the clip; dB, higher is better. Shapes as `psnr`.

    The region is ours, `lower_face_mask`: papers that report it name none alike.
    """
    return psnr(truth, other, lower_face_mask(landmarks, *truth.shape[1:3]))


def lip_gap(landmarks: np.ndarray) -> np.ndarray:
    """[T] gap between the inner lips in units of the outer-eye distance, from [T, 68, 2] landmarks."""
    eyes = np.linalg.norm(landmarks[:, EYES[0]] - landmarks[:, EYES[1]], axis=-1)
    gaps = [np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1) for upper, lower in INNER_LIPS]
    return np.mean(gaps, axis=0) / np.maximum(eyes, 1e-6)


def lip_width(landmarks: np.ndarray) -> np.ndarray:
    """[T] distance of the mouth corners in units of the outer-eye distance, from [T, 68, 2] landmarks."""
    eyes = np.linalg.norm(landmarks[:, EYES[0]] - landmarks[:, EYES[1]], axis=-1)
    return np.linalg.norm(landmarks[:, CORNERS[0]] - landmarks[:, CORNERS[1]], axis=-1) / np.maximum(eyes, 1e-6)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of two tracks [T], for example lip gaps of truth and result; -1..1, higher is better.

    0 where one of them does not move.
    """
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / scale) if scale > 1e-12 else 0.0


def correlation_in_speech(x: np.ndarray, y: np.ndarray, speech: np.ndarray) -> float:
    """`correlation` over the frames of speech alone: lips that merely rest in silence earn nothing.

    Args:
        x: [T] lip gap or width of the truth.
        y: [T] the same of the generated clip.
        speech: [T] bool, frames inside speech.

    Returns:
        -1..1, higher is better.

    Raises:
        ValueError: lengths differ, or fewer than two frames are speech.
    """
    expect_shape("speech", speech, ("T",))
    for name, track in (("the true track", x), ("the generated track", y)):
        expect_shape(name, track, speech.shape)
    inside = np.asarray(speech, bool)
    if inside.sum() < 2:
        raise ValueError(f"{int(inside.sum())} of {len(inside)} frames are speech; a correlation needs 2, so leave the "
                         "clip out and count it")
    return correlation(x[inside].astype(np.float64), y[inside].astype(np.float64))


@dataclasses.dataclass(frozen=True)
class LipGapProbe:
    """Reads the lip gap from pixels: ridge regression on the mouth patch of (frame - still).

    It needs no detector, works at any size, and is fitted on true frames of the training split alone. It reads
    re-encoded truth with some r below one: that row of a table is its ceiling.

    Attributes:
        box: (top, bottom, left, right) of the patch in pixels.
        weights: [P] of the flattened grey patch.
        mean: [P].
        offset: gap at the mean patch.
    """

    box: tuple[int, int, int, int]
    weights: np.ndarray
    mean: np.ndarray
    offset: float

    def read(self, frames: np.ndarray, still: np.ndarray) -> np.ndarray:
        """[T] lip gap of frames [T, H, W, 3] uint8 whose clip has `still` [H, W, 3] uint8."""
        return (_patches(frames, still, self.box) - self.mean) @ self.weights + self.offset


def fit_lip_gap_probe(clips, ridge: float = 10.0) -> LipGapProbe:
    """Fits the probe.

    Args:
        clips: list of (frames [T, H, W, 3] uint8, still [H, W, 3] uint8, landmarks [T, 68, 2]).
        ridge: penalty, in units of the mean variance of a patch's pixels.

    Raises:
        ValueError: no clip was given.
    """
    if not clips:
        raise ValueError("the lip-gap probe needs at least one training clip with landmarks")
    height, width = clips[0][0].shape[1:3]
    points = np.concatenate([landmarks[:, MOUTH].reshape(-1, 2) for _, _, landmarks in clips])
    low, high = np.percentile(points, 1, axis=0), np.percentile(points, 99, axis=0)
    left, top = np.clip(np.floor(low - 2), 0, (width - 2, height - 2)).astype(int)
    right, bottom = np.clip(np.ceil(high + 2), (left + 2, top + 2), (width, height)).astype(int)
    box = (int(top), int(bottom), int(left), int(right))
    inputs = np.concatenate([_patches(frames, still, box) for frames, still, _ in clips])
    gaps = np.concatenate([lip_gap(landmarks) for _, _, landmarks in clips])
    mean, offset = inputs.mean(axis=0), float(gaps.mean())
    centred = inputs - mean
    gram = centred.T @ centred
    penalty = ridge * np.trace(gram) / len(gram)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), centred.T @ (gaps - offset))
    return LipGapProbe(box, weights, mean, offset)


def _patches(frames: np.ndarray, still: np.ndarray, box) -> np.ndarray:
    """[T, P] flattened grey difference to the still inside the box, on 0..1."""
    top, bottom, left, right = box
    region = (slice(top, bottom), slice(left, right))
    grey = frames[:, *region].astype(np.float64).mean(axis=-1) - still[region].astype(np.float64).mean(axis=-1)
    return grey.reshape(len(frames), -1) / 255
