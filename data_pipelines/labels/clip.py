"""Tracks one clip: the pictures that `prepare` will store, the face in them, its pose and its action units."""

import dataclasses
import functools
import time

import numpy as np

from data_pipelines import schema
from data_pipelines.labels import following, geometric_au
from data_pipelines.labels.head_pose import head_pose
from data_pipelines.labels.trackers import TRACKERS
from data_pipelines.prepare import openface
from data_pipelines.prepare.labels import LONGEST_GAP
from data_pipelines.prepare.opened import opened, sha256
from data_pipelines.prepare.pictures import Pictures
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import ClipReference
from data_pipelines.schema import DataError


@dataclasses.dataclass(frozen=True)
class Request:
    """How clips are labelled. Everything here changes labels.

    Attributes:
        tracker: a name of `TRACKERS`.
        every: of the pictures at 25 a second, each so many-th is looked at, and the last; `prepare` interpolates
            those between and flags them.
        focal: of the camera, pixels of the video; None: what OpenFace assumes.
    """

    tracker: str
    every: int = 1
    focal: float | None = None

    def __post_init__(self):
        if self.tracker not in TRACKERS:
            raise DataError(f"tracker {self.tracker!r} is unknown; known: {', '.join(TRACKERS)}")
        if not 1 <= self.every <= LONGEST_GAP:
            raise DataError(f"every {self.every} must be 1 to {LONGEST_GAP}: longer gaps are masked, not interpolated")
        if self.focal is not None and not 0 < self.focal < float("inf"):
            raise DataError(f"focal {self.focal} must be pixels above 0")


@dataclasses.dataclass(frozen=True)
class Labelled:
    """What was found in a clip.

    Attributes:
        content: of its npz file, see data_pipelines/prepare/labels.py; `pictures` is their number at 25 a second.
        seconds: that it took.
    """

    content: dict[str, np.ndarray]
    seconds: float


def label_clip(reference: ClipReference, request: Request) -> Labelled:
    """Labels of a clip; the same for the same file, whatever was labelled before.

    Raises:
        BadClip: it cannot be decoded as `prepare` wants it, or shows no face.
        DataError: the tracker cannot be loaded, or PyAV is missing.
    """
    started, tracker = time.monotonic(), _loaded(request.tracker)
    times, faces, pictures, size = _looked_at(reference, request.every, tracker)
    landmarks, found = following.follow(faces)
    focal, centre = request.focal or openface.default_focal(*size), openface.optical_centre(*size)
    pose = np.zeros((len(times), len(schema.POSE)))
    pose[found] = head_pose(landmarks[found], focal, centre)
    found &= np.isfinite(pose).all(1) & (pose[:, 2] > 0)
    pose[~found] = 0
    if not found.any():
        raise BadClip("no_face", f"{reference.video}: {request.tracker} finds no face in any of {len(times)} pictures; "
                                 "try the other --tracker, or leave the clip out")
    units = np.zeros((len(times), len(schema.AU_INTENSITY)), np.float32)
    units[found] = geometric_au.action_units(landmarks[found], pose[found], focal, centre)
    length, digest = sha256(reference.video)
    return Labelled({
        "times": np.array(times), "landmarks": landmarks, "face_ok": found.astype(np.uint8),
        "pose": pose.astype(np.float32), "focal": np.float64(request.focal or np.nan),
        "au": units, "au_source": np.array(geometric_au.SOURCE), "tracker": np.array(request.tracker),
        "tracker_version": np.array(tracker.version), "every": np.array(request.every),
        "pictures": np.array(pictures), "video_bytes": np.array(length), "video_sha256": np.array(digest),
    }, time.monotonic() - started)


def _looked_at(reference: ClipReference, every: int, tracker) -> tuple[list[float], list, int, tuple[int, int]]:
    """Times and faces of the pictures that are looked at, the number of all pictures, and their (H, W)."""
    times, faces, count, waiting, size = [], [], 0, None, None
    with opened(reference.video) as container:
        for picture in Pictures(container, str(reference.video)):
            if size not in (None, picture.image.shape[:2]):
                raise BadClip("unreadable", f"{reference.video}: the size changes from {size} to "
                                            f"{picture.image.shape[:2]} within the file; convert it")
            size = picture.image.shape[:2]
            new = not times or picture.time > times[-1]  # a source below 25 a second shows a frame twice
            if new and count % every == 0:
                times.append(picture.time)
                faces.append(tracker.faces(picture.image))
                new = False
            waiting = picture if new else None
            count += 1
    if waiting is not None:
        times.append(waiting.time)
        faces.append(tracker.faces(waiting.image))
    return times, faces, count, size


@functools.cache
def _loaded(name: str):
    return TRACKERS[name]
