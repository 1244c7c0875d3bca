"""TensorBoard event files at the level of their records: reading them, and dropping entries that a resume repeats.

A record is: length (uint64), masked CRC-32C of the length, that many bytes, masked CRC-32C of those (TFRecord). The
bytes are an `Event` message.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from thjax.core import files

_LENGTH, _CHECKSUM = 8, 4


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
