"""Least-squares adversarial losses (Mao et al. 2017) on outputs that are 1 for true frames and 0 for generated ones.

wu2023's eq. 8 prints them with the labels exchanged and alike for both players; these are the standard ones.
"""

import jax
import jax.numpy as jnp

from thjax.core.context import Context


def discriminator_loss(real: jax.Array, fake: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """`(D(real) - 1)^2 / 2 + D(fake)^2 / 2`.

    Args:
        real: [b, ...] outputs for real examples.
        fake: [b, ...] outputs for generated examples, the same shape.
        mask: [b], one where the example counts.
        ctx: reduces over all shards.

    Returns:
        A scalar; 1/4 where the discriminator says 1/2 to everything.
    """
    return ctx.mean((jnp.square(real - 1) + jnp.square(fake)) / 2, mask)


def generator_loss(fake: jax.Array, mask: jax.Array, ctx: Context) -> jax.Array:
    """`(D(fake) - 1)^2 / 2`; arguments as in `discriminator_loss`."""
    return ctx.mean(jnp.square(fake - 1) / 2, mask)
