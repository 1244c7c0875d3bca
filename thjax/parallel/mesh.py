"""The mesh, and how arrays of this process come onto it."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "data"


def make_mesh(devices: Sequence[jax.Device] | int = 0) -> Mesh:
    """A mesh with the single axis "data".

    Args:
        devices: the devices, or how many of all devices to use; 0 uses all.

    Raises:
        ValueError: more devices wanted than there are, or fewer than one per process.
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
    return Mesh(np.array(ordered), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def by_example(mesh: Mesh) -> NamedSharding:
    """Every device holds contiguous rows of the batch."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


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
    check_batch(rows * processes, mesh.size)
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(x)) for name, x in local.items()}


def place_whole(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """A batch on the mesh, from all its rows, the same on every process.

    Sharded by example where it divides over the devices, else whole on each of them.
    """
    rows = len(next(iter(batch.values())))
    sharding = replicated(mesh) if rows % mesh.size else by_example(mesh)
    return {name: _from_whole(x, sharding) for name, x in batch.items()}


def replicate(tree, mesh: Mesh):
    """`tree` whole on every device of the mesh. May share buffers with `tree`: who donates the one loses the other."""
    sharding = replicated(mesh)
    if mesh.is_multi_process:
        return jax.tree.map(lambda x: _from_whole(x, sharding), tree)
    return jax.device_put(tree, sharding)


def _from_whole(x, sharding: NamedSharding) -> jax.Array:
    """Each process takes its part; `device_put` would compare the values of all processes, array by array."""
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])
