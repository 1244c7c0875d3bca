"""Files that appear whole or not at all, and their fingerprints."""

import contextlib
import errno
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INCOMPLETE = ".incomplete"
"""Suffix of a file that is being written."""
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
DAMAGED_NPZ = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What numpy raises of an npz file that is none, or is cut off."""


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Gives an error of a full disk the file's name: the system names what it cannot open, not what it cannot write."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; on success its bytes are on disk and it becomes `path`.

    A reader sees the old file or the new one, never a part; a failure leaves nothing behind.

    Raises:
        OSError: where the disk is full its `filename` is `path`.
    """
    temporary = path.with_name(path.name + INCOMPLETE)
    try:
        with named(path):
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # some file systems cannot and say so
        sync(path.parent)  # makes the rename survive a power cut


def write_bytes(path: Path, content: bytes) -> None:
    """Writes `content`, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: Any, sort_keys: bool = False) -> None:
    """Writes `content` as JSON to be read by people, too, whole or not at all."""
    write_bytes(path, (json.dumps(content, indent=1, sort_keys=sort_keys) + "\n").encode())


def sync(path: Path) -> None:
    """Flushes a file, or the entries of a directory, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: Any) -> str:
    """Hexadecimal SHA-256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
