"""What every reader does with the files it listed: one clip a key, everything else rejected with a reason."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from data_pipelines.readers.listing import Entry, Listing, printable
from data_pipelines.readers.reference import ClipReference, Location, Rejected
from data_pipelines.schema import DataError

log = logging.getLogger(__name__)
VIDEO_SUFFIXES = (".mp4", ".mpg", ".mpeg", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".wmv", ".flv", ".ts", ".mts",
                  ".m2ts", ".vob", ".ogv", ".3gp", ".mxf")
SOUND_SUFFIXES = (".wav", ".m4a", ".flac", ".mp3", ".aac", ".ogg", ".opus")


def group(entries: Iterable[Entry], key: Callable[[Entry], str | None]) -> dict[str, list[Entry]]:
    """Entries by key, those without one left out; within a key in the order they came, plain files first."""
    grouped: dict[str, list[Entry]] = {}
    for entry in entries:
        name = key(entry)
        if name is not None:
            grouped.setdefault(name, []).append(entry)
    return grouped


def references(corpus: str, root: Path, layout: str, found: Listing, videos: Mapping[str, list[Entry]],
               describe: Callable[[str, Entry], ClipReference | Rejected],
               orphans: Mapping[str, Rejected] | None = None, suffixes: tuple[str, ...] = (".mp4",),
               ) -> Iterator[ClipReference | Rejected]:
    """Clips and rejects in the order of their keys.

    Args:
        corpus: name of the reader.
        root: what was scanned, for messages.
        layout: of the corpus, for messages.
        found: all files; its problems are rejected.
        videos: key -> the video files that claim it; the first wins.
        describe: (key, its video) -> the clip.
        orphans: key -> what is there of a clip whose video is not.
        suffixes: of videos; those in `found` without a key are rejected.

    Raises:
        DataError: no video and nothing else to tell of.
    """
    if not videos and not orphans:
        told = "".join(f"\n  {problem.detail}" for problem in found.problems[:3])
        raise DataError(f"{root} holds nothing in the layout of {corpus!r}, which is\n{layout}\n"
                        f"Give the folder above these, or another --corpus{told and '; what could not be read:'}{told}")
    rejected = dict(orphans or {})
    for problem in found.problems:
        key = f"{corpus}/{printable('/'.join(problem.parts))}"
        rejected[key] = Rejected(key, problem.location, problem.reason, problem.detail)
    placed = {entry for entries in videos.values() for entry in entries}
    for entry in found.entries:
        if entry.suffix in suffixes and entry not in placed:
            key = f"{corpus}/{'/'.join(entry.parts)}"
            rejected[key] = Rejected(key, entry.location, "unknown_place", f"{entry.location} does not lie as a video "
                                     f"of {corpus} does; move it, or take it away")
    for key, (first, *others) in videos.items():
        for other in others:
            # An archive that was unpacked and kept beside its content holds the same clip, not another one.
            if other.member is None or other.size != first.size or first.member is not None:
                place = f"{corpus}/{'/'.join(other.parts)}"
                rejected[place] = Rejected(place, other.location, "duplicate_key", f"{other.location} and "
                                           f"{first.location} are both the clip {key}; keep one")
    for key in sorted(videos.keys() | rejected.keys()):
        if key in videos:
            yield _usable(key, videos[key][0]) or describe(key, videos[key][0])
        if key in rejected:
            yield rejected[key]


def _usable(key: str, video: Entry) -> Rejected | None:
    if video.size == 0:
        return Rejected(key, video.location, "empty_file", f"{video.location} has 0 bytes; get it again")
    if video.method:
        return Rejected(key, video.location, "compressed_archive", f"{video.location} is compressed or encrypted in "
                        "its zip and cannot be read in place; unpack the zip beside itself and scan again")
    return None


def sound_beside(sounds: Mapping[str, list[Entry]], key: str) -> Entry | None:
    """The clip's sound file, if there is one that can be read in place and is not empty."""
    return next((entry for entry in sounds.get(key, ()) if entry.size and not entry.method), None)


def without_video(others: Mapping[str, list[Entry]], videos: Mapping[str, list[Entry]]) -> dict[str, Rejected]:
    """Rejects for files of sound or of labels whose clip has no video."""
    return {key: Rejected(key, entries[0].location, "no_video", f"{entries[0].location} has no video of the same name; "
                          "get the video again, or take this file away")
            for key, entries in others.items() if key not in videos}


def labels_without_video(key: str, location: Location, missing: int, known: int, what: str) -> dict[str, Rejected]:
    """One reject for all labels of clips of which nothing else is there, or none.

    Labels come for the whole corpus, and who has a part of its videos must not drown in rejects. No person is named:
    a reject stays where a speaker is removed.
    """
    return {key: Rejected(key, location, "no_video", f"{missing} of {known} {what} have neither video nor sound; get "
                          "these clips if they are to be in the corpus, else nothing is wrong")} if missing else {}


def with_notes(clip: ClipReference, **notes: str | None) -> ClipReference:
    """The clip with more notes; those that are None are left out."""
    return dataclasses.replace(clip, notes=clip.notes | {name: text for name, text in notes.items()
                                                          if text is not None})
