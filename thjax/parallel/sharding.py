"""Where the parts of a large state lie: parameters, their averages and what optimizers keep, cut along named axes.

A system names the axes of its parameters by what they are; `ON` says which of them the mesh cuts. The compiler puts in
the collectives (Xu et al. 2021, GSPMD); cutting layers this way is Shoeybi et al. 2019 (tensor) and Rajbhandari et al.
2020 (fsdp).
"""

import math
import re
from collections.abc import Mapping

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from thjax.parallel.mesh import FSDP, TENSOR

LogicalAxes = Mapping[str, tuple[str | None, ...]]
"""{pattern of the end of a parameter's path: a name for each of its axes, None where it is never cut}."""

ON = {"embed": FSDP, "heads": TENSOR, "mlp": TENSOR, "categories": TENSOR}
"""{name of a parameter's axis: axis of the mesh}. embed: channels of a token. heads: channels of all heads of
attention. mlp: channels within a feed-forward layer. categories: what is said of a frame."""


def spec_of(path: str, shape: tuple[int, ...], axes: LogicalAxes, mesh: Mesh) -> PartitionSpec:
    """How a leaf is cut; whole where no pattern fits, and along axes that do not divide.

    Args:
        path: keys joined by `/`. Averages and moments end with the path of their parameter, so they are cut like it.
        shape: of the leaf.
        axes: of the system's parameters.
        mesh: from `make_mesh`.

    Raises:
        ValueError: a pattern gives more or fewer names than the leaf has axes, or a name that `ON` does not know.
    """
    for pattern, names in axes.items():
        if re.search(f"(^|/){pattern}$", path) and shape:
            if len(names) != len(shape):
                raise ValueError(f"{pattern!r} names {len(names)} axes {names}; {path} has shape {list(shape)}")
            return PartitionSpec(*(_cut(name, size, mesh) for name, size in zip(names, shape, strict=True)))
    return PartitionSpec()


def _cut(name: str | None, size: int, mesh: Mesh) -> str | None:
    if name is None:
        return None
    if name not in ON:
        raise ValueError(f"axis {name!r} of a parameter is unknown; there are {', '.join(ON)}")
    return ON[name] if size % mesh.shape.get(ON[name], 1) == 0 and ON[name] in mesh.axis_names else None


def shardings(tree, axes: LogicalAxes, mesh: Mesh):
    """A `NamedSharding` for every leaf of a state, of arrays or of shapes.

    Raises:
        ValueError: the mesh cuts parameters and nothing in `tree` can be cut.
    """
    cut = jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, spec_of(_joined(path), leaf.shape, axes, mesh)), tree)
    if len(mesh.axis_names) > 1 and all(one.is_fully_replicated for one in jax.tree.leaves(cut)):
        raise ValueError(f"parallel.fsdp {mesh.shape[FSDP]} and parallel.tensor {mesh.shape[TENSOR]} cut nothing: the "
                         "system names no axes of its parameters, or none that divides; set both to 1")
    return cut


def _joined(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def bytes_per_device(tree, tree_shardings) -> int:
    """What the leaves of a tree take on one device."""
    size = lambda leaf, sharding: math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    return sum(jax.tree.leaves(jax.tree.map(size, tree, tree_shardings)))
