"""GRID: 34 people say commands of six words, 75 frames each. The name of a file is its sentence."""

import dataclasses
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from data_pipelines.readers import clips
from data_pipelines.readers.listing import Entry, listing, parallel, read_text
from data_pipelines.readers.reference import ClipReference, Rejected, Timed
from data_pipelines.schema import DataError

log = logging.getLogger(__name__)
VIDEO_SUFFIXES = (".mpg", ".mpeg")
UNITS_PER_SECOND = 25_000
"""Of the times in `.align` files: samples at 25 kHz, which are thousandths of a video frame."""
SILENCE = ("sil", "sp")
WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    {"z": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
     "8": "eight", "9": "nine"},
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
"""Character of a file name -> word, for each of its six places."""
LEAST_AGREEMENT = 0.95
"""Share of a speaker's alignments that must fit their names; below it the labels as a whole are in doubt."""
LEAST_OVERLAP = 0.5
"""Share of names that a folder of alignments must have in common with a speaker's videos to be his."""
BETTER = "mpg_6000"
"""Folder or archive of the better of the two encodings that Sheffield distributes."""
_SPEAKER = re.compile(r"s(\d{1,2})(?=$|\.)")
Videos = Mapping[str, list[Entry]]
Labels = dict[str, Entry]


class Grid:
    """Reader of GRID as Zenodo and as Sheffield distribute it, unpacked or in their zips and tars."""

    name = "grid"
    licence = "CC BY 4.0: https://zenodo.org/records/3625687"
    layout = ("  s1/bbaf2n.mpg and alignments/s1/bbaf2n.align (Zenodo), or\n"
              "  s1/video/mpg_6000/bbaf2n.mpg and s1/align/bbaf2n.align (Sheffield), or their zips and tars")

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """See `Reader`."""
        found = listing(root, (*VIDEO_SUFFIXES, ".align"), workers)
        videos = clips.group((entry for entry in found.entries if entry.suffix != ".align"),
                             lambda entry: _key(entry, root))
        for entries in videos.values():
            entries.sort(key=lambda entry: BETTER not in "/".join(entry.parts))
        folders: dict[tuple, Labels] = {}
        for entry in found.entries:
            if entry.suffix == ".align":
                folders.setdefault(entry.parts[:-1], {})[entry.stem.lower()] = entry
        owners = match_folders(_by_speaker(videos), folders)
        labels = {f"{speaker}/{stem}": entry for speaker, folder in owners.items()
                  for stem, entry in folders[folder].items()}
        known = [key for key in videos if key in labels]
        aligned = dict(zip(known, parallel(_read_align, [labels[key] for key in known], workers), strict=True))
        _warn_of_disagreement(aligned)

        def describe(key: str, video: Entry) -> ClipReference | Rejected:
            return _describe(key, video, aligned.get(key), labels.get(key))

        orphans = _without_video(videos, labels, folders, owners)
        yield from clips.references(self.name, root, self.layout, found, videos, describe, orphans,
                                    VIDEO_SUFFIXES)


def _key(entry: Entry, root: Path) -> str | None:
    for part in (*entry.parts[:-1], root.name):
        if match := _SPEAKER.match(part.lower()):
            return f"grid/s{int(match.group(1))}/{entry.stem.lower()}"
    return None


def _speaker(key: str) -> str:
    return key.rpartition("/")[0]


def _by_speaker(videos: Iterable[str]) -> dict[str, set[str]]:
    speakers: dict[str, set[str]] = {}
    for key in videos:
        speakers.setdefault(_speaker(key), set()).add(key.rpartition("/")[2])
    return speakers


def match_folders(speakers: Mapping[str, set[str]], folders: Mapping[tuple, Labels]) -> dict[str, tuple]:
    """The folder of alignments of each speaker, found by the names of his clips.

    In Zenodo's copy folders bear the names of other speakers. Every speaker says sentences of his own, so the names
    in a folder tell whose it is.

    Args:
        speakers: speaker -> stems of his videos.
        folders: path of a folder -> stem -> its alignment.

    Returns:
        speaker -> path of his folder; a speaker without one is left out.
    """
    chosen = {}
    for speaker, stems in speakers.items():
        name = speaker.rpartition("/")[2]
        ranked = sorted((-len(stems & labels.keys()), name not in path, path) for path, labels in folders.items())
        if ranked and -ranked[0][0] >= LEAST_OVERLAP * min(len(stems), len(folders[ranked[0][2]])):
            chosen[speaker] = ranked[0][2]
    return chosen


