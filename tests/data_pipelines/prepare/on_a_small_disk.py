"""Run where a small disk is mounted: `thjax data prepare` onto it while there is too little room at every stage.

    python -m tests.data_pipelines.prepare.on_a_small_disk FILMS REFERENCE DISK

Prints as JSON what it said each time. The last line is whether the records in the end are those of REFERENCE, which
the same command writes where there is room.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from tests.data_pipelines.prepare.conftest import bytes_of
from thjax import cli

PAGE = 4096
DESCRIPTION = ("manifest.jsonl", "index.npz", "dataset.json", "quarantine.jsonl")


class SmallDisk:
    """A disk with as little room as is asked for.

    Args:
        films: the corpus to prepare.
        place: where the disk is mounted.
        whole: bytes of every file as they must be.
    """

    def __init__(self, films: Path, place: Path, whole: dict[str, bytes]):
        self.films, self.place, self.whole = films, place, whole
        self.out, self.ballast = place / "out", place / "ballast"

    def leave(self, room: int) -> None:
        """Fills the disk but for `room` bytes."""
        self.ballast.unlink(missing_ok=True)
        disk = os.statvfs(self.place)
        self.ballast.write_bytes(bytes(max(disk.f_bavail * disk.f_frsize - room, 0)))

    def attempt(self, room: int) -> bool:
        """Runs the command with so much room; where it fails, prints what it said and which files are not whole."""
        self.leave(room)
        status, said = prepare(self.films, self.out)
        if status:
            there = bytes_of(self.out) if self.out.exists() else {}
            torn = [name for name, content in there.items() if content != self.whole.get(name)]
            print(json.dumps({"status": status, "said": said, "torn": torn}))
        return not status

    def fill_slowly(self, step: int) -> None:
        """Runs the command with a little more room each time until it is done."""
        room = 0
        while not self.attempt(room):
            room += step


def prepare(films: Path, out: Path, *more: str) -> tuple[int, str]:
    """`thjax data prepare`: its exit status and the last line that it said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(["data", "prepare", "--corpus", "folder", "--root", str(films), "--out", str(out), "--size",
                           "16", "--workers", "0", "--max-bad", "0.5", *more])
    return status, said.getvalue().strip().rpartition("\n")[2]


def main(films: Path, reference: Path, place: Path) -> None:
    assert prepare(films, reference)[0] == 0
    disk = SmallDisk(films, place, bytes_of(reference))
    # The plan, and then the prediction, which keeps a run from beginning that cannot end.
    for room in range(0, 8 * PAGE, PAGE):
        assert not disk.attempt(room)
    disk.ballast.unlink()
    assert prepare(films, disk.out, "--rank", "1", "--nshard", "2")[0] == 0
    disk.fill_slowly(32 * PAGE)  # somebody else took the room while shards were written
    for name in DESCRIPTION:
        (disk.out / name).unlink()
    disk.fill_slowly(PAGE)  # shards are there, and no room to describe them
    print(json.dumps(bytes_of(disk.out) == disk.whole))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
