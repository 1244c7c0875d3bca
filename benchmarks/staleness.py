"""When a committed result is stale: hashes of the code that decides it."""

import pathlib

from thjax.core.code_hash import digest_of, imported

ROOT = pathlib.Path(__file__).parent.parent
NOT_DRAWING = ("data_pipelines/synthetic/command.py", "data_pipelines/synthetic/workshop.py",
               "data_pipelines/synthetic/preview.py", "data_pipelines/synthetic/features.py")
"""How corpora are asked for, written and looked at: it decides nothing that a rendered clip holds. Clips without pixels
come from features.py; a result that is made of them names it."""


def code_hash(paths: tuple[str, ...], reached_from: str | None = None) -> str:
    """SHA-256 over the syntax trees of code, so that comments, docstrings and layout do not count.

    Args:
        paths: files, which always count, and folders, of which the files of `NOT_DRAWING` do not.
        reached_from: module; of folders only what it imports counts, itself or through others.
    """
    reached = imported(reached_from, ROOT) if reached_from else None
    counted = []
    for path in paths:
        top = ROOT / path
        inside = sorted(top.rglob("*.py")) if top.is_dir() else []
        counted += [file for file in inside if str(file.relative_to(ROOT)) not in NOT_DRAWING
                    and (reached is None or file in reached)] if top.is_dir() else [top]
    return digest_of(counted, ROOT)
