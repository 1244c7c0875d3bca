"""Dropout that draws per example, so that a mask does not depend on how many devices share the batch."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dropout(nn.Module):
    """Zeroes features with probability `rate` and scales the rest by 1 / (1 - rate) (Srivastava et al. 2014).

    Attributes:
        rate: in [0, 1).
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """Drops.

        Args:
            x: [B, ...].
            keys: [B] random keys, e.g. `Rngs.stream("dropout")`; None (inference) leaves `x` alone.

        Raises:
            ValueError: a rate outside [0, 1); another number of keys than examples.
        """
        if not 0 <= self.rate < 1:
            raise ValueError(f"dropout rate {self.rate} must lie in [0, 1)")
        if keys is None or self.rate == 0:
            return x
        if keys.shape[0] != x.shape[0]:
            raise ValueError(f"{keys.shape[0]} dropout keys for {x.shape[0]} examples; give one key per example")
        keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, x.shape[1:]))(keys)
        return jnp.where(keep, x / (1 - self.rate), jnp.zeros((), x.dtype)).astype(x.dtype)
