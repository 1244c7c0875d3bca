"""TCD-TIMIT: 59 volunteers and 3 lipspeakers read TIMIT's sentences before two cameras, with phones and their times."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_pipelines.readers import clips
from data_pipelines.readers.listing import Entry, listing, read_text
from data_pipelines.readers.reference import AUDIO_FALLBACK, ClipReference, Rejected, Timed
from data_pipelines.schema import DataError

UNITS_PER_SECOND = 10_000_000
"""Of the times in HTK's label files: 100 ns."""
ALIASES = {"30F": "30M"}
"""Volunteers whom copies of the corpus call by different names; who the person is, nobody has written down."""
_PERSON = re.compile(r"(?P<volunteer>\d{2}[MF])|lipspkr(?P<lipspeaker>\d)", re.IGNORECASE)
_ARCHIVE = (".zip", ".tar")
_VIEW = re.compile(r"(straight|\d+deg)cam", re.IGNORECASE)


class TcdTimit:
    """Reader of TCD-TIMIT, unpacked or one zip for each speaker; phones from any `.mlf` below the root."""

    name = "tcd_timit"
    licence = "research only, on registration: https://sigmedia.tcd.ie"
    layout = ("  volunteers/01M/Clips/straightcam/sa1.mp4 and sa1.wav beside it (also 30degcam),\n"
              "  lipspeakers/Lipspkr1/Clips/straightcam/sx301.mp4, *.mlf anywhere")

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """See `Reader`."""
        found = listing(root, (".mp4", ".wav", ".mlf"), workers)
        videos, sounds = (clips.group((entry for entry in found.entries if entry.suffix == suffix),
                                      lambda entry: key_of((root.name, *entry.parts)))
                          for suffix in (".mp4", ".wav"))
        files = [entry for entry in found.entries if entry.suffix == ".mlf"]
        labels = _labels(files)

        def describe(key: str, video: Entry) -> ClipReference:
            _, person, view, _ = key.split("/")
            phones, remark = labels.get(key, (None, "missing"))
            sound = clips.sound_beside(sounds, key)
            clip = ClipReference(key, f"{self.name}/{person}", video.location, sound.location if sound else None,
                                 phonemes=phones, notes={"view": view})
            alias = next((name for name in ALIASES if name in map(str.upper, video.parts)), None)
            return clips.with_notes(clip, audio=AUDIO_FALLBACK if sound else None, labels=remark, folder=alias)

        orphans = clips.without_video(sounds, videos)
        if files:
            alone = sum(key not in videos and key not in sounds for key in labels)
            orphans |= clips.labels_without_video(f"{self.name}/mlf", files[0].location, alone, len(labels),
                                                  "clips in the label files")
        yield from clips.references(self.name, root, self.layout, found, videos, describe, orphans)


def key_of(parts: Iterable[str]) -> str | None:
    """The key by speaker, camera and clip, wherever they stand in a path; None where one is missing."""
    *folders, clip = parts
    person = next((match for match in map(_person, reversed(folders)) if match), None)
    view = next((match for match in map(_VIEW.fullmatch, reversed(folders)) if match), None)
    if person is None or view is None:
        return None
    return f"tcd_timit/{person}/{view.group().lower()}/{clip.rpartition('.')[0].lower()}"


def _person(folder: str) -> str | None:
    for suffix in _ARCHIVE:
        folder = folder.removesuffix(suffix)
    match = _PERSON.fullmatch(folder)
    if match is None:
        return None
    if match["lipspeaker"]:
        return f"Lipspkr{match['lipspeaker']}"
    return ALIASES.get(match["volunteer"].upper(), match["volunteer"].upper())


Labels = dict[str, tuple[Timed | None, str | None]]


def _labels(files: Iterable[Entry]) -> Labels:
    labels: Labels = {}
    for entry in files:
        for key, found in parse_mlf(read_text(entry)).items():
            labels.setdefault(key, found)
    return labels


def parse_mlf(text: str) -> Labels:
    """Key of a clip -> its phones in seconds and a remark, of a master label file of HTK.

    Paths in it are those of somebody's disk, with slashes of either kind and blanks. Equal neighbours are one phone
    that was written twice; they are merged, and the remark says so. Phones that cannot be read are None.
    """
    labels: Labels = {}
    key, lines = None, []
    for line in map(str.strip, text.split("\n")):
        if line.startswith('"'):
            key, lines = key_of(part.strip() for part in line.strip('" ').replace("\\", "/").split("/")), []
        elif line == ".":
            if key is not None:
                labels.setdefault(key, _phones(lines))
            key = None
        elif line and not line.startswith("#!"):
            lines.append(line)
    if key is not None:  # cut off: the last clip lacks its end
        labels.setdefault(key, (None, "unreadable: the label file ends within this clip"))
    return labels


def _phones(lines: Iterable[str]) -> tuple[Timed | None, str | None]:
    phones: list[tuple[str, float, float]] = []
    doubled = 0
    try:
        for line in lines:
            name, start, end = _phone(line)
            if phones and phones[-1][0] == name and phones[-1][2] == start:
                phones[-1] = (name, phones[-1][1], end)
                doubled += 1
            else:
                phones.append((name, start, end))
    except DataError as error:
        return None, f"unreadable: {error}"
    return tuple(phones), "doubled phones merged" if doubled else None


def _phone(line: str) -> tuple[str, float, float]:
    cells = line.split()
    if len(cells) < 3 or not (cells[0].isdigit() and cells[1].isdigit()) or int(cells[0]) > int(cells[1]):
        raise DataError(f"{line!r} is no line `START END PHONE` with START <= END")
    return cells[2], int(cells[0]) / UNITS_PER_SECOND, int(cells[1]) / UNITS_PER_SECOND
