"""Random access to the records of many shards with a bounded number of open files."""

import collections
import threading
from collections.abc import Sequence
from pathlib import Path

from array_record.python.array_record_module import ArrayRecordReader

from data_pipelines.schema import DataError

# Read-ahead and parallel reading serve scans; records are read one by one in random order.
_READER_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"
_READER_BUFFER_BYTES = 32 * 1024
MAX_OPEN_SHARDS = 128
"""Readers kept open: far below the usual limit of 1,024 files, of which worker processes and checkpoints need some."""


class ShardReader:
    """Reads records by (shard, offset). Safe in threads; in another process it opens its own files.

    Args:
        paths: of the shards, in the order that `read` counts them.
        max_open: readers kept open, the least recently used is closed first.
    """

    def __init__(self, paths: Sequence[Path], max_open: int = MAX_OPEN_SHARDS):
        self._paths = list(paths)
        self._max_open = max_open
        self._lock = threading.Lock()
        self._open: collections.OrderedDict[int, ArrayRecordReader] = collections.OrderedDict()

    def read(self, shard: int, offset: int) -> bytes:
        """Bytes of a record.

        Raises:
            DataError: the shard cannot be opened or the record in it cannot be read; names the file.
        """
        reader = self._reader(shard)
        try:
            return reader.read([offset])[0]
        except Exception as error:  # the reader raises whatever its C++ status maps to
            raise DataError(f"{self._paths[shard]}: record {offset} cannot be read ({_first_line(error)}); "
                            "the file is damaged: delete it and rerun the command that wrote the corpus") from None

    @property
    def open_shards(self) -> int:
        """Readers open now."""
        return len(self._open)

    def _reader(self, shard: int) -> ArrayRecordReader:
        with self._lock:
            reader = self._open.pop(shard, None)
            if reader is None:
                reader = open_shard(self._paths[shard])
            self._open[shard] = reader
            # A reader that another thread still uses is closed when that thread lets go of it.
            while len(self._open) > self._max_open:
                self._open.popitem(last=False)
            return reader

    def __getstate__(self) -> dict:
        return {"paths": self._paths, "max_open": self._max_open}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["paths"], state["max_open"])


def open_shard(path: Path) -> ArrayRecordReader:
    """Opens a shard for random reads.

    Raises:
        DataError: it is not there or no ArrayRecord file.
    """
    reader = ArrayRecordReader(str(path), _READER_OPTIONS, file_reader_buffer_size=_READER_BUFFER_BYTES)
    if not reader.ok():
        raise DataError(f"{path} cannot be opened as an ArrayRecord file; "
                        "delete it and rerun the command that wrote the corpus")
    return reader


def count_records(path: Path) -> int:
    """Records of a shard, from its footer."""
    return open_shard(path).num_records()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
