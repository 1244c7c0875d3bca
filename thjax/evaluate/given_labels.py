"""What a face tracker says of videos and of their references, in place of our judge of faces: the detectors of the
papers' own tables. `thjax label` writes such labels with dlib or mediapipe, OpenFace writes them as CSV files."""

import dataclasses
import logging
import pathlib

import numpy as np

from data_pipelines.prepare import labels
from data_pipelines.prepare.pictures import Pictures
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.folder import UNNAMED
from data_pipelines.readers.reference import Location
from data_pipelines.schema import FPS
from thjax.core.errors import UserError
from thjax.evaluate.judges import SMALLEST_FRAME, Judges
from thjax.evaluate.measures.clip import tracks
from thjax.evaluate.measures.sheet import Measurement
from thjax.evaluate.truth import ClipTruth, Seen
from thjax.judges.face import lip_gap
from thjax.metrics.names import metric_name

log = logging.getLogger(__name__)
LABELLED = ("lmd[labels]", "lmd_abs[labels]", "f_lmd[labels]", "blink_rate_ear[labels]")
"""What a clip lacks, among others, whose labels cannot be used; nobody knows the tracker's name."""
LANDMARKS_ALONE = ("mediapipe", "dlib")
"""Trackers whose poses and action units we have guessed from their landmarks."""
HALF_FRAME = 0.5 / FPS
LABELS_MISSING, TWO_TRACKERS = "no labels that fit the files", "labels of the two sides by different trackers"
HS_ALONE = "similarity of head poses decides nothing without its controls, and those are made with our own judge alone"
_AS_IT_IS = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)


@dataclasses.dataclass(frozen=True)
class Film:
    """The pictures of a file at 25 a second, each [T] but `frames`.

    Attributes:
        frames: [T, H, W, 3] uint8.
        times: seconds of the source's frames from the first.
        numbers: of the source's frames, from 0.
        there: False where the source lacks a frame and this is the one before.
        read: the source's rate, its number of frames, whether they are shown as they are coded.
    """

    frames: np.ndarray
    times: np.ndarray
    numbers: np.ndarray
    there: np.ndarray
    read: Pictures


@dataclasses.dataclass(frozen=True)
class GivenTrack:
    """Labels of a clip, as `thjax.judges.face.Track` has them; None where the tracker has none.

    Attributes:
        tracker: who made them.
        landmarks: [T, 68, 2] pixels.
        found: [T] bool; frames between those that were looked at count, if the tracker found the face on both sides.
        au: [T, 17] on 0..5, or None. Units that were guessed from landmarks are no action units.
        au_presence: [T, 18] 0 or 1, or None, as `au`.
        pose: [T, 6] in the camera of the whole frame, or None. What `thjax label` fits to landmarks is no tracker's.
    """

    tracker: str
    landmarks: np.ndarray
    found: np.ndarray
    au: np.ndarray | None
    au_presence: np.ndarray | None
    pose: np.ndarray | None

    @property
    def lip_gap(self) -> np.ndarray:
        """[T] distance of the inner lips over that of the outer eye corners."""
        return lip_gap(self.landmarks)

    def cut(self, frames: int, scale: np.ndarray) -> "GivenTrack":
        """The first `frames`, the last one held where there are fewer; landmarks times `scale` [2]."""
        rows = np.minimum(np.arange(frames), len(self.found) - 1)
        part = lambda values: None if values is None else values[rows]
        return GivenTrack(self.tracker, self.landmarks[rows] * scale, self.found[rows], part(self.au),
                          part(self.au_presence), part(self.pose))

    def statue(self) -> "GivenTrack":
        """The first frame throughout."""
        return self.cut(1, np.ones(2)).cut(len(self.found), np.ones(2))


class _Told:
    """A judge of faces that says what it was told."""

    def __init__(self, track: GivenTrack):
        self._track, self.label = track, track.tracker

    def measure(self, frames: np.ndarray) -> GivenTrack:
        return self._track


