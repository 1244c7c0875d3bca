"""Labels of the source's frames, from an npz or an OpenFace CSV file for each clip, carried to the stored frames.

`DIR/<key>.csv` with `DIR/<key>.json`: see data_pipelines/prepare/openface.py.
`DIR/<key>.npz`, key as "corpus/speaker/clip", holds
    times       float64 [M], seconds from the video's first frame, rising: the frames that were looked at
    landmarks   float32 [M, 68, 2], pixels of the upright source frame, iBUG order, pixel centres at +0.5
    face_ok     uint8 [M], 1 where a face was found
    tracker     str: openface_csv, mediapipe, dlib, exact or npz
    video_bytes int and video_sha256 str of the file that was tracked
and perhaps au [M, 17], au_presence [M, 18] and blink [M], see data_pipelines/schema.py;
    au_source   str, where action units are not the tracker's own: geometric(approximate), which is taken for said
                where the tracker is mediapipe or dlib, for they have none
    pose        float32 [M, 6], of the head in the camera of the whole frame, order and signs of `schema.POSE`
    focal       float, of that camera in pixels, NaN for what OpenFace assumes; must be there where pose is. The camera
                looks along `openface.optical_centre`
    tracker_version, every      how it was made, for the ledger
What other networks made of the same frames may stand beside it, see data_pipelines/prepare/network_labels.py.
"""

import dataclasses
from pathlib import Path
from typing import Protocol

import numpy as np

from data_pipelines import crops, schema
from data_pipelines.prepare import crop_pose, network_labels, openface
from data_pipelines.prepare.framing import neighbours
from data_pipelines.prepare.opened import sha256
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import Location
from thjax.core import files

SOURCES = ("exact", openface.SOURCE, "mediapipe", "dlib", "npz")
GUESSED = "geometric(approximate)"
AU_SOURCES = ("exact", openface.SOURCE, "npz", GUESSED)
"""Of action units, which may be guessed from landmarks; then the name says so.

mediapipe and dlib give none: what comes with their landmarks and names no source was guessed from these.
"""
SUFFIXES = (".npz", ".csv", ".json")
"""Of the files that may hold a clip's labels."""
LONGEST_GAP = 12
"""Frames without a face in a row that are interpolated; longer gaps are masked."""
SIZE_OF_FACES = 4.0
"""Factor of the clip's median by which landmarks may spread more or less and still be of its face."""
_SHAPES = {"landmarks": (schema.LANDMARKS, 2), "au": (len(schema.AU_INTENSITY),),
           "au_presence": (len(schema.AU_PRESENCE),), "blink": (), "pose": (len(schema.POSE),)}
_NOT_BETWEEN = ("au_presence", "blink")  # presences have no middle: the nearest frame's is taken


class Read(Protocol):
    """What is known of a video after it was read, as `pictures.Pictures` has it."""

    decoded: int
    as_coded: bool


