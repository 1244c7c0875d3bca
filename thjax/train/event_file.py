"""TensorBoard event files at the level of their records: writing, reading, dropping entries that a resume repeats.

Written without the threads of tensorboardX's `SummaryWriter`, which wait for ever once the disk is full.

A record is: length (uint64), masked CRC-32C of the length, that many bytes, masked CRC-32C of those (TFRecord). The
bytes are an `Event` message.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from thjax.core import files

_LENGTH, _CHECKSUM = 8, 4


class EventFile:
    """A new event file in a directory.

    Raises:
        OSError: from every method, where the disk is full.
    """

    def __init__(self, directory: Path):
        directory.mkdir(parents=True, exist_ok=True)
        # Numbered: a run that is resumed within a second must not overwrite the file before.
        count = len(list(directory.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{count}"
        self._records = RecordWriter(str(directory / name))
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def scalar(self, step: int, tag: str, value: float) -> None:
        """Appends a scalar."""
        self._write(Event(wall_time=time.time(), step=step, summary=summary.scalar(tag, value)))

    def picture(self, step: int, tag: str, image: np.ndarray) -> None:
        """Appends a picture [H, W, 3] uint8."""
        self._write(Event(wall_time=time.time(), step=step, summary=summary.image(tag, image, dataformats="HWC")))

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """Puts everything on the disk."""
        self._records.flush()

    def close(self) -> None:
        """Flushes and closes."""
        self._records.close()


def records(path: Path) -> Iterator[tuple[bytes, Event]]:
    """Yields (the record as stored, its event); stops at a tail that a kill cut short."""
    content, start = path.read_bytes(), 0
    while start + _LENGTH + _CHECKSUM <= len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        body = start + _LENGTH + _CHECKSUM
        end = body + length + _CHECKSUM
        if end > len(content):
            return
        yield content[start:end], Event.FromString(content[body : body + length])
        start = end


def filter_events(directory: Path, keep: Callable[[int, str], bool]) -> None:
    """Rewrites every event file of a directory without the events that `keep(step, tag)` refuses."""
    for path in sorted(directory.glob("events.out.tfevents.*")):
        kept = [
            raw for raw, event in records(path) if all(keep(event.step, value.tag) for value in event.summary.value)
        ]
        files.write_bytes(path, b"".join(kept))
