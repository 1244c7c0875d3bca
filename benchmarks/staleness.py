"""When a committed result is stale: hashes of the code that decides it."""

import ast
import functools
import hashlib
import pathlib

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
    reached = imported(reached_from) if reached_from else None
    digest = hashlib.sha256()
    for path in paths:
        top = ROOT / path
        inside = sorted(top.rglob("*.py")) if top.is_dir() else []
        counted = [file for file in inside if str(file.relative_to(ROOT)) not in NOT_DRAWING
                   and (reached is None or file in reached)]
        for file in counted if top.is_dir() else [top]:
            digest.update(str(file.relative_to(ROOT)).encode())
            digest.update(_without_docstrings(file.read_text()).encode())
    return digest.hexdigest()


@functools.cache
def imported(module: str) -> frozenset[pathlib.Path]:
    """Files of this repository that a module imports, itself or through others, wherever the imports stand.

    Raises:
        FileNotFoundError: it is not a module of this repository.
    """
    if not (first := _files_of(module)):
        raise FileNotFoundError(f"{module} is not a module below {ROOT}")
    found, waiting = set(), list(first)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [other for name in _names(file) for other in _files_of(name)]
    return frozenset(found)


def _names(file: pathlib.Path) -> set[str]:
    """Modules that a file may import: `from a import b` may mean `a` or `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files_of(module: str) -> list[pathlib.Path]:
    """A module's file and those of the packages around it; none where it is not ours."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return []
    around = [parent / "__init__.py" for parent in file.parents if ROOT in parent.parents]
    return [file, *(init for init in around if init.is_file())]


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return ast.dump(tree)