@dataclasses.dataclass(frozen=True)
class Track:
    """Labels of one clip on its source's frames.

    Attributes:
        times: float64 `[M]` s from the first frame, rising.
        found: bool `[M]`, where a face was found.
        values: field to float32 `[M, ...]`, landmarks and pose those of the whole source frame.
        tracker: of `SOURCES`.
        numbers: int64 `[M]`, the frames' numbers from 0, where `times` are not the video's own; else None.
        facts: how the labels were made, for the ledger; `focal` is that of the pose's camera.
        sources: field to who made it, where that is not the tracker: a network, or `AU_SOURCES` of action units.
        coefficient_names: of `values["coefficients"]`, else None.
        identity: float32 `[512]` of length 1, else None.
    """

    times: np.ndarray
    found: np.ndarray
    values: dict[str, np.ndarray]
    tracker: str
    numbers: np.ndarray | None = None
    facts: dict = dataclasses.field(default_factory=dict)
    sources: dict[str, str] = dataclasses.field(default_factory=dict)
    coefficient_names: list[str] | None = None
    identity: np.ndarray | None = None

    @property
    def clock(self) -> np.ndarray:
        """`[M]` what tells the frames: `numbers` where there are, else `times`."""
        return self.times if self.numbers is None else self.numbers

    def of_faces(self, name: str, height: int, width: int) -> "Track":
        """The track without frames whose landmarks are of no face: beside the picture, or of another size by far.

        Raises:
            BadClip: no frame is left.
        """
        points = self.values["landmarks"]
        middle, spread = points.mean(1), np.ptp(points, axis=1).max(1)
        inside = self.found & ((middle >= 0) & (middle <= (width, height))).all(1) & (spread > 1)
        if inside.any():
            factor = spread / np.median(spread[inside])
            inside &= (factor <= SIZE_OF_FACES) & (factor >= 1 / SIZE_OF_FACES)
        if not inside.any():
            raise BadClip("label_mismatch", f"{name}: in no frame do the landmarks lie inside its {width} x {height} "
                                            "pixels; label it again")
        return dataclasses.replace(self, found=inside)

    def on_clock(self, name: str, read: Read, numbers: np.ndarray, times: np.ndarray, step: float) -> "Track":
        """The track on the video's own clock, where it knows its frames by number alone.

        Args:
            name: of the video, for messages.
            read: how it was read.
            numbers: of the source frames that are shown, `[N]` from 0, not falling.
            times: theirs, `[N]` seconds from the first.
            step: mean seconds between frames, for those that are not shown.

        Raises:
            BadClip: it is not the video that was tracked, or not as it was tracked.
        """
        if self.numbers is None:
            return self
        if not read.as_coded:
            raise BadClip("label_mismatch", f"{name}: its frames are shown turned, or their pixels are not square, and "
                                            "OpenFace saw them as they are coded; convert the video (ffmpeg -vf "
                                            "scale=iw*sar:ih,setsar=1 ...), and track what comes of it")
        if self.numbers[-1] - LONGEST_GAP >= read.decoded:
            raise BadClip("label_mismatch", f"{name}: has {read.decoded} frames, its labels reach to frame "
                                            f"{self.numbers[-1] + 1}: they are of another video; track this one")
        late = np.interp(self.numbers, numbers, times - numbers * step)
        return dataclasses.replace(self, times=self.numbers * step + late)

    def at(self, times: np.ndarray, there: np.ndarray, affine: np.ndarray, source: tuple[int, int],
           stored: tuple[int, int]) -> dict:
        """Labels of the stored frames.

        Args:
            times: of the source frames that they show, `[N]` seconds from the first.
            there: bool `[N]`, False where the picture is missing.
            affine: source to stored frame, `[N, 2, 3]`.
            source: (H, W) of the source frame.
            stored: (h, w) of the stored frame.

        Returns:
            The fields of the clip, `face_ok` (1 found, 2 interpolated, 0 none), `label_source`, and
            `coefficient_names` where there are coefficients.
        """
        known = self.times[self.found]
        left, right, share = neighbours(known, times)
        away = np.minimum(np.abs(times - known[left]), np.abs(known[right] - times))
        inside = (times >= known[0] - 1e-6) & (times <= known[-1] + 1e-6)
        bridged = inside & (known[right] - known[left] <= (LONGEST_GAP + 1) / schema.FPS + 1e-6)
        exact = away < 0.5 / schema.FPS
        face_ok = np.where(exact, 1, np.where(bridged, 2, 0)).astype(np.uint8) * there.astype(np.uint8)
        out = {}
        for name, values in self.values.items():
            rows = values[self.found]
            weight = np.round(share) if name in _NOT_BETWEEN else share
            weight = weight.reshape(-1, *[1] * (rows.ndim - 1))
            mixed = rows[left] * (1 - weight) + rows[right] * weight
            out[name] = mixed.astype(schema.DTYPES[name])
        out["landmarks"] = crops.transform_points(out["landmarks"], affine)
        if "pose" in out:
            focal = self.facts.get("focal") or openface.default_focal(*source)
            out["pose"] = crop_pose.carried(out["pose"], affine, focal, openface.optical_centre(*source), stored)
        out |= {} if self.identity is None else {"identity": self.identity}
        source = {name: self.sources.get(name, self.tracker) for name in out}
        out |= {} if self.coefficient_names is None else {"coefficient_names": self.coefficient_names}
        return out | {"face_ok": face_ok, "label_source": source}