class GivenLabels:
    """Labels of videos and of their references by one tracker. What they say stands beside what our judge of faces
    sees, under the tracker's name, for the videos and for the first frame copied.

    Args:
        made: folder of the labels of videos, named as `thjax label --corpus folder` names them:
            `folder/SPEAKER/CLIP.npz`, or .csv of OpenFace.
        true: of those of references.

    Raises:
        UserError: no such folder.
    """

    def __init__(self, made: pathlib.Path, true: pathlib.Path):
        for folder in (made, true):
            if not folder.is_dir():
                raise UserError(f"--labels {folder} is no folder; give what `thjax label --corpus folder` wrote")
        self._folders = made, true
        self._sides: dict[str, tuple[GivenTrack, GivenTrack] | str] = {}

    def read(self, truth: ClipTruth, name: str, made: tuple[pathlib.Path, Film],
             true: tuple[pathlib.Path, Film]) -> None:
        """Reads the labels of a clip; where they do not fit, says so once and remembers it.

        Args:
            truth: of the size and length at which the clip is judged.
            name: of the clip below the folder of videos.
            made, true: the file of each side and its pictures.
        """
        size = np.array(truth.frames.shape[2:0:-1])
        try:
            sides = [_read(folder, name, path, film).cut(len(truth.frames), size / np.array(film.frames.shape[2:0:-1]))
                     for folder, (path, film) in zip(self._folders, (made, true), strict=True)]
        except BadClip as error:
            log.warning("%s", error)
            self._sides[truth.key] = LABELS_MISSING
            return
        one_tracker = sides[0].tracker == sides[1].tracker
        self._sides[truth.key] = tuple(sides) if one_tracker else TWO_TRACKERS

    def measure(self, row: str, truth: ClipTruth, sheet: Measurement) -> None:
        """Writes down what the labels say of a clip in a row, if anything."""
        sides = self._sides[truth.key]
        if row not in ("ours", "copy_first_frame"):
            return
        if isinstance(sides, str):
            sheet.leave_out(sides, *LABELLED)
            return
        made, true = sides
        sound = np.zeros_like(truth.audio)
        # A size that any judge takes: none looks at pixels here, and landmarks come with it.
        height, width = truth.frames.shape[1:3]
        scale = max(1.0, SMALLEST_FRAME / min(height, width))
        blank = np.zeros((len(truth.frames), round(scale * height), round(scale * width), 1), np.uint8)
        real, seen = (Seen(blank, sound, Judges(face=_Told(track.cut(len(blank), np.full(2, scale)))))
                      for track in (true, made if row == "ours" else true.statue()))
        tracks(truth, real, seen, sheet)
        for name in (metric_name(base, made.tracker) for base in ("hs", "hs_union")):
            if sheet.values.pop(name, None) is not None:
                sheet.leave_out(HS_ALONE, name)


def _read(folder: pathlib.Path, name: str, path: pathlib.Path, film: Film) -> GivenTrack:
    parts = pathlib.PurePosixPath(name).with_suffix("").parts
    key = "/".join(("folder", *(parts[:-1] or (UNNAMED,)), parts[-1]))
    track = labels.load(folder, key, Location(str(path)))
    track = track.on_clock(str(path), film.read, film.numbers, film.times, 1 / film.read.frames_per_second)
    posed = track.values.get("pose")
    unposed = {field: values for field, values in track.values.items() if field != "pose"}
    size = film.frames.shape[1:3]
    given = dataclasses.replace(track, values=unposed).at(film.times, film.there, _AS_IT_IS, size, size)
    pose = None
    if posed is not None and track.tracker not in LANDMARKS_ALONE:  # of the whole frame's camera, not of a crop's
        known = track.times[track.found]
        pose = np.stack([np.interp(film.times, known, column) for column in posed[track.found].T], axis=1)
    own = {name for name, source in given["label_source"].items() if source == track.tracker}
    units = (given[name] if name in own else None for name in ("au", "au_presence"))
    found = (given["face_ok"] > 0) & ~_lost(track, film.times)
    return GivenTrack(track.tracker, given["landmarks"], found, *units, pose)


def _lost(track: labels.Track, times: np.ndarray) -> np.ndarray:
    """[T] bool: frames in whose place, or on one side of which, the tracker looked and found no face.

    OpenFace leaves rows out where it finds none, so what lies between its rows is lost, too.
    """
    after = np.searchsorted(track.times, times - HALF_FRAME)
    here = (after < len(track.times)) & (track.times[np.minimum(after, len(track.times) - 1)] <= times + HALF_FRAME)
    right, left = np.minimum(after, len(track.times) - 1), np.maximum(after - 1, 0)
    beside = ~track.found[right] | np.where(here, False, ~track.found[left])
    return beside | (~here if track.numbers is not None else False)
