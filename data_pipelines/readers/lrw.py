"""LRW: 500 words as the BBC's speakers said them, 29 frames each, the word in the middle."""

import re
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.readers import clips
from data_pipelines.readers.listing import Entry, listing, parallel, read_text
from data_pipelines.readers.reference import ClipReference, Rejected
from data_pipelines.schema import FPS, DataError

FRAMES = 29
SECONDS = FRAMES / FPS
SPLITS = {"train": "train", "val": "validation", "test": "test"}
_NUMBER = re.compile(r"\d+(\.\d+)?")


class Lrw:
    """Reader of LRW, unpacked or in its joined tar.

    The corpus does not say who speaks. The speaker of a clip is `lrw/unknown_SPLIT`: nothing may be learnt from it.
    """

    name = "lrw"
    licence = "research at universities only, by agreement with the BBC: https://www.robots.ox.ac.uk/~vgg/data/lip_reading"
    layout = "  lipread_mp4/ABOUT/train/ABOUT_00001.mp4 and .txt beside it (train, val, test), or the joined tar"

    def scan(self, root: Path, workers: int) -> Iterator[ClipReference | Rejected]:
        """See `Reader`."""
        found = listing(root, (".mp4", ".txt"), workers)
        videos, texts = (clips.group((entry for entry in found.entries if entry.suffix == suffix), _key)
                         for suffix in (".mp4", ".txt"))
        known = [key for key in videos if key in texts]
        words = dict(zip(known, parallel(_read_word, [texts[key][0] for key in known], workers), strict=True))

        def describe(key: str, video: Entry) -> ClipReference:
            speaker, word = key.rpartition("/")[0], video.parts[-3].lower()
            spoken = words.get(key, "missing")
            timed = None if isinstance(spoken, str) else ((word, *spoken),)
            clip = ClipReference(key, speaker, video.location, split=SPLITS[video.parts[-2].lower()], sentence=word,
                                 words=timed)
            return clips.with_notes(clip, labels=spoken if timed is None else None)

        yield from clips.references(self.name, root, self.layout, found, videos, describe,
                                    clips.without_video(texts, videos))


def _key(entry: Entry) -> str | None:
    if len(entry.parts) < 3 or entry.parts[-2].lower() not in SPLITS:
        return None
    if not entry.stem.upper().startswith(entry.parts[-3].upper() + "_"):
        return None
    return f"lrw/unknown_{SPLITS[entry.parts[-2].lower()]}/{entry.stem.upper()}"


def _read_word(entry: Entry) -> tuple[float, float] | str:
    try:
        return word_span(read_text(entry))
    except (DataError, OSError) as error:
        return f"unreadable: {error}"


def word_span(text: str) -> tuple[float, float]:
    """Start and end of the word in seconds: half of `Duration` on each side of the middle of 29 frames.

    Raises:
        DataError: no `Duration` of more than 0 seconds.
    """
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "duration" and (number := _NUMBER.match(value.strip())):
            half = min(float(number.group()), SECONDS) / 2
            if half > 0:
                return SECONDS / 2 - half, SECONDS / 2 + half
    raise DataError("no line `Duration: SECONDS seconds` with more than 0 seconds; the word's time is not known")
