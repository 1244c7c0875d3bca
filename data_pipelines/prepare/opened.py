"""Opens the media of a clip wherever it lies: a file, or a member of an archive that is read in place."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator

from data_pipelines.mp4 import pyav
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import Location

_BLOCK = 1 << 20


class ByteRange(io.RawIOBase):
    """Bytes [start, start + size) of a file as a file of their own."""

    def __init__(self, path: str, start: int, size: int | None):
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        whole = os.fstat(self._file.fileno()).st_size
        self._start = start
        self.size = max(min(whole - start, whole if size is None else size), 0)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer) -> int:
        wanted = min(len(buffer), max(self.size - self._position, 0))
        self._file.seek(self._start + self._position)
        read = self._file.readinto(memoryview(buffer)[:wanted]) if wanted else 0
        self._position += read
        return read

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextlib.contextmanager
def opened(location: Location) -> Iterator:
    """A container of PyAV. Paths are opened by Python, so that names that are no UTF-8 work as well.

    Raises:
        BadClip: missing, empty or no media.
    """
    av = pyav("preparing a corpus")
    with contextlib.closing(_bytes_of(location)) as content:
        try:
            container = av.open(io.BufferedReader(content, 1 << 16), metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise BadClip("unreadable", f"{location}: ffmpeg cannot open it ({_reason(error)})") from None
        with container:
            yield container


def sha256(location: Location) -> tuple[int, str]:
    """Bytes of the content and their hexadecimal sha256."""
    digest = hashlib.sha256()
    with contextlib.closing(_bytes_of(location)) as content:
        while block := content.read(_BLOCK):
            digest.update(block)
        return content.size, digest.hexdigest()


def _bytes_of(location: Location) -> ByteRange:
    try:
        # A pipe or a device would make whoever opens it wait for ever.
        if not os.path.isfile(location.path):
            raise BadClip("missing", f"{location}: no such file; scan again with --rescan")
        content = ByteRange(location.path, location.start, location.size)
    except OSError as error:
        raise BadClip("missing", f"{location}: {error.strerror}") from None
    if not content.size:
        content.close()
        raise BadClip("empty_file", f"{location}: 0 bytes")
    return content


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
