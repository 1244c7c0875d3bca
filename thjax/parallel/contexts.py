"""The context of executors that run one body per device: reductions are collectives over a mesh axis."""

import dataclasses

import jax
import jax.numpy as jnp

from thjax.core.context import Context, local_group_sum


@dataclasses.dataclass(frozen=True)
class AxisContext(Context):
    """Reductions over the shards of the batch along the mesh axis `axis`, for `shard_map(check_vma=False)` and `pmap`.

    Attributes:
        axis: name of the mesh axis.
        size: devices along it. Shard d holds the contiguous rows [d * b, (d + 1) * b) of the global batch.
    """

    axis: str = "data"
    size: int = 1

    def psum(self, x):
        """Sum of `x` over the shards of the batch. Pytrees allowed."""
        return jax.lax.psum(x, self.axis)

    def pmean(self, x):
        """Mean of `x` over the shards of the batch. Pytrees allowed."""
        return jax.lax.pmean(x, self.axis)

    def all_gather(self, x: jax.Array) -> jax.Array:
        """`x` [b, ...] of every shard, concatenated in global batch order: [B, ...]."""
        return jax.lax.all_gather(x, self.axis, tiled=True)

    def group_sum(self, x: jax.Array, group: int) -> jax.Array:
        """Sum over contiguous groups of `group` examples in global batch order, groups that span devices included.

        Args:
            x: [b, ...] per-example values of this shard.
            group: examples in a group; must divide the global batch.

        Returns:
            [b, ...]: every example carries the sum of its own group.

        Raises:
            ValueError: the global batch does not split into groups.
        """
        rows = x.shape[0]
        if rows % group == 0:
            return local_group_sum(x, group)
        if group % rows == 0 and self.size % (group // rows) == 0:
            devices = group // rows
            groups = [list(range(first, first + devices)) for first in range(0, self.size, devices)]
            total = jax.lax.psum(x.sum(axis=0), self.axis, axis_index_groups=groups)
            return jnp.broadcast_to(total, x.shape)
        # Groups that begin in the middle of a shard: rare, so the whole batch may travel.
        whole = local_group_sum(self.all_gather(x), group)
        return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(self.axis) * rows, rows)
