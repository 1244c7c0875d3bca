"""What a public file must hold and where each of its tensors goes: the one way in which all converters work."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from thjax.core.errors import UserError

Path = tuple[str, ...]
Transform = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One tensor of the file and where it goes.

    Attributes:
        source: its key in the file.
        shape: that it must have there.
        places: ((path of names, transform), ...) in our tree; paths begin with the collection.
    """

    source: str
    shape: tuple[int, ...]
    places: tuple[tuple[Path, Transform], ...]


def rule(source: str, shape: Iterable[int], path: Path, transform: Transform | None = None) -> Rule:
    """A tensor that becomes one parameter."""
    return Rule(source, tuple(shape), params(((path, transform or same),)))


def params(places: Iterable[tuple[Path, Transform]]) -> tuple[tuple[Path, Transform], ...]:
    """Places in the collection `params`."""
    return tuple((("params", *path), transform) for path, transform in places)


def conv_rules(source: str, shape: tuple[int, ...], path: Path, bias: bool = True) -> list[Rule]:
    """`weight` [out, in, *k] and `bias` [out] of a torch convolution of any rank, or of a linear layer [out, in]."""
    found = [rule(f"{source}.weight", shape, (*path, "kernel"), kernel)]
    return [*found, rule(f"{source}.bias", shape[:1], (*path, "bias"))] if bias else found


def norm_rules(source: str, features: int, path: Path) -> list[Rule]:
    """The four tensors of a torch batch norm."""
    names = (("weight", "params", "scale"), ("bias", "params", "bias"), ("running_mean", "batch_stats", "mean"),
             ("running_var", "batch_stats", "var"))
    return [Rule(f"{source}.{theirs}", (features,), (((collection, *path, ours), same),))
            for theirs, collection, ours in names]


def kernel(w: np.ndarray) -> np.ndarray:
    """[out, in, *k] -> [*k, in, out]; of a transposed convolution [in, out, *k] -> [*k, out, in]."""
    return np.moveaxis(w, (0, 1), (-1, -2))


def same(w: np.ndarray) -> np.ndarray:
    """As it is."""
    return w


def unread(tensors: Mapping[str, np.ndarray], *parts: str) -> dict[str, np.ndarray]:
    """The tensors without those that are known and not needed: `num_batches_tracked`, keys that begin with `parts`."""
    return {key: value for key, value in tensors.items()
            if not key.endswith("num_batches_tracked") and not key.startswith(tuple(parts))}


def apply(table: Iterable[Rule], tensors: Mapping[str, np.ndarray], path: Any) -> dict[str, Any]:
    """The tree that the rules make of the tensors, float32.

    Args:
        table: every tensor that the file must have.
        tensors: those that it has.
        path: of the file, for messages.

    Raises:
        UserError: names every missing, unexpected and wrongly shaped key, and those with values that are not finite.
    """
    table = list(table)
    wanted = {one.source: one for one in table}
    wrong = [f"missing {name} {wanted[name].shape}" for name in sorted(wanted.keys() - tensors.keys())]
    wrong += [f"unexpected {name} {tensors[name].shape}" for name in sorted(tensors.keys() - wanted.keys())]
    wrong += [f"{name} has shape {tensors[name].shape}, not {wanted[name].shape}"
              for name in sorted(wanted.keys() & tensors.keys()) if tensors[name].shape != wanted[name].shape]
    wrong += [f"{name} has values that are not finite" for name in sorted(wanted.keys() & tensors.keys())
              if tensors[name].dtype.kind == "f" and not np.isfinite(tensors[name]).all()]
    if wrong:
        raise UserError(f"{path}: not the networks that its sizes describe:\n  " + "\n  ".join(wrong))
    tree: dict[str, Any] = {}
    for one in table:
        for names, transform in one.places:
            node = tree
            for name in names[:-1]:
                node = node.setdefault(name, {})
            node[names[-1]] = np.ascontiguousarray(transform(np.asarray(tensors[one.source], np.float32)))
    return tree
