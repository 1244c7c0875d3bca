"""Local response normalisation across channels (Krizhevsky et al. 2012)."""

import jax
from jax import lax


def response_norm(x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> jax.Array:
    """Divides by (k + alpha / size * sum of squares of the `size` nearest channels) ** beta.

    Args:
        x: [..., C].
        size: odd number of channels; beyond the first and last one there are zeros.
        alpha, beta, k: see above; torch's `LocalResponseNorm`.

    Raises:
        ValueError: an even size, which has no middle.
    """
    if size % 2 == 0:
        raise ValueError(f"{size} channels have no middle; use an odd number")
    window, margin = (1,) * (x.ndim - 1) + (size,), ((0, 0),) * (x.ndim - 1) + ((size // 2,) * 2,)
    sums = lax.reduce_window(x * x, 0.0, lax.add, window, (1,) * x.ndim, margin)
    return x / (k + alpha / size * sums) ** beta
