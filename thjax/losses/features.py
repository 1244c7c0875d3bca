"""Perceptual loss: L1 between what a network sees in two pictures, at several sizes (Johnson et al. 2016)."""

from collections.abc import Callable, Mapping

import jax

from thjax.blocks.feature_layers import halved
from thjax.core.context import Context

Look = Callable[[jax.Array], Mapping[str, jax.Array]]


def feature_l1(
    look: Look, generated: jax.Array, truth: jax.Array, sizes: int, mask: jax.Array, ctx: Context
) -> jax.Array:
    """Sum over layers and sizes of the mean absolute difference of features.

    Args:
        look: pictures [b, H, W, 3] -> {layer: [b, ...]}.
        generated: [b, H, W, 3] pictures.
        truth: the same shape; no gradient flows into it.
        sizes: the pictures as they are, halved, and so on.
        mask: [b], one where the example counts.
        ctx: reduces over all shards.

    Returns:
        A scalar in the units of the features.
    """
    truth, total = jax.lax.stop_gradient(truth), 0.0
    for size in range(sizes):
        if size:
            generated, truth = halved(generated), halved(truth)
        ours, theirs = look(generated), look(truth)
        for layer in ours:
            total = total + ctx.mean(abs(ours[layer] - theirs[layer]), mask)
    return total
