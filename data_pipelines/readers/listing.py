"""Lists a tree of files in parallel, looking into zips and tars without unpacking them. Nothing is decoded.

A member of an archive lies, for the readers, in a folder of the archive's name. Left out without a word is what no
corpus contains: names that begin with a dot, and `__MACOSX`.
"""

import concurrent.futures
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from data_pipelines.readers.reference import Location
from data_pipelines.schema import DataError

ARCHIVES = (".zip", ".tar")
COMPRESSED = (".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_PART = re.compile(r"[-_.]part[a-z]{2}$|\.(zip|tar)\.\d{3}$")
_LOCAL_HEADER, _DEFLATED, _ENCRYPTED = 30, zipfile.ZIP_DEFLATED, 99
_UNPACK = "unpack it beside itself and scan again"
_CHUNK = 512
_Item, _Result = TypeVar("_Item"), TypeVar("_Result")


class Entry(NamedTuple):
    """A file, or a member of an archive.

    Attributes:
        parts: path below the root, archives counted as folders.
        path, member, start: as in `Location`.
        size: bytes on disk.
        method: how a zip compressed it; 0: not.
    """

    parts: tuple[str, ...]
    path: str
    member: str | None
    start: int
    size: int
    method: int = 0

    @property
    def location(self) -> Location:
        """Where it is, for somebody who opens it."""
        return Location(self.path, self.member, self.start, None if self.member is None else self.size)

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return os.path.splitext(self.parts[-1])[0]

    @property
    def suffix(self) -> str:
        """The last suffix in lower case, with its dot."""
        return os.path.splitext(self.parts[-1])[1].lower()


class Problem(NamedTuple):
    """Something that could not be listed; the fields of `Rejected`, with the path in place of the key."""

    parts: tuple[str, ...]
    location: Location
    reason: str
    detail: str


class Listing(NamedTuple):
    """What lies below a root: entries, plain files before members of archives, each sorted by path; and problems."""

    entries: list[Entry]
    problems: list[Problem]


class _Found(NamedTuple):
    entries: list[Entry]
    problems: list[Problem]
    jobs: list[tuple]


def listing(root: Path, suffixes: Iterable[str], workers: int) -> Listing:
    """Lists files by their suffixes, `workers` folders at a time; the same for any number of them.

    Args:
        root: where to begin; links to folders are followed.
        suffixes: of the files that matter, lower case with the dot.
        workers: threads, at least 1. Listing waits for the file system more than it computes.

    Raises:
        DataError: `root` is no folder or may not be listed.
    """
    if workers < 1:
        raise DataError(f"workers {workers} must be at least 1")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that the corpus was unpacked or downloaded into")
    wanted = frozenset(suffixes)
    entries, problems = [], []
    jobs: list[tuple] = [(_list_folder, str(root), (), ())]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        while jobs:
            found = list(pool.map(lambda job: job[0](*job[1:], wanted), jobs))
            entries += [entry for part in found for entry in part.entries]
            problems += [problem for part in found for problem in part.problems]
            jobs = [job for part in found for job in part.jobs]
    if not entries and any(problem.parts == () for problem in problems):
        raise DataError(f"{root}: {problems[0].detail}")
    entries.sort(key=lambda entry: (entry.member is not None, entry.parts))
    return Listing(entries, sorted(problems, key=lambda problem: problem.parts))


def _list_folder(path: str, parts: tuple, trail: tuple, wanted: frozenset) -> _Found:
    found = _Found([], [], [])
    here = Location(path)
    try:
        status = os.stat(path)
        identity = (status.st_dev, status.st_ino)
        if identity in trail:
            found.problems.append(Problem(parts, here, "symlink_loop", f"{path} links to a folder that it lies in; "
                                                                       "remove the link"))
            return found
        with os.scandir(path) as items:
            for item in items:
                if not item.name.startswith(".") and item.name != "__MACOSX":
                    _list_item(item, (*parts, item.name), (*trail, identity), wanted, found)
    except OSError as error:
        found.problems.append(Problem(parts, here, "unreadable_folder", f"{path} cannot be listed "
                                      f"({(error.strerror or str(error)).lower()}); check its permissions"))
    return found


def _list_item(item: os.DirEntry, parts: tuple, trail: tuple, wanted: frozenset, found: _Found) -> None:
    name, here = item.name.lower(), Location(item.path)
    suffix = os.path.splitext(name)[1]
    try:
        if item.is_dir():
            found.jobs.append((_list_folder, item.path, parts, trail))
        elif item.is_file():
            if suffix in wanted:
                _add(Entry(parts, item.path, None, 0, item.stat().st_size), found)
            elif suffix in ARCHIVES:
                found.jobs.append((_list_archive, item.path, parts))
            elif suffix in COMPRESSED:
                found.problems.append(Problem(parts, here, "compressed_archive", f"{item.path} is compressed and "
                                                                                 f"cannot be read in place; {_UNPACK}"))
            elif _PART.search(name):
                found.problems.append(Problem(parts, here, "archive_part", f"{item.path} is one part of an archive; "
                                              "join the parts with `cat PART... > NAME.zip` (or .tar), move them away"))
        elif item.is_symlink() and suffix in wanted:
            found.problems.append(Problem(parts, here, "broken_link", f"{item.path} links to nothing; mend the link"))
    except OSError as error:  # a link to itself
        found.problems.append(Problem(parts, here, "broken_link", f"{item.path} cannot be followed "
                                      f"({(error.strerror or str(error)).lower()}); mend the link"))


def _add(entry: Entry, found: _Found) -> None:
    if is_text("/".join(entry.parts)):
        found.entries.append(entry)
    else:
        found.problems.append(Problem(entry.parts, entry.location, "name_not_utf8", "a name that is no UTF-8 text "
                                      "cannot be part of a key; rename it, for example with convmv"))


def _list_archive(path: str, parts: tuple, wanted: frozenset) -> _Found:
    found = _Found([], [], [])
    members = _zip_members if path.lower().endswith(".zip") else _tar_members
    try:
        for name, start, size, method in members(path, wanted):
            inside = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
            if inside and "__MACOSX" not in inside and not inside[-1].startswith("."):
                _add(Entry((*parts, *inside), path, name, start, size, method), found)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, struct.error) as error:
        found.problems.append(Problem(parts, Location(path), "damaged_archive", f"{path} cannot be listed ({error}); "
                                      "an archive that came in parts is whole only when all are joined in order"))
    return found


