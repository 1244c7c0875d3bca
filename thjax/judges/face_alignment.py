"""Where the judge of faces looks: the whole frame first, then the face and the mouth upright and at one size; and how
head poses follow a picture that is turned, shifted and zoomed."""

import numpy as np

from data_pipelines.crops import CANONICAL, STABLE_LANDMARKS, similarity, transform_points, warp
from data_pipelines.synthetic.frame_renderer import camera
from thjax.face3d.camera import rotation_angles, rotation_matrix
from thjax.judges.regions import MOUTH_BOX, MOUTH_SIDE

FINDER_SIDE = 48
"""Pixels of the square that a whole frame is brought to, its border repeated where it is no square."""
FACE_SIDE = 64
"""Pixels of the upright face's side."""
FACE_BOX = (-8.0, 4.0, 64.0)
"""Left, top and side of the face's square in 64ths of the canonical crop's height: brows to chin, ear to ear."""
STABLE = list(STABLE_LANDMARKS)


def finder_affine(height: int, width: int) -> np.ndarray:
    """Maps a frame to the finder's square, float32 `[2, 3]`."""
    scale = FINDER_SIDE / max(height, width)
    return np.array([[scale, 0, (FINDER_SIDE - scale * width) / 2], [0, scale, (FINDER_SIDE - scale * height) / 2]],
                    np.float32)


def box_affine(stable: np.ndarray, box: tuple[float, float, float], side: int) -> np.ndarray:
    """Maps frames to squares of `side` pixels that show `box`, from stable points `[T, 5, 2]`: float32 `[T, 2, 3]`."""
    left, top, extent = box
    template = (CANONICAL.astype(np.float64) * 64 - (left, top)) * (side / extent)
    return similarity(stable, template)


def finder_view(frames: np.ndarray) -> np.ndarray:
    """Whole frames `[T, H, W, 3]` as the finder sees them: uint8 `[T, 48, 48, 3]`."""
    affine = np.broadcast_to(finder_affine(*frames.shape[1:3]), (len(frames), 2, 3))
    return warp(frames, affine, (FINDER_SIDE, FINDER_SIDE))


def reader_views(frames: np.ndarray, stable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The face and the mouth upright.

    Args:
        frames: uint8 `[T, H, W, 3]`.
        stable: `[T, 5, 2]` nose base and eye corners (`STABLE_LANDMARKS`), pixels of `frames`.

    Returns:
        uint8 `[T, 64, 64, 3]`, uint8 `[T, 48, 48, 3]`, and the map from frames to the face's square, `[T, 2, 3]`.
    """
    to_face = box_affine(stable, FACE_BOX, FACE_SIDE)
    face = warp(frames, to_face, (FACE_SIDE, FACE_SIDE))
    mouth = warp(frames, box_affine(stable, MOUTH_BOX, MOUTH_SIDE), (MOUTH_SIDE, MOUTH_SIDE))
    return face, mouth, to_face


def angle_of(affine: np.ndarray) -> np.ndarray:
    """Clockwise turn of similarities `[T, 2, 3]`, rad `[T]`."""
    return np.arctan2(affine[:, 1, 0], affine[:, 0, 0])


def scale_of(affine: np.ndarray) -> np.ndarray:
    """Magnification of similarities `[T, 2, 3]`, `[T]`."""
    return np.hypot(affine[:, 0, 0], affine[:, 1, 0])


def turned(rotation: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Head rotations `[T, 3]` in a picture turned clockwise by `angle` `[T]`, all rad."""
    about_axis = np.zeros((len(angle), 3))
    about_axis[:, 2] = angle
    return rotation_angles(rotation_matrix(about_axis) @ rotation_matrix(np.asarray(rotation, np.float64)))


def place_in_picture(translation: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a head stands: its frame's origin in pixels `[T, 2]`, and pixels a millimetre `[T]`.

    Args:
        translation: `[T, 3]` mm, in a whole frame of the embedded corpus.
        height, width: of the frame, pixels.
    """
    scale = camera(height).focal / translation[:, 2]
    return translation[:, :2] * scale[:, None] + (width / 2, height / 2), scale


def place_in_space(origin: np.ndarray, scale: np.ndarray, height: int, width: int) -> np.ndarray:
    """The inverse of `place_in_picture`: translation `[T, 3]` mm as though the frame were a whole one of the corpus."""
    return np.concatenate([(origin - (width / 2, height / 2)) / scale[:, None],
                           (camera(height).focal / scale)[:, None]], axis=1)


def points_through(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """One point a frame `[T, 2]` through maps `[T, 2, 3]`."""
    return transform_points(points[:, None], affine)[:, 0]
