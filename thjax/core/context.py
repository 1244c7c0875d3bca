"""The context protocol: how a loss reduces over the whole batch without knowing how it is sharded."""

import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Context:
    """Reductions over the global batch. This base class sees the whole batch at once, so they are plain sums.

    It serves a single device and the `jit` executor, where arrays are global whatever their sharding. The
    executors that run one body per device pass `thjax.parallel.contexts.AxisContext`, which overrides
    the methods with collectives over `axis`.
    """

    axis: str | None = None

    def psum(self, x):
        """Sum of `x` over the shards of the batch. Pytrees allowed."""
        return x

    def pmean(self, x):
        """Mean of `x` over the shards of the batch. Pytrees allowed."""
        return x

    def all_gather(self, x: jax.Array) -> jax.Array:
        """`x` [b, ...] of every shard, concatenated in global batch order: [B, ...]."""
        return x

    def mean(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Mean of `x` where `mask` is one, over all shards: the only reduction that a loss uses.

        Args:
            x: [b, ...] values.
            mask: weights, broadcastable to `x` after trailing axes are added, e.g. [b, T] beside [b, T, H, W, C].

        Returns:
            A scalar, f32 at least; zero where the mask is empty everywhere.
        """
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim)).astype(x.dtype)
        # `where`, not a product: a masked value may be anything, also infinite.
        total = self.psum(jnp.where(mask > 0, x * mask, 0).sum())
        count = self.psum(jnp.broadcast_to(mask, x.shape).sum())
        return total / jnp.maximum(count, jnp.asarray(1e-6, x.dtype))

    def group_sum(self, x: jax.Array, group: int) -> jax.Array:
        """Sum over contiguous groups of `group` examples in global batch order.

        Args:
            x: [b, ...] per-example values.
            group: examples in a group; must divide the global batch.

        Returns:
            [b, ...]: every example carries the sum of its own group.

        Raises:
            ValueError: the batch does not split into groups.
        """
        return local_group_sum(x, group)


def local_group_sum(x: jax.Array, group: int) -> jax.Array:
    """`Context.group_sum` for groups that lie whole inside this array."""
    examples = x.shape[0]
    if examples % group:
        raise ValueError(
            f"paper_batch groups of {group} examples do not divide {examples} examples; "
            f"use a batch that is a multiple of {group}, or norm: batch"
        )
    sums = x.reshape((examples // group, group) + x.shape[1:]).sum(axis=1)
    return jnp.repeat(sums, group, axis=0)
