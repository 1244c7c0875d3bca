"""What a user's photograph shows: the action units and the head pose that a generator needs to move it."""

import argparse
import dataclasses
import logging
from pathlib import Path

import numpy as np

from data_pipelines import crops, media
from data_pipelines.schema import AU_INTENSITY, POSE
from thjax.core import files
from thjax.core.data_spec import CropSpec
from thjax.core.errors import UserError

log = logging.getLogger(__name__)
AU_MOST = 5.0


def read_labels(path: Path) -> np.ndarray:
    """Labels of a photograph.

    Args:
        path: .npz with `au` [17], 0 to 5, and `pose` [6], mm and rad: order and camera of data_pipelines/schema.py, as
            the crop that the generator sees shows them.

    Returns:
        [23] f32, order `CHANNELS`.

    Raises:
        UserError: no such file, arrays that are missing or of another shape, or numbers out of range.
    """
    try:
        with np.load(media.existing_file(path, "label"), allow_pickle=False) as loaded:
            parts = {name: np.squeeze(loaded[name]) for name in ("au", "pose")}
    except (*files.DAMAGED_NPZ, KeyError) as error:
        raise UserError(f"--labels {path}: {error}; give an .npz with au [17] and pose [6]") from error
    for name, names in (("au", AU_INTENSITY), ("pose", POSE)):
        if parts[name].shape != (len(names),) or not np.isfinite(parts[name]).all():
            raise UserError(f"--labels {path}: {name} of shape {parts[name].shape}; give {len(names)} finite numbers: "
                            f"{', '.join(names)}")
    if parts["au"].min() < 0 or parts["au"].max() > AU_MOST:
        raise UserError(f"--labels {path}: au from {parts['au'].min():g} to {parts['au'].max():g}; intensities are 0 "
                        "to 5")
    return np.concatenate([parts["au"], parts["pose"]]).astype(np.float32)


def labels_of(image: np.ndarray, picture: np.ndarray, crop: CropSpec, arguments: argparse.Namespace) -> np.ndarray:
    """Labels [23] of a photograph, in the way that the user has named.

    Args:
        image: [H, W, 3] uint8, as it was given.
        picture: [h, w, 3] uint8, as the generator sees it.
        crop: that leads from one to the other.
        arguments: of the command.

    Raises:
        UserError: nobody says what they are, or no face is found.
    """
    if arguments.labels:
        return read_labels(arguments.labels)
    if arguments.tracker:
        return tracked(image, crop, arguments)
    if arguments.rendered_labels:
        return judged(picture, arguments)
    raise UserError(
        f"what {arguments.image} shows is not known: its action units and head pose. Give --labels FILE.npz with au "
        "[17] and pose [6] of the crop, for example from OpenFace 2; or take --tracker mediapipe, in an environment "
        "with the extra `track`; or --rendered_labels, a network that has seen rendered faces alone"
    )


def tracked(image: np.ndarray, crop: CropSpec, arguments: argparse.Namespace) -> np.ndarray:
    """Labels [23]: the head pose of the largest face that a tracker finds, in the generator's crop, and a face at rest.

    Action units are differences from a face at rest, which one picture does not show.

    Raises:
        DataError: the tracker cannot be loaded.
        UserError: it finds no face, or one that no head in front of the camera shows.
    """
    from data_pipelines.labels import following, head_pose, trackers
    from data_pipelines.prepare.crop_pose import FOCAL

    landmarks, found = following.follow([trackers.TRACKERS[arguments.tracker].faces(image)])
    if not found[0]:
        raise UserError(f"--tracker {arguments.tracker} finds no face in {arguments.image}; try the other tracker, or "
                        "give --labels FILE.npz")
    affine = crops.affine_for(dataclasses.replace(crop, recipe="centre"), None, image.shape[:2])
    seen = crops.transform_points(landmarks, affine)
    pose = head_pose.head_pose(seen, FOCAL * crop.height, (crop.width / 2, crop.height / 2))[0]
    if not np.isfinite(pose).all() or pose[2] <= 0:
        raise UserError(f"--tracker {arguments.tracker}: the landmarks of {arguments.image} fit no head in front of "
                        "the camera; give --labels FILE.npz")
    log.warning("--tracker %s: the face of %s is taken to be at rest, with all action units 0: one picture does not "
                "show how far it is from there", arguments.tracker, arguments.image)
    return np.concatenate([np.zeros(len(AU_INTENSITY)), pose]).astype(np.float32)


def judged(picture: np.ndarray, arguments: argparse.Namespace) -> np.ndarray:
    """Labels [23] as the judge of faces reads them, with a warning.

    Raises:
        UserError: it sees no face.
    """
    from thjax.judges.face import Judge

    log.warning("--rendered_labels: the labels of %s come from a network that has seen rendered faces alone; on a "
                "photograph they may be far off", arguments.image)
    seen = Judge.load().measure(picture[None])
    if not seen.found[0]:
        raise UserError(f"--rendered_labels: no face was found in {arguments.image}; give --labels FILE.npz")
    return np.concatenate([seen.au[0], seen.pose[0]]).astype(np.float32)
