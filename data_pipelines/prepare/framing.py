"""Crop recipes of `prepare`: where the stored picture lies in the source's frames.

centre      the largest centred square; needs no labels
head        one square a clip, in which the head stays with room round it
box         one square a clip round the landmarks of all its frames and a tenth more, as videos of VoxCeleb are cut for
            models that move pictures (siarohin2019)
canonical   every frame upright, its eye corners and its nose where `crops.CANONICAL` has them (vougioukas2019, section
            3): 4:3, as wide as three quarters of its height. What is stored is what a system sees, so nothing is left
            to warp while feeding
pos224      every frame moved and scaled, not turned, as the network takes it that yi2020 has its coefficients from
            (deng2019, 224 pixels; any size here)
"""

from typing import TYPE_CHECKING

import numpy as np

from data_pipelines import crops
from data_pipelines.prepare.pictures import Picture
from data_pipelines.prepare.reasons import BadClip
from thjax.core.data_spec import CropSpec

if TYPE_CHECKING:
    from data_pipelines.prepare.labels import Track

RECIPES = ("centre", "head", "box", "canonical", "pos224")
ALIGNED = ("canonical", "pos224")
"""Of every frame, not of the clip."""
SQUARES = {"head": (1.3, 0.35), "box": (1.1, 0.0)}
"""Of recipes with one square a clip: its side, of the larger side of the box round all landmarks; and by how much of
its height that box is first made higher, for the forehead above the brows."""
POS_POINTS = np.array([[-0.31148657, 0.29036078, 0.13377953], [0.30979887, 0.28972036, 0.13179526],
                       [0.0032535, -0.04617932, 0.55244243], [-0.25216928, -0.38133916, 0.22405732],
                       [0.2484662, -0.38128236, 0.22235769]])
"""Eyes, nose and corners of the mouth of the standard face of Deep3DFaceReconstruction (preprocess_img.py), y up."""
POS_LANDMARKS = [*range(36, 48), 33, 48, 54]
"""Where they are in a face: both eyes, which count by their middles, the base of the nose, corners of the mouth."""
POS_SCALE = 102 / 224
"""Of the side, how large a unit of `POS_POINTS` becomes."""


def stored_size(crop: str, size: int) -> tuple[int, int]:
    """(height, width) of the stored frames of a recipe, for `--size`."""
    return (size, size * 3 // 4) if crop == "canonical" else (size, size)


class Framing:
    """The maps of one clip's frames to what is stored of them."""

    def __init__(self, name: str, crop: str, size: int, source: tuple[int, int], track: "Track | None"):
        """For frames of one size.

        Args:
            name: of the video, for messages.
            crop: of `RECIPES`.
            size: height of the stored frames, pixels.
            source: (H, W) of the source's frames.
            track: of the clip; all recipes but `centre` need it.

        Raises:
            BadClip: what is to be stored has fewer pixels in the source, for frames are never enlarged; or landmarks
                that are no face.
        """
        self._name, self._size = name, stored_size(crop, size)
        self._affine, self._clock = None, None
        if crop in ALIGNED:
            self._clock = track.clock[track.found]
            self._affine = self._aligned(crop, track.values["landmarks"][track.found])
            pixels = size / float(np.hypot(self._affine[:, 0, 0], self._affine[:, 1, 0]).max())
        elif crop == "centre":
            self._affine = crops.affine_for(CropSpec("centre", size, size), None, source)
            pixels = min(source)
        else:
            left, top, pixels = _square(track, *source, *SQUARES[crop])
            scale = size / pixels
            self._affine = np.array([[[scale, 0, -left * scale], [0, scale, -top * scale]]], np.float32)
        if pixels < size - 1e-3:
            what = "smallest upright face" if crop in ALIGNED else "square"
            raise BadClip("too_small", f"{name}: its {what} has {pixels:.0f} pixels ({source[1]} x {source[0]}), the "
                                       f"corpus stores {size}; frames are never enlarged: choose a smaller --size")

    def at(self, picture: Picture) -> np.ndarray:
        """The map of a picture to its stored frame, float32 `[1, 2, 3]`; between frames with a face, between theirs."""
        if self._clock is None:
            return self._affine
        moment = picture.time if self._clock.dtype.kind == "f" else picture.number
        left, right, share = neighbours(self._clock, np.array([moment]))
        return (1 - share) * self._affine[left] + share * self._affine[right]

    def _aligned(self, crop: str, landmarks: np.ndarray) -> np.ndarray:
        """Maps of the frames with a face, float32 `[M, 2, 3]`."""
        points = landmarks[:, POS_LANDMARKS if crop == "pos224" else crops.STABLE_LANDMARKS]
        if (np.ptp(points, axis=1).max(1) < 1).any():
            raise BadClip("label_mismatch", f"{self._name}: has frames whose eyes and nose lie on one point; label it "
                                            "again, or give those frames face_ok 0")
        if crop == "pos224":
            return pos_affine(landmarks, self._size[0])
        return crops.similarity(points, crops.canonical_template(*self._size))


def neighbours(known: np.ndarray, moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Between which of `known`, which rise, moments `[N]` lie: places `[N]` before and behind, equal at a known one and
    beyond the ends, and the share of the way from the one to the other, float32 `[N]`."""
    right = np.clip(np.searchsorted(known, moments), 0, len(known) - 1)
    left = np.clip(right - (known[right] > moments), 0, len(known) - 1)
    share = (moments - known[left]) / np.maximum(known[right] - known[left], 1e-9)
    return left, right, np.clip(share, 0, 1).astype(np.float32)


def _square(track: "Track", height: int, width: int, larger: float, higher: float) -> tuple[float, float, float]:
    """(left, top, side) in pixels of one square for the clip that stays inside the frame."""
    points = track.values["landmarks"][track.found].reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    y0 -= higher * (y1 - y0)
    side = min(larger * max(x1 - x0, y1 - y0), height, width)
    left = np.clip((x0 + x1 - side) / 2, 0, width - side)
    top = np.clip((y0 + y1 - side) / 2, 0, height - side)
    return float(left), float(top), float(side)


def pos_affine(landmarks: np.ndarray, side: int) -> np.ndarray:
    """Maps of frames to squares of `side`, by the pose from orthography and scaling of five points.

    The standard face is laid on the five points by two free rows of three numbers and a shift, in the sense of least
    squares; the mean length of the rows is the scale, the shift the middle of the square. The five are yi2020's: the
    middles of the eyes, the base of the nose, the corners of the mouth (deng2019 takes the nose's tip). Its rounding of
    points, and shifts by half a pixel, are left out.

    Args:
        landmarks: `[M, 68, 2]` pixels.
        side: pixels.

    Returns:
        float32 `[M, 2, 3]`, without turn.
    """
    eyes = [landmarks[:, first : first + 6].mean(1) for first in (36, 42)]
    points = np.stack([*eyes, landmarks[:, 33], landmarks[:, 48], landmarks[:, 54]], 1).astype(np.float64)
    standard = np.concatenate([POS_POINTS * (1, -1, 1), np.ones((5, 1))], 1)  # here y points down
    rows = np.linalg.pinv(standard) @ points  # [M, 4, 2]: turn and scale, then the shift
    scale = POS_SCALE * side / np.linalg.norm(rows[:, :3], axis=1).mean(1)
    shift = side / 2 - scale[:, None] * rows[:, 3]
    zero = np.zeros_like(scale)
    maps = [np.stack([scale, zero, shift[:, 0]], 1), np.stack([zero, scale, shift[:, 1]], 1)]
    return np.stack(maps, 1).astype(np.float32)
