"""Adversarial losses on logits, in float32, averaged over all shards."""

import jax
import jax.numpy as jnp

from thjax.core.context import Context


def discriminator_loss(real: jax.Array, fake: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """Binary cross-entropy of a discriminator: `-log D(real) - log(1 - D(fake))` (Goodfellow et al. 2014, eq. 1).

    Args:
        real: [b, ...] logits of real examples.
        fake: [b, ...] logits of generated examples, the same shape.
        mask: [b, ...] one where the logits count; trailing axes may be missing.
        ctx: reduces over all shards.

    Returns:
        A scalar; `2 log 2` where the discriminator cannot tell.
    """
    terms = jax.nn.softplus(-_wide(real)) + jax.nn.softplus(_wide(fake))
    return ctx.mean(terms, mask)


def generator_loss(fake: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """Non-saturating loss of a generator: `-log D(fake)` (Goodfellow et al. 2014, section 3).

    Args:
        fake: [b, ...] logits of generated examples.
        mask: [b, ...] one where the logits count; trailing axes may be missing.
        ctx: reduces over all shards.

    Returns:
        A scalar; `log 2` where the discriminator cannot tell.
    """
    return ctx.mean(jax.nn.softplus(-_wide(fake)), mask)


def accuracy(real: jax.Array, fake: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """Share of logits on the right side of zero, both kinds counted alike: 0.5 is chance.

    Args:
        real: [b, ...] logits of real examples.
        fake: [b, ...] logits of generated examples, the same shape.
        mask: [b, ...] one where the logits count.
        ctx: reduces over all shards.
    """
    right = ((real > 0).astype(jnp.float32) + (fake <= 0).astype(jnp.float32)) / 2
    return ctx.mean(right, mask)


def _wide(logits: jax.Array) -> jax.Array:
    """At least float32: a softplus of bf16 logits loses the loss's third digit."""
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
