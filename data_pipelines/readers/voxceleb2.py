"""VoxCeleb2: face tracks of 224 x 224 pixels, their sound, and what their makers measured on each."""

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipelines.readers import clips
from data_pipelines.readers.listing import Entry, listing, parallel, read_text
from data_pipelines.readers.reference import AUDIO_FALLBACK, ClipReference, Location, Rejected
from data_pipelines.schema import DataError

META_FILE = "vox2_meta.csv"
SETS = {"dev": "train", "test": "test"}
"""Part of the corpus -> split. The corpus has no validation part; `voxceleb2_validation120` makes one."""
TEST_SPEAKERS = frozenset((
    17, 61, 81, 154, 419, 562, 812, 817, 866, 926, 1000, 1041, 1066, 1106, 1224, 1228, 1298, 1333, 1437, 1460, 1509,
    1541, 1567, 1593, 1618, 1822, 1892, 1989, 2019, 2057, 2086, 2181, 2286, 2317, 2445, 2465, 2542, 2548, 2576,
    2577, 2685, 2725, 2745, 3030, 3041, 3127, 3178, 3347, 3382, 3524, 3677, 3789, 3839, 3862, 3969, 3978, 3980,
    3981, 4006, 4030, 4094, 4119, 4232, 4253, 4276, 4295, 4366, 4478, 4536, 4570, 4627, 4656, 4657, 4862, 4950,
    5015, 5055, 5124, 5176, 5202, 5459, 5594, 5654, 5714, 5816, 5850, 5999, 6104, 6209, 6310, 6484, 6692, 6811,
    6816, 6913, 7312, 7354, 7396, 7414, 7426, 7494, 7620, 7621, 7663, 7802, 7868, 7874, 7961, 8149, 8374, 8392,
    8456, 8548, 8552, 8696, 8701, 8911, 9017,
))
"""Numbers of the 118 people of the test part, for a copy that says of no folder which part it is (list: crop_vox.py of
https://github.com/AliaksandrSiarohin/video-preprocessing)."""
_SPEAKER = re.compile(r"id\d{5}")
_ARCHIVE = re.compile(r"vox2_(dev|test)_")


class Track(NamedTuple):
    """What a track's text file says.

    Attributes:
        offset: frames by which the video lags behind the sound, by the makers' SyncNet.
        asd: confidence that the person seen is the one who speaks.
        fv: confidence that the face is the person's.
    """

    offset: float | None
    asd: float | None
    fv: float | None


class VoxCeleb2:
    """Reader of VoxCeleb2, unpacked or in its joined zips, with `mp4/`, `dev/mp4/` or `test/mp4/` as the root."""

    name = "voxceleb2"
    licence = "metadata CC BY 4.0, the videos belong to their makers: https://mmai.io/datasets/voxceleb"
    layout = ("  [dev/|test/]mp4/id00012/21Uxsk56VDQ/00001.mp4\n  [dev/|test/]aac/id00012/21Uxsk56VDQ/00001.m4a\n"
              "  [dev/|test/]txt/id00012/21Uxsk56VDQ/00001.txt\n  vox2_meta.csv\n"
              "  or vox2_{dev,test}_{mp4,aac,txt}.zip, each joined from its parts")

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """See `Reader`."""
        found = listing(root, (".mp4", ".m4a", ".txt", ".csv"), workers)
        videos, sounds, texts = (clips.group((entry for entry in found.entries if entry.suffix == suffix), _key)
                                 for suffix in (".mp4", ".m4a", ".txt"))
        known = [key for key in texts if key in videos]
        tracks = dict(zip(known, parallel(_read_track, [texts[key][0] for key in known], workers), strict=True))
        people = _people(found.entries)

        def describe(key: str, video: Entry) -> ClipReference:
            _, person, youtube, _ = key.split("/")
            about, track, sound = people.get(person, {}), tracks.get(key), clips.sound_beside(sounds, key)
            clip = ClipReference(
                key, f"{self.name}/{person}", video.location, sound.location if sound else None,
                split=SETS[_part(root, video) or _listed_part(person, about)],
                av_offset=track.offset if isinstance(track, Track) else None, notes={"source": youtube})
            return clips.with_notes(
                clip, audio=AUDIO_FALLBACK if sound else None, gender=about.get("Gender"), **_track_notes(track))

        alone = [key for key in texts if key not in videos and key not in sounds]
        orphans = clips.without_video(sounds, videos)
        if alone:
            orphans |= clips.labels_without_video(f"{self.name}/txt", _folder(texts[alone[0]][0]), len(alone),
                                                  len(texts), "texts of tracks")
        yield from clips.references(self.name, root, self.layout, found, videos, describe, orphans)


