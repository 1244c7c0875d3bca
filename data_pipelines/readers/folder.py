"""Any tree of video files: the first folder is the speaker, the path below it without its suffix is the clip."""

import os
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.readers import clips
from data_pipelines.readers.listing import Entry, listing
from data_pipelines.readers.reference import AUDIO_FALLBACK, ClipReference, Rejected

UNNAMED = "unnamed"
"""Speaker of videos that lie in no folder. They are one speaker, for one person on both sides of a split is worse than
two persons on one side."""


class Folder:
    """Reader of a folder of one's own. A sound file with the name of a silent video is its sound."""

    name = "folder"
    licence = "your own: nothing is known of the rights of these videos"
    layout = "  SPEAKER/**/CLIP.mp4 (or any other video file, and CLIP.wav beside it if the video is silent)"

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """See `Reader`."""
        found = listing(root, (*clips.VIDEO_SUFFIXES, *clips.SOUND_SUFFIXES), workers)
        videos = clips.group((entry for entry in found.entries if entry.suffix in clips.VIDEO_SUFFIXES), _key)
        sounds = clips.group((entry for entry in found.entries if entry.suffix in clips.SOUND_SUFFIXES), _key)

        def describe(key: str, video: Entry) -> ClipReference:
            sound = clips.sound_beside(sounds, key)
            return ClipReference(key, "/".join(key.split("/")[:2]), video.location,
                                 sound.location if sound else None,
                                 notes={"audio": AUDIO_FALLBACK} if sound else {})

        orphans = clips.without_video(sounds, videos)
        yield from clips.references(self.name, root, self.layout, found, videos, describe, orphans)


def _key(entry: Entry) -> str:
    folders = entry.parts[:-1] or (UNNAMED,)
    return "/".join(("folder", *folders, os.path.splitext(entry.parts[-1])[0]))
