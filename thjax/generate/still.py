"""From a user's picture to the crop that a network was trained on, and the landmarks that guide it."""

import logging
import os

import numpy as np

from data_pipelines import crops, media
from data_pipelines.schema import LANDMARKS, DataError
from thjax.core import files
from thjax.core.data_spec import CropSpec

log = logging.getLogger(__name__)


def prepare_still(
    picture: np.ndarray, landmarks: np.ndarray | None, crop: CropSpec, template: np.ndarray | None = None
) -> np.ndarray:
    """Cuts the face out of a picture as the training frames were cut out.

    Args:
        picture: [H, W, 3] uint8.
        landmarks: [68, 2] x, y in pixels of the picture, or None.
        crop: recipe and size of the training frames.
        template: [5, 2] where a model wants `crops.STABLE_LANDMARKS`, in pixels of the crop, if not at our places.

    Returns:
        [h, w, 3] uint8 of the crop's size. A picture of that size is returned as it is, unless landmarks are given.
    """
    size = crop.height, crop.width
    if landmarks is None and picture.shape[:2] == size:
        return picture
    if landmarks is not None:
        landmarks = check_landmarks(landmarks)
    if landmarks is not None and template is not None:
        affine = crops.similarity(landmarks[None, crops.STABLE_LANDMARKS], template)
        return crops.warp(picture[None], affine, size)[0]
    still, aligned = crops.crop_still(picture, landmarks, crop)
    if not aligned and crop.recipe == "canonical":
        log.warning(
            "no landmarks: taking the middle of the picture, which suits the model only if the face fills it as in its "
            "training frames; landmarks (--landmarks FILE) place it exactly"
        )
    elif not aligned and landmarks is not None:
        log.warning("the model's crop recipe %r uses no landmarks; taking the middle of the picture", crop.recipe)
    return still


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A user's picture as [H, W, 3] uint8.

    Raises:
        DataError: as `media.read_image`, and a grey picture in a file of colours: its channels are all alike.
    """
    picture = media.read_image(path)
    if (picture == picture[..., :1]).all():
        raise DataError(f"{path}: a grey image, its three channels are alike; the networks know colour only, give a "
                        "picture in colour")
    return picture


def check_landmarks(landmarks: np.ndarray, name: str = "landmarks") -> np.ndarray:
    """[68, 2] float32, if they are.

    Raises:
        DataError: another shape, or values that are not finite.
    """
    landmarks = np.asarray(landmarks)
    if landmarks.shape != (LANDMARKS, 2) or landmarks.dtype.kind not in "fiu":
        raise DataError(
            f"{name}: {landmarks.dtype} of shape {landmarks.shape}; give {LANDMARKS} rows of x, y in image pixels"
        )
    if not np.isfinite(landmarks).all():
        raise DataError(f"{name}: some coordinates are not finite; all {LANDMARKS} points are needed")
    return landmarks.astype(np.float32)


def read_landmarks(path: str | os.PathLike) -> np.ndarray:
    """Landmarks of one face: 68 points in iBUG order, x and y in pixels of the picture.

    Args:
        path: `.npz` (array `landmarks`, or its only array), `.npy`, or text with 68 lines of two numbers, separated by
            commas or blanks; lines that start with a letter, `#`, `{` or `}` are skipped, so that `.pts` files work.

    Returns:
        [68, 2] float32.

    Raises:
        DataError: missing, empty, or other content.
    """
    path = media.existing_file(path, "landmark")
    try:
        if path.suffix in (".npz", ".npy"):
            loaded = np.load(path, allow_pickle=False)
            if path.suffix == ".npz":
                name = "landmarks" if "landmarks" in loaded else loaded.files[0]
                loaded = loaded[name]
            points = np.squeeze(loaded)
        else:
            lines = [line.strip() for line in path.read_text().splitlines()]
            rows = [line for line in lines if line and not line[0].isalpha() and line[0] not in "#{}"]
            points = np.array([[float(value) for value in row.replace(",", " ").split()] for row in rows])
    except (*files.DAMAGED_NPZ, IndexError) as error:
        wanted = f"give {LANDMARKS} rows of x, y as .npz, .csv or .txt"
        raise DataError(f"{path}: no landmarks ({error}); {wanted}") from error
    return check_landmarks(points, str(path))
