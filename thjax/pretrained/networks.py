"""Public networks by name: from their files to a tree of parameters, and from the converted file to a network to call.

Each name of the catalogue is a module of this package with `network()`, the Flax module at its public size;
`rules(net)`, every tensor of the public files; and `read(path)`, the tensors of one such file.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import flax.linen as nn

from thjax.core.errors import UserError
from thjax.pretrained import weights_file
from thjax.pretrained.catalogue import NETWORKS
from thjax.pretrained.rules import apply


def convert(name: str, paths: Sequence[str | Path], net: nn.Module | None = None) -> dict[str, Any]:
    """Reads public files.

    Args:
        name: of the network, a key of the catalogue.
        paths: the files that its entry names, in that order.
        net: with other widths than the public ones; None is `network()`.

    Returns:
        {"params": ..., "batch_stats": ...}, float32; without the latter where the network has no norms.

    Raises:
        UserError: unknown name, wrong number of files, a file that cannot be read, or lacks a key, or has one too many,
            or one of another shape; all are named.
    """
    module, entry = _module(name), NETWORKS[name]
    if len(paths) != len(entry.files):
        raise UserError(f"{name} is made of {' and '.join(entry.files)}; {len(paths)} file(s) given")
    tensors = {}
    for path in paths:
        found = module.read(path)
        if twice := sorted(found.keys() & tensors.keys()):
            raise UserError(f"{path}: has {', '.join(twice[:8])}, as has a file before it; give each file once")
        tensors |= found
    return apply(module.rules(module.network() if net is None else net), tensors, " and ".join(map(str, paths)))


def load(name: str, path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network and its variables, as `module.apply(variables, ...)` takes them.

    Args:
        name: of the network, a key of the catalogue.
        path: what `thjax weights convert` wrote.

    Raises:
        UserError: unknown name; no such file, damaged, or of another network.
    """
    module = _module(name)
    found = weights_file.find(path)
    if found is None:
        raise UserError(f"{path}: no converted weights; make them with `thjax weights convert {name} --in FILE`")
    tree, header = weights_file.read(found)
    if header.get("layout") != name:
        raise UserError(f"{found}: holds {header.get('layout')!r}, not {name!r}; convert the file of {name} instead")
    return module.network(), tree[name]


def _module(name: str) -> ModuleType:
    if name not in NETWORKS:
        raise UserError(f"network {name!r} is unknown; use one of {', '.join(sorted(NETWORKS))}")
    return importlib.import_module(f"thjax.pretrained.{name}")
