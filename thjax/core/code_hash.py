"""Which code a module reaches by its imports, and what that code is but for its comments: results are signed by it."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest_of(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over paths and syntax trees, so that comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file.relative_to(root)).encode())
        digest.update(_without_docstrings(file.read_text()).encode())
    return digest.hexdigest()


@functools.cache
def imported(module: str, root: Path) -> frozenset[Path]:
    """Files below a folder that a module imports, itself or through others, wherever the imports stand.

    Args:
        module: dotted name.
        root: folder that holds its top package.

    Raises:
        FileNotFoundError: it is not a module of that folder.
    """
    if not (first := _files_of(module, root)):
        raise FileNotFoundError(f"{module} is not a module below {root}")
    found, waiting = set(), list(first)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [other for name in _names(file) for other in _files_of(name, root)]
    return frozenset(found)


def _names(file: Path) -> set[str]:
    """Modules that a file may import: `from a import b` may mean `a` or `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files_of(module: str, root: Path) -> list[Path]:
    """A module's file and those of the packages around it; none where it lies elsewhere."""
    path = root.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.is_file():
        return []
    around = [parent / "__init__.py" for parent in file.parents if root in parent.parents]
    return [file, *(init for init in around if init.is_file())]


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return ast.dump(tree)
