"""Splits by lists of one's own, or by lists that others publish: a folder of text files, a clip a line."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipelines.readers import tcd_timit
from data_pipelines.readers.reference import ClipReference
from data_pipelines.schema import DataError
from thjax.core import files

SIDES = {"train": "train", "validation": "validation", "val": "validation", "dev": "validation", "test": "test"}
"""Name of a list, without its ending -> the part that it lists."""
NOT_LISTED = "not_listed"
"""Reason of a clip that no list names."""
SHOWN = 3


def read(folder: Path, clips: Sequence[ClipReference]) -> tuple[dict[str, str], str]:
    """Divides clips by the lists in a folder: `train.scp` and `test.txt`, say.

    A line names the clip whose key it holds: part after part in this order, whatever stands between them, case and the
    file's ending apart. So the key itself does ("tcd_timit/01M/straightcam/sx5"), and a path in the corpus
    ("volunteers/01M/Clips/straightcam/sx5.mp4").

    Args:
        folder: of the lists.
        clips: of one corpus.

    Returns:
        Key of every clip -> its part, or `NOT_LISTED`; and what was read, for people.

    Raises:
        DataError: the folder holds no such list or two of one part, a list is no text, a clip is in two parts, or a
            line could name several clips.
    """
    names, assigned, said = _Names(clips), {}, []
    for side, path in _lists(folder).items():
        lines, unknown = 0, []
        for line in _lines(path):
            lines += 1
            key = names.key(line, path)
            if key is None:
                unknown.append(line)
            elif assigned.setdefault(key, side) != side:
                raise DataError(f"{path}: {line!r} is {key}, which {assigned[key]} lists as well; keep it in one list")
        missing = f"; {len(unknown)} name no clip that is here, as {', '.join(unknown[:SHOWN])}" if unknown else ""
        said.append(f"{path.name} ({lines} lines, sha256 {files.sha256(path)[:12]}{missing})")
    return {clip.key: assigned.get(clip.key, NOT_LISTED) for clip in clips}, f"By lists: {', '.join(said)}."


def _lists(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.stem.lower() in SIDES):
        side = SIDES[path.stem.lower()]
        if side in found:
            raise DataError(f"{found[side]} and {path} both list what is for {side}; keep one")
        found[side] = path
    found = {side: found[side] for side in SIDES if side in found}
    if "train" not in found:
        raise DataError(f"{folder} holds no list of what trains; put train.txt in it and, if you like, validation.txt "
                        "and test.txt, a clip a line")
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text; a list has the key or the path of a clip on each line") from None
    for line in map(str.strip, text.splitlines()):
        if line and not line.startswith("#"):
            yield line


class _Names:
    """Finds the clip that a line names."""

    def __init__(self, clips: Sequence[ClipReference]):
        self._by_last: dict[str, list[tuple[list[str], str]]] = {}
        for clip in clips:
            corpus, *parts = clip.key.lower().split("/")
            self._by_last.setdefault(parts[-1], []).append((parts, clip.key))
        self._aliases = tcd_timit.ALIASES if clips and corpus == tcd_timit.TcdTimit.name else {}

    def key(self, line: str, path: Path) -> str | None:
        said = [self._aliases.get(part.upper(), part).lower() for part in line.replace("\\", "/").split("/")]
        for last in (said[-1], said[-1].rpartition(".")[0]):  # as in a key, as in a path
            keys = [key for parts, key in self._by_last.get(last, ()) if _in_order(parts[:-1], said[:-1])]
            if len(keys) > 1:
                raise DataError(f"{path}: {line!r} could be {' or '.join(sorted(keys)[:SHOWN])}; write the key")
            if keys:
                return keys[0]
        return None


def _in_order(parts: Sequence[str], said: Sequence[str]) -> bool:
    rest = iter(said)
    return all(part in rest for part in parts)
