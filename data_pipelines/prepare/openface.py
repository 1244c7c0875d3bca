"""Labels from the CSV file that OpenFace 2's FeatureExtraction writes of a video, and `thjax data openface`.

`DIR/<key>.csv`, key as "corpus/speaker/clip", has a row a frame; columns are found by name, blanks before it do not
count, and further columns (gaze, 3-D landmarks, ...) are passed over:
    frame                    from 1, rising; numbers that are left out are frames without a face
    timestamp                seconds, rising; frame over a mean rate, so the video's own times are taken instead
    success, confidence      rows with success 0, or confidence below `MIN_CONFIDENCE`, count as without a face
    x_0..x_67, y_0..y_67     landmarks, pixels of the frame as it is coded, pixel centres at whole numbers
    AU01_r..AU45_r           17 intensities, order `schema.AU_INTENSITY`
    AU01_c..AU45_c           18 presences, order `schema.AU_PRESENCE`
    pose_Tx..pose_Rz         of the head in the camera of the whole frame, mm and rad, signs as in `schema.POSE`

`DIR/<key>.json` beside it says what was tracked, and how:
    video_bytes, video_sha256    of the video
    focal                        fx in pixels that OpenFace was given, null for its default
    person_normalised            whether intensities are relative to the person's own neutral face, null if unknown
    openface                     its version, may be left out
"""

import argparse
import collections
import csv
import dataclasses
import json
import math
import pathlib

import numpy as np

from data_pipelines import schema
from data_pipelines.prepare.opened import sha256
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import Location
from data_pipelines.schema import DataError
from thjax.core import files

SOURCE = "openface_csv"
MIN_CONFIDENCE = 0.8
"""Of the landmarks; rows below it count as without a face."""
ROUNDING = 0.01
"""By which an intensity may lie outside 0 to 5: the last digit that is written."""
PIXEL_CENTRE = 0.5
"""OpenFace's pixel (0, 0) has its centre at 0, ours at 0.5."""
_AT_EVERY_ROW = ("frame", "timestamp", "confidence", "success")
_COLUMNS = {
    "landmarks": tuple(f"{axis}_{point}" for point in range(schema.LANDMARKS) for axis in "xy"),
    "au": tuple(f"{unit}_r" for unit in schema.AU_INTENSITY),
    "au_presence": tuple(f"{unit}_c" for unit in schema.AU_PRESENCE),
    "pose": tuple(f"pose_{name}" for name in schema.POSE),
}


@dataclasses.dataclass(frozen=True)
class Rows:
    """What a CSV file says of M frames.

    Attributes:
        numbers: int64 `[M]` of the frames in the video, from 0, rising.
        times: float64 `[M]` s, rising: the numbers over a mean rate.
        found: bool `[M]`, where there is a face; the values elsewhere are 0.
        values: landmarks `[M, 68, 2]` in pixels of the frame as coded, pixel centres at +0.5; au `[M, 17]`, 0 to 5;
            au_presence `[M, 18]`, 0 or 1; pose `[M, 6]` mm and rad in the whole frame's camera. All float32.
    """

    numbers: np.ndarray
    times: np.ndarray
    found: np.ndarray
    values: dict[str, np.ndarray]


def default_focal(height: int, width: int) -> float:
    """The focal length that OpenFace takes if it is given none, pixels."""
    return (500 * width / 640 + 500 * height / 480) / 2


def optical_centre(height: int, width: int) -> tuple[float, float]:
    """Where OpenFace's camera looks, (x, y) with pixel centres at +0.5: half the frame's size in its own pixels."""
    return width / 2 + PIXEL_CENTRE, height / 2 + PIXEL_CENTRE


def read(path: pathlib.Path) -> Rows:
    """Reads a CSV file of FeatureExtraction.

    Raises:
        BadClip: `label_mismatch`: it cannot be read; a column is missing or there twice; a row that counts is not
            numeric or holds what OpenFace does not write; no row counts.
    """
    header, cells = _cells(path)
    frame, times, confidence, success = _table(path, header, cells, _AT_EVERY_ROW).T
    if (frame != np.round(frame)).any() or frame[0] < 1 or (np.diff(frame) <= 0).any() or (np.diff(times) <= 0).any():
        raise _mismatch(path, "frame must be whole numbers from 1 that rise, and timestamp must rise; rows of several "
                              "faces, or of several videos, cannot be taken: track one face with FeatureExtraction")
    found = (success > 0) & (confidence >= MIN_CONFIDENCE)
    if not found.any():
        raise _mismatch(path, f"no row with success 1 and a confidence of at least {MIN_CONFIDENCE}")
    counting = [row for row, counts in zip(cells, found, strict=True) if counts]
    values = {}
    for name, columns in _COLUMNS.items():
        # What OpenFace writes of frames that it lost is of no use, and on some systems not even numeric.
        values[name] = np.zeros((len(cells), len(columns)), np.float32)
        values[name][found] = _checked(path, name, _table(path, header, counting, columns), frame[found])
    values["landmarks"] = values["landmarks"].reshape(-1, schema.LANDMARKS, 2)
    return Rows(frame.astype(np.int64) - 1, times, found, values)


