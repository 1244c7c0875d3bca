"""Files that appear whole or not at all, and their fingerprints."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

INCOMPLETE = ".incomplete"
"""Suffix of a file that is being written."""


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; on success its bytes are on disk and it becomes `path`."""
    temporary = path.with_name(path.name + INCOMPLETE)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_json(path: Path, content: object) -> None:
    """Writes `content` as JSON with sorted keys, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: object) -> str:
    """Hexadecimal sha256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut; some file systems cannot and say so."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
