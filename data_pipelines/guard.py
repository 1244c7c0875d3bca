"""One writer for a directory or a part of its shards, signals that end work between two clips, and full disks."""

import contextlib
import fcntl
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from thjax.core import files
from thjax.core.errors import RunStopped, UserError


@contextlib.contextmanager
def alone(directory: Path, rank: int = 0, nshard: int = 1) -> Iterator[None]:
    """Holds a part of a directory: two processes that write the same shards would spoil each other's.

    Raises:
        UserError: another process writes this part, or all of it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # All parts share one lock, which whoever writes the whole takes for himself.
    with open(directory / ".lock", "w") as whole, open(directory / f".lock-{rank}-of-{nshard}", "w") as part:
        try:
            fcntl.flock(whole, (fcntl.LOCK_EX if nshard == 1 else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process writes {directory}; wait for it, or choose another --out") from None
        yield


@contextlib.contextmanager
def in_turn(directory: Path) -> Iterator[None]:
    """Waits until no other process is here: for work that several may do, one after the other."""
    with open(directory / ".lock-turn", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def room() -> Iterator[None]:
    """Says of a full disk which file had no room, and that the command goes on from there.

    Raises:
        UserError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in files.DISK_FULL:
            raise
        raise UserError(f"{error.filename or 'a file'} could not be written ({error.strerror}); make room on the disk "
                        "and rerun the command: what is written whole stays") from None


class Interruption:
    """Turns SIGINT and SIGTERM into a flag while work is under way."""

    def __init__(self):
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, lambda number, frame: setattr(self, "signal", number))
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises RunStopped when a signal has come."""
        if self.signal is not None:
            raise RunStopped("interrupted; what is finished stays, and the same command goes on from there",
                             exit_code=128 + self.signal)