def _track_notes(track: Track | str | None) -> dict[str, str | None]:
    if isinstance(track, Track):
        return {name: None if value is None else f"{value:g}" for name, value in (("asd", track.asd), ("fv", track.fv))}
    return {"labels": "missing" if track is None else track}


def _folder(text: Entry) -> Location:
    """The folder or archive of all texts."""
    return Location(text.location.path if text.location.member else str(Path(text.location.path).parents[2]))


def _key(entry: Entry) -> str | None:
    """The key by the last three parts of the path, or None: other people's files may lie beside the corpus."""
    if len(entry.parts) < 3 or not _SPEAKER.fullmatch(entry.parts[-3]):
        return None
    return f"voxceleb2/{entry.parts[-3]}/{entry.parts[-2]}/{entry.stem}"


def _part(root: Path, entry: Entry) -> str | None:
    """Which part, by the folder or else by the name of the archive."""
    above = root.resolve()
    above = above.parent.name if above.name == "mp4" else above.name
    for part in (*reversed(entry.parts[:-3]), above):
        if part.lower() in SETS:
            return part.lower()
        if match := _ARCHIVE.match(part.lower()):
            return match.group(1)
    return None


def _listed_part(person: str, about: dict[str, str]) -> str:
    """Which part, by the corpus's table or else by the list of those who test."""
    known = about.get("Set")
    return known if known in SETS else "test" if int(person[2:]) in TEST_SPEAKERS else "dev"


def _read_track(entry: Entry) -> Track | str:
    try:
        return parse_track(read_text(entry))
    except (DataError, OSError) as error:
        return f"unreadable: {error}"


def parse_track(text: str) -> Track:
    """The header of a track's text file; the boxes below it belong to the YouTube video and not to the mp4.

    Raises:
        DataError: it has neither an offset nor a confidence.
    """
    header: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            header[name.strip().lower()] = value.strip()
        elif line.strip().upper().startswith("FRAME"):
            break
    track = Track(*(_number(header.get(name)) for name in ("offset", "asd conf", "fv conf")))
    if track.offset is None and track.asd is None:
        raise DataError("a track's text without `Offset` and `ASD Conf`; download the txt archive again")
    return track


def _number(cell: str | None) -> float | None:
    """The first number of a cell: "16.140  (1)" is 16.14."""
    match = re.match(r"[-+]?\d+(\.\d+)?", cell or "")
    return float(match.group()) if match else None


def _people(entries: Iterable[Entry]) -> dict[str, dict[str, str]]:
    for entry in entries:
        if entry.parts[-1].lower() == META_FILE and entry.size:
            return parse_meta(read_text(entry))
    return {}


def parse_meta(text: str) -> dict[str, dict[str, str]]:
    """`vox2_meta.csv`: id -> {"Gender": "m" or "f", "Set": "dev" or "test", ...}. Copies differ in delimiter, blanks
    and columns.

    Raises:
        DataError: it has no column of ids.
    """
    lines = text.lstrip("\ufeff").strip().split("\n")
    delimiter = max(",\t;", key=lines[0].count)
    header, *rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    identity = next((name for name in ("VoxCeleb2 ID", "VoxCeleb2_ID", "id") if name in header), None)
    if identity is None:
        raise DataError(f"{META_FILE} has the columns {', '.join(header)} and no `VoxCeleb2 ID`; download it again, or "
                        "take it away")
    people = (dict(zip(header, row, strict=False)) for row in rows if row)
    return {person[identity]: {name: cell.lower() if name in ("Gender", "Set") else cell
                               for name, cell in person.items()} for person in people if person.get(identity)}
