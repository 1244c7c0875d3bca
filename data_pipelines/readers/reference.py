"""What a reader says of a corpus on disk: where each clip lies and what its labels are, or why it is none."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

AUDIO_FALLBACK = "fallback"
"""Value of `notes["audio"]` where `audio` is to be used only if the video holds no sound of its own."""
Timed = tuple[tuple[str, float, float], ...]
"""(name, start, end) in seconds from the clip's start, in order."""


@dataclasses.dataclass(frozen=True)
class Location:
    """A file, or a member of a zip (stored, not compressed) or tar that is read in place.

    Attributes:
        path: of the file or of the archive.
        member: name inside the archive; None for a plain file.
        start: byte of `path` at which the content begins; 0 for a plain file.
        size: bytes of the content; None: to the end of the file.
    """

    path: str
    member: str | None = None
    start: int = 0
    size: int | None = None

    def __str__(self) -> str:
        return self.path if self.member is None else f"{self.path}!{self.member}"


@dataclasses.dataclass(frozen=True)
class ClipReference:
    """A clip that a reader found. No media was opened: whether it can be decoded shows when it is prepared.

    Attributes:
        key: unique, "corpus/speaker/clip".
        speaker: "corpus/speaker", unique over corpora.
        video: where the pictures are.
        audio: where the sound is; None: in the video. With `notes["audio"] == AUDIO_FALLBACK` it is for a video
            without sound only.
        split: of the corpus's own lists: train, validation or test; None where it has none.
        sentence: what is said, lower case, if the corpus tells.
        words: with their times, if the corpus tells.
        phonemes: likewise, in the corpus's own alphabet.
        av_offset: frames by which the video lags behind the sound, as the corpus says; stored, never applied silently.
        notes: what else is known and may be asked for by name, and what was odd; values are text.
    """

    key: str
    speaker: str
    video: Location
    audio: Location | None = None
    split: str | None = None
    sentence: str | None = None
    words: Timed | None = None
    phonemes: Timed | None = None
    av_offset: float | None = None
    notes: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Rejected:
    """Something that should have been a clip and is none; it is counted, so that nothing vanishes.

    Attributes:
        key: of the clip it would have been, or "corpus/path" where not even that is known.
        location: what was found.
        reason: a code of `REASONS`.
        detail: the value, the rule it breaks, and the way out.
    """

    key: str
    location: Location
    reason: str
    detail: str


REASONS = {
    "empty_file": "a file of 0 bytes",
    "no_video": "sound or labels of a clip without its pictures",
    "label_mismatch": "the labels contradict the clip's name",
    "unknown_place": "a video that lies where the corpus has none",
    "duplicate_key": "another file has the clip's key already",
    "name_not_utf8": "a name that is no UTF-8 text",
    "unreadable_folder": "a folder that may not be listed",
    "symlink_loop": "a link to a folder that it lies in",
    "broken_link": "a link to nothing",
    "damaged_archive": "a zip or tar that cannot be listed",
    "compressed_archive": "a compressed or encrypted archive or member, which cannot be read in place",
    "archive_part": "one part of an archive, to be joined with the others",
}
"""Reason codes of `Rejected`."""


class Reader(Protocol):
    """Knows the layout of one corpus.

    Attributes:
        name: first part of every key.
        licence: the corpus's terms in one line, and where they can be read.
        layout: the paths it looks for, one a line.
    """

    name: str
    licence: str
    layout: str

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """Finds the clips below `root`, in the order of their keys, the same for any number of `workers`.

        Opens no media; reads label files.

        Raises:
            DataError: `root` is no folder, or nothing in it looks like the corpus.
        """