def load(folder: Path, key: str, video: Location) -> Track:
    """Labels of a clip, checked against the video that they claim.

    Raises:
        BadClip: there are none, or they were made on another file, or are not of the form above.
    """
    path, table = (Path(folder) / f"{key}{suffix}" for suffix in (".npz", ".csv"))
    if table.exists():
        if path.exists():
            raise BadClip("label_mismatch", f"{path} and {table.name} both label the clip; keep one of them")
        rows = openface.read(table)
        return Track(rows.times, rows.found, rows.values, openface.SOURCE, rows.numbers, openface.facts(table, video))
    try:
        with np.load(path) as archive:
            content = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise BadClip("no_labels", f"{path} or .csv: no such file; label the clip, or leave --labels out") from None
    except files.DAMAGED_NPZ as error:
        raise BadClip("label_mismatch", f"{path}: no npz file ({error}); label the clip again") from None
    missing = {"times", "landmarks", "face_ok", "tracker", "video_bytes", "video_sha256"} - set(content)
    if missing:
        raise BadClip("label_mismatch", f"{path}: lacks {', '.join(sorted(missing))}")
    if (int(content["video_bytes"]), str(content["video_sha256"])) != sha256(video):
        raise BadClip("label_mismatch", f"{path}: was made on another file than {video}; label it again")
    return _checked(path, content)


def _checked(path: Path, content: dict) -> Track:
    times, count = np.asarray(content["times"], np.float64), len(content["times"])
    for name, shape in {"times": (), "face_ok": (), **_SHAPES}.items():
        if name in content and content[name].shape != (count, *shape):
            raise BadClip("label_mismatch", f"{path}: {name} has shape {content[name].shape}, {count} times need "
                                            f"{(count, *shape)}")
    tracker = str(content["tracker"])
    silent = GUESSED if tracker in SOURCES and tracker not in AU_SOURCES else tracker
    au_source = str(content.get("au_source", silent))
    for name, value, known in (("tracker", tracker, SOURCES), ("au_source", au_source, AU_SOURCES)):
        if value not in known:
            raise BadClip("label_mismatch", f"{path}: {name} {value} is unknown; known: {', '.join(known)}")
    values = {name: np.asarray(content[name], np.float32) for name in _SHAPES if name in content}
    found = (np.asarray(content["face_ok"]) > 0) & np.isfinite(values["landmarks"]).all((1, 2))
    if not found.any() or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise BadClip("label_mismatch", f"{path}: no frame with a face, or times that do not rise")
    _check_values(path, times, found, values)
    made = network_labels.read(path, content, found)
    units = {name: au_source for name in ("au", "au_presence") if name in values}
    return Track(times, found, values | made.values, tracker, facts=_facts(path, content),
                 sources=made.sources | units, coefficient_names=made.coefficient_names, identity=made.identity)


def _check_values(path: Path, times: np.ndarray, found: np.ndarray, values: dict[str, np.ndarray]) -> None:
    """Refuses what no tracker says of a frame with a face: it would be learnt from."""
    rules = {"pose": ("finite, Tz above 0", lambda pose: np.isfinite(pose).all(1) & (pose[:, 2] > 0)),
             "au": ("0 to 5", lambda au: ((au >= 0) & (au <= 5)).all(1)),
             "au_presence": ("0 or 1", lambda present: np.isin(present, (0, 1)).all(1)),
             "blink": ("0 or 1", lambda blink: np.isin(blink, (0, 1)))}
    for name, (rule, holds) in rules.items():
        bad = np.flatnonzero(found & ~holds(values[name])) if name in values else ()
        if len(bad):
            value = values[name][bad[0]].tolist()
            raise BadClip("label_mismatch", f"{path}: {name} at {times[bad[0]]:.3f} s is {value}, must be {rule} where "
                                            "face_ok is 1")


def _facts(path: Path, content: dict) -> dict:
    """How an npz file says that it was made; nothing where it says nothing."""
    facts = {name: kind(content[name]) for name, kind in (("tracker_version", str), ("every", int)) if name in content}
    if "pose" in content:
        if "focal" not in content:
            raise BadClip("label_mismatch", f"{path}: has pose and lacks focal, without which nobody knows the camera; "
                                            "give its focal length in pixels, or leave pose out")
        focal = float(content["focal"])
        if focal <= 0 or np.isinf(focal):
            raise BadClip("label_mismatch", f"{path}: focal is {focal:g}, must be pixels above 0, or NaN for what "
                                            "OpenFace assumes")
        facts["focal"] = None if np.isnan(focal) else focal
    return facts