def _describe(key: str, video: Entry, aligned: Timed | str | None, label: Entry | None) -> ClipReference | Rejected:
    speaker, _, stem = key.rpartition("/")
    sentence = sentence_of(stem)
    clip = ClipReference(key, speaker, video.location, sentence=sentence)
    if aligned is None or isinstance(aligned, str):
        return clips.with_notes(clip, labels=aligned or "missing")
    said = " ".join(word for word, _, _ in aligned)
    if sentence and said != sentence:
        return Rejected(key, video.location, "label_mismatch", f"{label.location} says {said!r}, the name {stem} says "
                        f"{sentence!r}; mend or remove the alignment")
    named = {match.group() for match in map(_SPEAKER.match, label.parts[:-1]) if match}
    away = "/".join(label.parts[:-1]) if named and speaker.rpartition("/")[2] not in named else None
    return clips.with_notes(dataclasses.replace(clip, words=aligned), alignment=away)


def _read_align(entry: Entry) -> Timed | str:
    try:
        return parse_align(read_text(entry))
    except (DataError, OSError) as error:
        return f"unreadable: {error}"


def parse_align(text: str) -> Timed:
    """(word, start, end) in seconds of an `.align` file, without its silences.

    Raises:
        DataError: a line is not `START END WORD`, or its times are out of order.
    """
    words = []
    for number, line in enumerate(text.split("\n"), 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) != 3 or not (cells[0].isdigit() and cells[1].isdigit()) or int(cells[0]) > int(cells[1]):
            raise DataError(f"line {number} is {line!r}; an alignment has lines `START END WORD` with START <= END")
        if cells[2].lower() not in SILENCE:
            words.append((cells[2].lower(), int(cells[0]) / UNITS_PER_SECOND, int(cells[1]) / UNITS_PER_SECOND))
    if not words:
        raise DataError("no word in the alignment; get it again, or remove it")
    return tuple(words)


def sentence_of(stem: str) -> str | None:
    """The sentence that a clip's name encodes: "bbaf2n" -> "bin blue at f two now"; None for another name."""
    if len(stem) != len(WORDS) or any(character not in words for character, words in zip(stem, WORDS, strict=True)):
        return None
    return " ".join(words[character] for character, words in zip(stem, WORDS, strict=True))


def _warn_of_disagreement(aligned: Mapping[str, Timed | str]) -> None:
    agreement: dict[str, list[bool]] = {}
    for key, words in aligned.items():
        said = " ".join(word for word, _, _ in words) if not isinstance(words, str) else None
        agreement.setdefault(_speaker(key), []).append(said == sentence_of(key.rpartition("/")[2]))
    for speaker, fits in agreement.items():
        if sum(fits) < LEAST_AGREEMENT * len(fits):
            log.warning("%s: %d of %d alignments contradict the names of their clips; look at his folder of alignments",
                        speaker, len(fits) - sum(fits), len(fits))


def _without_video(videos: Videos, labels: Labels, folders: Mapping[tuple, Labels],
                   owners: Mapping[str, tuple]) -> dict[str, Rejected]:
    """One reject for every folder of alignments that lack videos: an alignment is no clip, but it tells of one."""
    missing: dict[tuple, list[str]] = {}
    for key in labels:
        if key not in videos:
            missing.setdefault(owners[_speaker(key)], []).append(key)
    known = {frozenset(folders[path]) for path in owners.values()}
    for path, inside in folders.items():
        # An archive may be kept beside what was unpacked from it.
        if path not in owners.values() and frozenset(inside) not in known:
            missing[path] = sorted(inside)
    return {key: Rejected(key, next(iter(folders[path].values())).location, "no_video",
                          f"{len(names)} of {len(folders[path])} alignments in {'/'.join(path)} have no video "
                          f"({', '.join(names[:3])}...); GRID has none of s21, get others again if you want them")
            for path, names in missing.items() for key in (f"grid/{'/'.join(path)}",)}