def facts(path: pathlib.Path, video: Location) -> dict:
    """What the JSON file beside a CSV file says: person_normalised, focal, and openface where it is stated.

    Args:
        path: of the CSV file.
        video: that is to be labelled.

    Raises:
        BadClip: `label_mismatch`: the file is not there, not of the form above, or names another video.
    """
    beside = path.with_suffix(".json")
    way_out = f"write it with `thjax data openface --csv {path} --video FILE`, FILE the video that was tracked"
    try:
        content = json.loads(beside.read_bytes())
    except FileNotFoundError:
        raise _mismatch(beside, f"no such file; {way_out}") from None
    except (OSError, ValueError) as error:
        raise _mismatch(beside, f"no JSON file ({error}); {way_out}") from None
    wanted = {"video_bytes", "video_sha256", "person_normalised", "focal"}
    if not isinstance(content, dict) or wanted - set(content):
        lacking = wanted - set(content) if isinstance(content, dict) else wanted
        raise _mismatch(beside, f"lacks {', '.join(sorted(lacking))}; {way_out}")
    if (content["video_bytes"], content["video_sha256"]) != sha256(video):
        raise _mismatch(beside, f"is of another file than {video}; track this video, then {way_out}")
    focal, normalised = content["focal"], content["person_normalised"]
    if focal is not None and not _is_focal(focal):
        raise _mismatch(beside, f"focal is {focal!r}, must be pixels above 0, or null for the default; {way_out}")
    if not isinstance(normalised, bool | None):
        raise _mismatch(beside, f"person_normalised is {normalised!r}, must be true, false or null; {way_out}")
    return {name: content[name] for name in ("person_normalised", "focal", "openface") if name in content}


def run(argv: list[str]) -> int:
    """Writes the JSON file that `thjax data prepare --labels` wants beside a CSV file of OpenFace; returns 0."""
    parser = argparse.ArgumentParser(
        prog="thjax data openface", description="Checks a CSV file of OpenFace 2's FeatureExtraction and writes, "
        "beside it, the JSON file that binds it to its video, as `thjax data prepare --labels` wants it.")
    add = parser.add_argument
    add("--csv", type=pathlib.Path, required=True, metavar="FILE", help="as FeatureExtraction wrote it; the JSON file "
        "gets its name")
    add("--video", type=pathlib.Path, required=True, metavar="FILE", help="that was tracked, byte for byte")
    add("--focal", type=float, metavar="PIXELS", help="what FeatureExtraction was given as -fx (default: nothing)")
    add("--person_normalised", choices=("yes", "no"), help="whether intensities are relative to the person's own "
        "neutral face: yes unless FeatureExtraction was given -au_static (default: not known)")
    options = parser.parse_args(argv)
    if options.csv.suffix != ".csv":
        raise DataError(f"{options.csv}: must end in .csv, for `thjax data prepare --labels` looks for that; rename it")
    if options.focal is not None and not _is_focal(options.focal):
        raise DataError(f"--focal {options.focal} must be pixels above 0")
    try:
        rows, (size, digest) = read(options.csv), sha256(Location(str(options.video)))
    except BadClip as bad:
        raise DataError(bad.detail) from None
    normalised = {"yes": True, "no": False, None: None}[options.person_normalised]
    beside = options.csv.with_suffix(".json")
    files.write_json(beside, {"video_bytes": size, "video_sha256": digest, "person_normalised": normalised,
                              "focal": options.focal})
    print(f"{beside}: {options.video}, {len(rows.found)} frames, {int(rows.found.sum())} of them with a face")
    return 0


def _is_focal(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _mismatch(path: pathlib.Path, text: str) -> BadClip:
    return BadClip("label_mismatch", f"{path}: {text}")


def _cells(path: pathlib.Path) -> tuple[list[str], list[list[str]]]:
    """The header's names without blanks, and the cells of every row; all columns that are needed are there once."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise _mismatch(path, f"cannot be read as CSV ({error}); give the file as FeatureExtraction wrote it") from None
    header = [name.strip() for name in lines[0]] if lines else []
    there = collections.Counter(header)
    needed = [*_AT_EVERY_ROW, *(name for names in _COLUMNS.values() for name in names)]
    for said, wrong in (("lacks", [name for name in needed if not there[name]]),
                        ("has more than once", [name for name in needed if there[name] > 1])):
        if wrong:
            raise _mismatch(path, f"{said} the columns {', '.join(wrong)}; let FeatureExtraction write everything "
                                  "(-2Dfp -pose -aus) to a new file")
    for number, line in enumerate(lines[1:], 1):
        if len(line) != len(header):
            raise _mismatch(path, f"row {number} has {len(line)} cells, the header {len(header)}; FeatureExtraction "
                                  "was cut off: run it again")
    if len(lines) == 1:
        raise _mismatch(path, "has no row below its header; FeatureExtraction was cut off: run it again")
    return header, lines[1:]


def _table(path: pathlib.Path, header: list[str], cells: list[list[str]], names: tuple[str, ...]) -> np.ndarray:
    """Columns as float64 `[M, K]`, all of them finite."""
    places = [header.index(name) for name in names]
    table = np.array([[_number(row[place]) for place in places] for row in cells])
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0]
        where = f"{names[column]} of frame {cells[row][header.index('frame')].strip()}"
        raise _mismatch(path, f"{where} is {cells[row][places[column]].strip()!r}, must be a number; run "
                              "FeatureExtraction again")
    return table


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _checked(path: pathlib.Path, name: str, table: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Values of rows that count, `[M, K]`, in the range that they must have."""
    columns = _COLUMNS[name]
    if name == "landmarks":
        return table + PIXEL_CENTRE
    if name == "au":
        wrong, rule = (table < -ROUNDING) | (table > 5 + ROUNDING), "0 to 5"
    elif name == "au_presence":
        wrong, rule = (table != 0) & (table != 1), "0 or 1"
    else:
        wrong, rule = np.zeros(table.shape, bool), "above 0: the head is in front of the camera"
        wrong[:, 2] = table[:, 2] <= 0
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise _mismatch(path, f"{columns[column]} of frame {frame[row]:.0f} is {table[row, column]:g}, must be {rule}; "
                              "give the file as FeatureExtraction of OpenFace 2 wrote it")
    return np.clip(table, 0, 5) if name == "au" else table
