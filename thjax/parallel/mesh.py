"""The mesh, and how arrays of this process come onto it."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS, FSDP, TENSOR = "data", "fsdp", "tensor"
"""Examples are spread over the first two. Parameters are whole along the first, and cut along the others, see
sharding.py."""


def make_mesh(devices: Sequence[jax.Device] | int = 0, fsdp: int = 1, tensor: int = 1) -> Mesh:
    """A mesh with the single axis "data"; where states are cut, with "fsdp" and "tensor" beside it.

    Args:
        devices: the devices, or how many of all devices to use; 0 uses all.
        fsdp: devices that share a copy of the parameters, each with examples of its own.
        tensor: devices that share a copy of the parameters and its examples.

    Raises:
        ValueError: more devices wanted than there are, or fewer than one per process, or a number of devices that does
            not divide into copies.
    """
    if isinstance(devices, int):
        there = jax.devices()
        if devices > len(there):
            raise ValueError(f"parallel.devices {devices}: there are {len(there)}; use 0 for all of them")
        if devices and jax.process_count() > 1 and devices != len(there):
            raise ValueError(f"parallel.devices {devices}: with several processes all {len(there)} are used; use 0")
        devices = there[: devices or len(there)]
    # In this order, and not in the one that `jax.make_mesh` finds best for the interconnect: every process must hold
    # contiguous rows of the global batch.
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    if fsdp == tensor == 1:
        return Mesh(np.array(ordered), (AXIS,), axis_types=(AxisType.Auto,))
    if len(ordered) % (fsdp * tensor):
        raise ValueError(f"parallel.fsdp {fsdp} times parallel.tensor {tensor} must divide the {len(ordered)} devices")
    # Innermost the devices that talk most: those of one tensor group are neighbours.
    grid = np.array(ordered).reshape(-1, fsdp, tensor)
    return Mesh(grid, (AXIS, FSDP, TENSOR), axis_types=(AxisType.Auto,) * 3)


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def by_example(mesh: Mesh) -> NamedSharding:
    """Every device holds contiguous rows of the batch; those of one tensor group hold the same."""
    return NamedSharding(mesh, PartitionSpec(tuple(name for name in mesh.axis_names if name != TENSOR)))


def parts_of_batch(mesh: Mesh) -> int:
    """How many parts a batch is cut into."""
    return mesh.size // mesh.shape.get(TENSOR, 1)


def check_batch(batch_size: int, devices: int) -> int:
    """Examples per device.

    Raises:
        ValueError: the batch does not divide over the devices; names the nearest sizes that do.
    """
    if batch_size % devices:
        below, above = batch_size // devices * devices, -(-batch_size // devices) * devices
        sizes = f"{below} or {above}" if below else f"{above}, or parallel.devices {batch_size} or fewer"
        raise ValueError(f"batch_size {batch_size} does not divide over {devices} devices; use {sizes}")
    return batch_size // devices


def place_global(local: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """A batch on the mesh, from the rows of this process.

    Args:
        local: {field: [rows of this process, ...]}, the contiguous share of this process of the global batch.
        mesh: from `make_mesh`.

    Returns:
        {field: [B, ...]} global arrays, sharded by example.
    """
    sharding = by_example(mesh)
    processes = len({device.process_index for device in mesh.devices.flat})
    rows = len(next(iter(local.values())))
    check_batch(rows * processes, parts_of_batch(mesh))
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(x)) for name, x in local.items()}


def place_whole(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """A batch on the mesh, from all its rows, the same on every process.

    Sharded by example where it divides over the devices, else whole on each of them.
    """
    rows = len(next(iter(batch.values())))
    sharding = replicated(mesh) if rows % parts_of_batch(mesh) else by_example(mesh)
    return {name: _from_whole(x, sharding) for name, x in batch.items()}


def replicate(tree, mesh: Mesh):
    """`tree` whole on every device of the mesh. May share buffers with `tree`: who donates the one loses the other."""
    return place(tree, jax.tree.map(lambda _: replicated(mesh), tree), mesh)


def place(tree, shardings, mesh: Mesh):
    """`tree`, the same on every process, placed by `shardings`, one for every leaf. May share buffers, as above."""
    if mesh.is_multi_process:
        return jax.tree.map(_from_whole, tree, shardings)
    return jax.device_put(tree, shardings)


def _from_whole(x, sharding: NamedSharding) -> jax.Array:
    """Each process takes its part; `device_put` would compare the values of all processes, array by array."""
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])
