"""`thjax data scan`: what of a corpus is on disk, before anything is decoded."""

import argparse
import collections
import dataclasses
import json
import pathlib
import time
from collections.abc import Iterable

from data_pipelines.readers import READERS
from data_pipelines.readers.listing import printable
from data_pipelines.readers.reference import REASONS, ClipReference, Reader, Rejected
from data_pipelines.schema import DataError
from thjax.core import files

WORKERS = 16
"""Threads that list folders. They wait for the file system most of the time, so cores do not matter."""
SHOWN = 3
"""Rejects of a reason that are shown one by one."""


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax data scan`."""
    parser = argparse.ArgumentParser(
        prog="thjax data scan",
        description="Lists the clips of a corpus as it was distributed and says what is missing or odd. Opens no "
        "media, changes nothing. Clips inside zips and tars are found without unpacking.",
    )
    add = parser.add_argument
    add("--corpus", required=True, choices=READERS, help="whose layout it is; folder is any tree of videos, "
        "one folder for each speaker")
    add("--root", type=pathlib.Path, required=True, metavar="DIR", help="folder of the corpus")
    add("--out", type=pathlib.Path, metavar="FILE", help="write every clip and reject as a line of JSON")
    add("--split", metavar="NAME", help="show what a named split or a folder of lists makes "
        "of it; `help` lists the names")
    add("--seed", type=int, default=0, help="of a seeded split (default: %(default)s)")
    add("--compare_bytes", action="store_true", help="with --split: also read files of equal size, and show what has "
        "the bytes of a clip on a later side")
    add("--workers", type=int, default=WORKERS, metavar="N", help="folders listed at once (default: %(default)s)")
    return parser


def run(argv: list[str]) -> int:
    """Scans; returns 0."""
    options = parser().parse_args(argv)
    if options.split == "help":
        from data_pipelines import named_splits

        print(named_splits.describe(options.corpus))
        return 0
    reader, started = READERS[options.corpus], time.monotonic()
    found = list(reader.scan(options.root, options.workers))
    seconds = time.monotonic() - started
    if options.out:
        write(options.out, found)
    print(report(reader, options.root, found, seconds))
    if options.split:
        from data_pipelines import named_splits

        clips = [item for item in found if isinstance(item, ClipReference)]
        print(named_splits.divide(options.split, clips, options.seed, options.compare_bytes).report())
    return 0


def write(path: pathlib.Path, found: Iterable[ClipReference | Rejected]) -> None:
    """Writes clips and rejects, a line of JSON each, whole or not at all.

    Raises:
        DataError: the folder of `path` is missing.
    """
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: no such folder; make it, or choose another --out")
    with files.whole(path) as temporary, open(temporary, "w") as file:
        for item in found:
            file.write(json.dumps(dataclasses.asdict(item)) + "\n")


def report(reader: Reader, root: pathlib.Path, found: list[ClipReference | Rejected], seconds: float) -> str:
    """What was found, for people: counts, labels, oddities, rejects by reason with examples."""
    clips = [item for item in found if isinstance(item, ClipReference)]
    rejects = [item for item in found if isinstance(item, Rejected)]
    lines = [f"{root}: {reader.name}, {len(clips)} clips of {len({clip.speaker for clip in clips})} speakers, "
             f"{len(rejects)} rejected, in {seconds:.1f} s", f"licence: {reader.licence}"]
    splits = collections.Counter(clip.split or "no official split" for clip in clips)
    lines += [f"  {count:8} {split}" for split, count in sorted(splits.items())]
    labels = {name: sum(getattr(clip, name) is not None for clip in clips)
              for name in ("audio", "sentence", "words", "phonemes", "av_offset")}
    lines += [f"  {count:8} with {'sound beside the video' if name == 'audio' else name}"
              for name, count in labels.items() if count]
    notes = collections.Counter(f"{name} {clip.notes[name].split(':')[0]}" for clip in clips
                                for name in ("labels", "alignment") if name in clip.notes)
    lines += [f"  {count:8} note: {note}" for note, count in sorted(notes.items())]
    return "\n".join(lines + _rejects(rejects))


def _rejects(rejects: list[Rejected]) -> list[str]:
    by_reason: dict[str, list[Rejected]] = {}
    for reject in rejects:
        by_reason.setdefault(reject.reason, []).append(reject)
    lines = []
    for reason, items in sorted(by_reason.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"  {len(items):8} rejected: {reason}, {REASONS[reason]}")
        lines += [f"           {printable(item.detail)}" for item in items[:SHOWN]]
    return lines
