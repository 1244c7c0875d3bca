"""What the mapper is told about its errors, frame by frame and channel by channel."""

import jax
import jax.numpy as jnp

from thjax.systems.dirfa import heads
from thjax.systems.dirfa.animation import Quantiser


def smoothed_log_likelihood(share: float, kind: heads.HeadKind, said: jax.Array, target: jax.Array,
                            categories: int) -> jax.Array:
    """Expected log likelihood [..., 23], nats, of targets that give `share` of their mass to their two neighbours.

    At the ends of the range the half of the missing neighbour stays where it is. Share 0 is the log of eq. 5's summand
    (Wu et al. 2023).

    Args:
        share: in [0, 1).
        kind: `categorical` or `mixture`.
        said: [..., 23, P].
        target: [..., 23] int32.
        categories: D.
    """
    told = heads.log_likelihood(kind, said, target, categories)
    if not share:
        return told
    beside = [heads.log_likelihood(kind, said, jnp.clip(target + step, 0, categories - 1), categories)
              for step in (-1, 1)]
    return (1 - share) * told + share / 2 * (beside[0] + beside[1])


def squared_error(said: jax.Array, values: jax.Array, quantiser: Quantiser) -> jax.Array:
    """[..., 23] squared error of a regression said [..., 23, 1], in variances of the corpus."""
    deviation = jnp.asarray(quantiser.unit_moments()[1], said.dtype)
    return jnp.square((said[..., 0] - quantiser.unit(values)) / deviation)


def standardised(values: jax.Array, quantiser: Quantiser) -> jax.Array:
    """Values [..., 23] in deviations of the corpus from its mean."""
    return (values - jnp.asarray(quantiser.mean, values.dtype)) / jnp.asarray(quantiser.deviation, values.dtype)
