"""The directory of checkpoints: `RUN/checkpoints/<step>/`, each with its record and the SHA-256 of every file.

state/            written by Orbax
record.json       everything beside the arrays, see `Record`
sha256.json       {file: hexadecimal}, written last
"""

import dataclasses
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from thjax.core import files
from thjax.core.errors import UserError

VERSION = 1
RECORD, HASHES = "record.json", "sha256.json"
log = logging.getLogger(__name__)


class BrokenCheckpoint(Exception):
    """A checkpoint is truncated or altered. Says which file."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What a checkpoint holds beside the arrays of the state.

    Attributes:
        step: steps of the run that the state has seen.
        stage: name of the stage.
        stage_step: steps of the stage.
        position: examples of the stage's stream that were consumed, `stage_step * batch`.
        bookkeeping: evaluation and patience counters, best value and its step; see thjax/train/bookkeeping.py.
        config: the resolved config as plain values.
        statistics: of the data, as the system merged them; see `pack`.
        manifest_hash: of the corpus.
        pretrained: {net: where its weights came from} for networks that were not trained from scratch here.
        usable_cores: CPU cores that the process could use: CPU programs give other bits on another number.
        versions: of the packages that decide about bits.
        version: of this layout.
    """

    step: int
    stage: str
    stage_step: int
    position: int
    bookkeeping: dict[str, Any]
    config: dict[str, Any]
    statistics: Any
    manifest_hash: str
    pretrained: dict[str, Any]
    usable_cores: int
    versions: dict[str, str]
    version: int = VERSION


def checkpoints(run: Path) -> Path:
    """The directory of a run's checkpoints."""
    return run / "checkpoints"


def step_directory(run: Path, step: int) -> Path:
    """The directory of one checkpoint."""
    return checkpoints(run) / str(step)


def steps(run: Path) -> list[int]:
    """Steps with a checkpoint, oldest first; not yet known to be intact."""
    directory = checkpoints(run)
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal()) if directory.is_dir() else []


def seal(directory: Path, record: Record) -> None:
    """Adds the record and the hashes to a directory that Orbax has finished, and flushes every file to the disk."""
    files.write_json(directory / RECORD, dataclasses.asdict(record))
    hashes = {}
    for path in sorted(directory.rglob("*")):
        files.sync(path)
        if path.is_file():
            hashes[path.relative_to(directory).as_posix()] = files.sha256(path)
    files.write_json(directory / HASHES, hashes)
    files.sync(directory)


def verify(directory: Path) -> Record:
    """Reads the record of a checkpoint after checking every file against its hash.

    Raises:
        BrokenCheckpoint: a file is missing, truncated or altered.
        UserError: it is intact, of a layout that this version cannot read.
    """
    try:
        hashes = json.loads((directory / HASHES).read_text())
        for name, expected in hashes.items():
            if files.sha256(directory / name) != expected:
                raise BrokenCheckpoint(f"{directory / name} is not the file that was written (its SHA-256 differs)")
    except FileNotFoundError as error:
        raise BrokenCheckpoint(f"{error.filename} is missing") from None
    except (OSError, ValueError, AttributeError) as error:
        raise BrokenCheckpoint(f"{directory} cannot be read: {error}") from None
    return read_record(directory)


def read_record(directory: Path) -> Record:
    """The record of a checkpoint, its arrays unchecked.

    Raises:
        BrokenCheckpoint: it cannot be read.
        UserError: it is of a layout that this version cannot read.
    """
    try:
        values = json.loads((directory / RECORD).read_text())
    except (OSError, ValueError) as error:
        raise BrokenCheckpoint(f"{directory / RECORD} cannot be read: {error}") from None
    if values["version"] != VERSION:
        raise UserError(f"{directory} has layout {values['version']}; this version of thjax reads {VERSION}")
    return Record(**values)


def set_aside(directory: Path) -> Path:
    """Renames a broken checkpoint to `<step>.broken`, so that its step can be saved again."""
    target, count = directory.with_name(f"{directory.name}.broken"), 1
    while target.exists():
        count += 1
        target = directory.with_name(f"{directory.name}.broken-{count}")
    directory.rename(target)
    return target


def broken(run: Path) -> list[str]:
    """Names of the checkpoints that were set aside."""
    return sorted(path.name for path in checkpoints(run).glob("*.broken*"))


def newest_intact(run: Path, keep_broken_in_place: bool = True) -> Record | None:
    """The record of the newest checkpoint that is whole, or None.

    Args:
        run: directory of the run.
        keep_broken_in_place: only warn about broken ones; a resuming run passes False and sets them aside.
    """
    for step in reversed(steps(run)):
        directory = step_directory(run, step)
        try:
            return verify(directory)
        except BrokenCheckpoint as error:
            where = "" if keep_broken_in_place else f", set aside as {set_aside(directory).name}"
            log.warning("checkpoint %d is broken%s; trying the one before. %s", step, where, error)
    return None


def remove(directory: Path) -> None:
    """Deletes a checkpoint; renamed first, so that a kill leaves no half of one under its name."""
    doomed = directory.with_name(f".{directory.name}.deleted")
    shutil.rmtree(doomed, ignore_errors=True)
    directory.rename(doomed)
    shutil.rmtree(doomed)


def sweep(run: Path) -> None:
    """Clears what a killed run left behind: saves that never finished, deletions that did not either."""
    directory = checkpoints(run)
    for path in directory.glob(".*.replaced"):
        step = directory / path.name[1:].removesuffix(".replaced")
        if not step.exists():
            path.rename(step)
    for path in directory.glob(".*"):
        shutil.rmtree(path)


def pack(tree: Any) -> Any:
    """Nested mappings of arrays and plain values as JSON, to the bit."""
    if isinstance(tree, dict):
        return {key: pack(value) for key, value in tree.items()}
    if isinstance(tree, (np.ndarray, np.generic)) or hasattr(tree, "__array__"):
        array = np.asarray(tree)
        return {"__array__": array.ravel().tolist(), "dtype": array.dtype.name, "shape": list(array.shape)}
    if isinstance(tree, (list, tuple)):
        return [pack(value) for value in tree]
    return tree


def unpack(tree: Any) -> Any:
    """What `pack` packed; tuples come back as lists."""
    if isinstance(tree, dict):
        if "__array__" in tree:
            return np.asarray(tree["__array__"], tree["dtype"]).reshape(tree["shape"])
        return {key: unpack(value) for key, value in tree.items()}
    return [unpack(value) for value in tree] if isinstance(tree, list) else tree
