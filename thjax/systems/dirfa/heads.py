"""What the mapper says of the next frame: categories, a small mixture that fills them, or one value a channel.

A head's numbers are `said` [..., 23, P]. Everything is in unit coordinates, see `animation.Quantiser`.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr

HeadKind = Literal["categorical", "mixture", "regression"]
BEYOND = 10.0
"""The outermost bins reach this far out: they take the tails of every component."""


def numbers(kind: HeadKind, categories: int, components: int) -> int:
    """P, numbers that a head needs for a channel."""
    return {"categorical": categories, "mixture": 3 * components, "regression": 1}[kind]


def log_likelihood(kind: HeadKind, said: jax.Array, target: jax.Array, categories: int) -> jax.Array:
    """Log probabilities of categories, nats.

    Args:
        kind: `categorical` or `mixture`.
        said: [..., 23, P].
        target: [..., 23] int32 categories.
        categories: D.

    Returns:
        [..., 23], at most 0.
    """
    if kind == "categorical":
        return jnp.take_along_axis(jax.nn.log_softmax(said, axis=-1), target[..., None], axis=-1)[..., 0]
    weights, locations, scales = mixture_parts(said)
    below, above = _edges(target[..., None].astype(said.dtype), categories)
    masses = log_mass((below - locations) / scales, (above - locations) / scales)
    return jax.nn.logsumexp(jax.nn.log_softmax(weights, axis=-1) + masses, axis=-1)


def probabilities(kind: HeadKind, said: jax.Array, categories: int) -> jax.Array:
    """Probabilities [..., 23, D] of all categories; `kind` is `categorical` or `mixture`."""
    if kind == "categorical":
        return jax.nn.softmax(said, axis=-1)
    weights, locations, scales = mixture_parts(said)
    edges = jnp.arange(categories + 1, dtype=said.dtype) / categories
    edges = edges.at[0].set(-BEYOND).at[-1].set(BEYOND)
    reached = ndtr((edges[:, None] - locations[..., None, :]) / scales[..., None, :])
    mixed = jnp.einsum("...ek,...k->...e", reached, jax.nn.softmax(weights, axis=-1))
    return jnp.maximum(jnp.diff(mixed, axis=-1), 0)


def draw_mixture(said: jax.Array, uniform: jax.Array, categories: int) -> jax.Array:
    """Categories [..., 23] int32 of uniform numbers [..., 23]: the inverse of a mixture's distribution.

    By halving: a few normal integrals a channel, where all `probabilities` take `categories` times K.
    """
    weights, locations, scales = mixture_parts(said)
    weights = jax.nn.softmax(weights, axis=-1)
    low = jnp.zeros(uniform.shape, jnp.int32)  # the distribution reaches `uniform` not before this category
    for step in (1 << power for power in reversed(range((categories - 1).bit_length()))):
        edge = (low + step).astype(said.dtype) / categories
        reached = (weights * ndtr((edge[..., None] - locations) / scales)).sum(-1)
        low = jnp.where((low + step < categories) & (reached <= uniform), low + step, low)
    return low


def mixture_parts(said: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logits of the weights, locations and scales [..., 23, K] of the components."""
    return tuple(jnp.split(said, 3, axis=-1))


def log_mass(below: jax.Array, above: jax.Array) -> jax.Array:
    """Log of the standard normal's mass between two values, below < above, also far out in either tail."""
    # The normal is symmetric: on the left side the CDF is small and its logarithm exact.
    right = below + above > 0
    below, above = jnp.where(right, -above, below), jnp.where(right, -below, above)
    top = log_ndtr(above)
    return top + jnp.log(-jnp.expm1(jnp.minimum(log_ndtr(below) - top, -1e-6)))


def _edges(category: jax.Array, categories: int) -> tuple[jax.Array, jax.Array]:
    """Ends of the bins, the outermost ones far out."""
    below = jnp.where(category == 0, -BEYOND, category / categories)
    above = jnp.where(category == categories - 1, BEYOND, (category + 1) / categories)
    return below, above
