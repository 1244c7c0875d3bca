"""MEAD: 60 actors say sentences in 8 emotions of 3 strengths, filmed from 7 sides."""

import re
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.readers import clips
from data_pipelines.readers.listing import Entry, listing
from data_pipelines.readers.reference import AUDIO_FALLBACK, ClipReference, Rejected

_ACTOR = re.compile(r"([MW]\d{3})(\.tar|\.zip)?", re.IGNORECASE)
_LEVEL = re.compile(r"level_\d", re.IGNORECASE)


class Mead:
    """Reader of MEAD, unpacked or with the tars of each actor. The sound is one file for all sides."""

    name = "mead"
    licence = "research only, on request: https://wywu.github.io/projects/MEAD/MEAD.html"
    layout = ("  M003/video/front/angry/level_1/001.mp4 and M003/audio/angry/level_1/001.m4a,\n"
              "  or M003/video.tar and M003/audio.tar")

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """See `Reader`."""
        found = listing(root, (".mp4", ".m4a", ".wav"), workers)
        videos = clips.group((entry for entry in found.entries if entry.suffix == ".mp4"),
                             lambda entry: _key(entry, root, view=True))
        sounds = clips.group((entry for entry in found.entries if entry.suffix != ".mp4"),
                             lambda entry: _key(entry, root, view=False))

        def describe(key: str, video: Entry) -> ClipReference:
            _, actor, view, emotion, level, _ = key.split("/")
            sound = clips.sound_beside(sounds, _of_all_views(key))
            clip = ClipReference(key, f"{self.name}/{actor}", video.location, sound.location if sound else None,
                                 notes={"view": view, "emotion": emotion, "level": level.rpartition("_")[2]})
            return clips.with_notes(clip, audio=AUDIO_FALLBACK if sound else None)

        orphans = clips.without_video(sounds, dict.fromkeys(map(_of_all_views, videos), []))
        yield from clips.references(self.name, root, self.layout, found, videos, describe, orphans)


def _key(entry: Entry, root: Path, view: bool) -> str | None:
    """By actor, then the last folders: [view,] emotion, level."""
    depth = 4 if view else 3
    if len(entry.parts) < depth or not _LEVEL.fullmatch(entry.parts[-2]):
        return None
    actor = next((match for match in map(_ACTOR.fullmatch, (root.name, *entry.parts[:-depth])) if match), None)
    if actor is None:
        return None
    folders = "/".join(part.lower() for part in entry.parts[-depth:-1])
    return f"mead/{actor.group(1).upper()}/{folders}/{entry.stem}"


def _of_all_views(key: str) -> str:
    """Key of the sound: that of a video without its view."""
    corpus, actor, _, *rest = key.split("/")
    return "/".join((corpus, actor, *rest))
