"""Networks that come from elsewhere: another run's checkpoint, or converted weights. The engine touches no file."""

from collections.abc import Mapping
from typing import Any

import jax

from thjax.checkpoint import load_run
from thjax.core import files
from thjax.core.errors import UserError
from thjax.engine import NetState, Source, Stage, System, init_network
from thjax.judges import shipped
from thjax.pretrained import weights_file


def load_donors(system: System, stage: Stage) -> tuple[dict[str, NetState], dict[str, Any]]:
    """The donors that a stage names, and where they came from.

    Returns:
        ({net: NetState}, {net: {"kind", "path", and "step" or "sha256"}}); the second goes into checkpoints.

    Raises:
        UserError: a source is missing, or holds other shapes than the network.
    """
    donors, origins = {}, {}
    for name, source in stage.init.items():
        if source.kind == "checkpoint":
            donors[name], origins[name] = _from_run(name, source)
        elif source.kind == "weights":
            donors[name], origins[name] = _from_weights(name, source)
        else:
            continue
        _check_shapes(name, donors[name], system, source.path)
    return donors, origins


def _from_run(name: str, source: Source) -> tuple[NetState, dict[str, Any]]:
    run = load_run(source.path, "best")
    if name not in run.nets:
        raise UserError(f"{source.path} has networks {sorted(run.nets)}, and {name!r} is wanted from it")
    return run.nets[name], {
        "kind": "checkpoint",
        "path": source.path,
        "step": run.step,
        "manifest_hash": run.manifest_hash,
    }


def _from_weights(name: str, source: Source) -> tuple[NetState, dict[str, Any]]:
    path = weights_file.find(source.path)
    if path is None:
        raise UserError(f"weights of {name!r}: {source.path} has none; `thjax weights convert` makes such a file, of a "
                        "judge `thjax judges train`")
    nets, _ = weights_file.read(path)
    if "params" in nets:  # the file of one network alone, for example a judge
        nets = {name: shipped.read(path)[0]}
    if name not in nets:
        raise UserError(f"{path} has networks {sorted(nets)}, and {name!r} is wanted from it")
    tree = dict(nets[name])
    net = NetState(params=tree.pop("params"), variables=tree)
    return net, {"kind": "weights", "path": str(path), "sha256": files.sha256(path)}


def _check_shapes(name: str, donor: NetState, system: System, path: str) -> None:
    network = system.networks[name]  # a system keeps what it makes here, so not while tracing
    wanted = jax.eval_shape(lambda key: init_network(network, name, key), jax.random.key(0))
    have, want = _shapes(donor), _shapes(wanted)
    different = sorted(key for key in have.keys() | want.keys() if have.get(key) != want.get(key))
    if different:
        first = different[0]
        raise UserError(
            f"{path} does not fit network {name!r}: {len(different)} arrays differ, the first is {first}: "
            f"{have.get(first, 'absent')} in the file, {want.get(first, 'absent')} wanted"
        )


def _shapes(net: NetState) -> Mapping[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path({"params": net.params, "variables": net.variables})
    return {jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape) for path, leaf in leaves}
