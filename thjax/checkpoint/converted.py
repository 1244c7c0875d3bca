"""Converted weights as a run: what `thjax weights convert` wrote, in the networks that its sizes describe."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from thjax import systems
from thjax.core.config import RunConfig
from thjax.core.errors import UserError
from thjax.engine import NetState, System
from thjax.pretrained import weights_file


def load(path: Path) -> tuple[System, dict[str, NetState], dict[str, Any]]:
    """Reads converted weights.

    Args:
        path: of the safetensors file.

    Returns:
        The system that draws with them, its networks, and the file's header: `layout`, `sizes`, `source_sha256`, ...

    Raises:
        UserError: damaged, of an unknown layout, or not the networks that its sizes describe.
    """
    nets, header = weights_file.read(path)
    system = systems.build(config_maker(header.get("layout", "none"), path)(header.get("sizes", {})))
    states = {}
    for name, tree in nets.items():
        _check(system, name, tree, path)
        tree = jax.tree.map(jnp.asarray, tree)
        states[name] = NetState(params=tree.pop("params"), variables=tree)
    return system, states, header


def config_maker(layout: str, path: Path) -> Callable[[Mapping[str, Any]], RunConfig]:
    """Sizes -> config, from the system whose module `converted` knows the layout.

    Raises:
        UserError: none does.
    """
    known = []
    for name in systems.names():
        place = f"{systems.__name__}.{name}.converted"
        if importlib.util.find_spec(place) is None:
            continue
        layouts = importlib.import_module(place).LAYOUTS
        if layout in layouts:
            return layouts[layout]
        known += layouts
    raise UserError(f"{path}: layout {layout!r} is unknown; this version draws with {', '.join(sorted(known))}")


def _check(system: System, name: str, tree: Mapping[str, Any], path: Path) -> None:
    """Compares names and shapes with those of the network."""
    expected = jax.eval_shape(system.networks[name].init, jax.random.key(0)) if name in system.networks else {}
    shapes = lambda values: {jax.tree_util.keystr(key): leaf.shape for key, leaf in
                             jax.tree_util.tree_leaves_with_path(dict(values))}
    wanted, found = shapes(expected), shapes(tree)
    wrong = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    if wrong:
        first = f"{wrong[0]} is {found.get(wrong[0], 'missing')}, the network has {wanted.get(wrong[0], 'no such')}"
        raise UserError(f"{path}: {name} differs in {len(wrong)} tensors from this version's ({first}); convert again")