def _zip_members(path: str, wanted: frozenset) -> list[tuple[str, int, int, int]]:
    """(name, first byte, bytes, method) of the files. Where content begins stands before each, not in the index."""
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if os.path.splitext(info.filename)[1].lower() in wanted]
    members, handle = [], os.open(path, os.O_RDONLY)
    try:
        for info in infos:
            header = os.pread(handle, _LOCAL_HEADER, info.header_offset)
            if header[:4] != b"PK\x03\x04":
                raise zipfile.BadZipFile(f"no member at byte {info.header_offset}, where {info.filename} should begin")
            name, extra = struct.unpack("<HH", header[26:30])
            start = info.header_offset + _LOCAL_HEADER + name + extra
            method = _ENCRYPTED if info.flag_bits & 1 else info.compress_type
            members.append((info.filename, start, info.compress_size, method))
    finally:
        os.close(handle)
    return members


def _tar_members(path: str, wanted: frozenset) -> list[tuple[str, int, int, int]]:
    """As `_zip_members`, by walking from header to header."""
    members = []
    with tarfile.open(path, "r:") as archive:
        end = os.path.getsize(path)
        for info in archive:
            if info.isfile() and os.path.splitext(info.name)[1].lower() in wanted:
                if info.offset_data + info.size > end:
                    raise tarfile.ReadError(f"it ends within {info.name}")
                members.append((info.name, info.offset_data, info.size, 0))
            archive.members.clear()  # tarfile keeps every header it has seen; a corpus has half a million
    return members


def is_text(name: str) -> bool:
    """Whether a name from the file system is valid UTF-8."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    """A name from the file system as text that can be written anywhere, escaping the bytes that are none."""
    return os.fsencode(name).decode(errors="backslashreplace")


def read_text(entry: Entry) -> str:
    """The content of a label file: UTF-8 with or without a byte order mark, any line ends; strange bytes replaced.

    Raises:
        OSError: it cannot be read.
        DataError: its compression is unknown or its bytes are damaged.
    """
    with open(entry.path, "rb") as file:
        file.seek(entry.start)
        raw = file.read(entry.size)
    if entry.method == _DEFLATED:
        try:
            raw = zlib.decompress(raw, -15)
        except zlib.error as error:
            raise DataError(f"{entry.location}: damaged ({error}); download the archive again") from None
    elif entry.method:
        raise DataError(f"{entry.location}: compressed by the unknown method {entry.method}, or encrypted; {_UNPACK}")
    return raw.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def parallel(function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int) -> list[_Result]:
    """[function(item) for item in items], by `workers` threads, for functions that wait for the file system."""
    chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [result for part in pool.map(lambda chunk: [function(item) for item in chunk], chunks)
                for result in part]
