"""How an evaluation uses every device of its process: a sampler's batch is cut over them, clips are dealt to them."""

import contextlib

import jax
import numpy as np

from thjax.parallel import make_mesh, replicate
from thjax.parallel.mesh import by_example, replicated


def _mesh():
    return make_mesh(jax.local_devices())


def everywhere(tree):
    """A tree of arrays, whole on every device."""
    return replicate(tree, _mesh())


def rows_for(rows: int) -> int:
    """`rows`, or as many more as divide over the devices."""
    devices = jax.local_device_count()
    return -(-rows // devices) * devices


def cut(tree):
    """A tree of arrays [N, ...], each device with its share of the rows; whole on each where N does not divide.

    Single numbers stay as they are.
    """
    mesh = _mesh()
    sharding = lambda leaf: replicated(mesh) if len(leaf) % mesh.size else by_example(mesh)
    return jax.tree.map(lambda leaf: jax.device_put(leaf, sharding(leaf)) if np.ndim(leaf) else leaf, tree)


def dealt(number: int) -> contextlib.AbstractContextManager:
    """Inside, this thread computes on the device whose turn it is: the `number`th, counted round and round."""
    devices = jax.local_devices()
    return jax.default_device(devices[number % len(devices)])


def current() -> jax.Device:
    """The device that this thread computes on."""
    return jax.config.jax_default_device or jax.local_devices()[0]
