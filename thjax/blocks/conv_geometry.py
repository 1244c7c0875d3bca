"""The geometry of a convolution and its three native operations."""

import dataclasses
import math

import jax
from jax import lax


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a large map and a small map meet, per spatial axis. Static: part of the compiled program.

    Attributes:
        kernel: taps.
        stride: positions of the large map between two of the small map.
        padding: zeros on both sides of the large map.
        size: extent of the large map.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    size: tuple[int, ...]

    @property
    def small(self) -> tuple[int, ...]:
        """Extent of the small map."""
        axes = zip(self.size, self.padding, self.kernel, self.stride, strict=True)
        return tuple((n + 2 * p - k) // s + 1 for n, p, k, s in axes)

    @property
    def dims(self) -> int:
        """Spatial axes."""
        return len(self.kernel)

    @property
    def taps(self) -> int:
        """Kernel positions."""
        return math.prod(self.kernel)


_LAYOUT = {1: ("NHC", "HIO", "NHC"), 2: ("NHWC", "HWIO", "NHWC")}


def native_convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """`lax`'s own convolution."""
    return lax.conv_general_dilated(
        x, w, geometry.stride, [(p, p) for p in geometry.padding], dimension_numbers=_LAYOUT[geometry.dims]
    )


def native_spread(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Adjoint of `native_convolve` in x."""
    x = jax.ShapeDtypeStruct((y.shape[0], *geometry.size, w.shape[-2]), y.dtype)
    return jax.linear_transpose(lambda x: native_convolve(x, w, geometry), x)(y)[0]


def native_correlate(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """Adjoint of `native_convolve` in w."""
    w = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: native_convolve(x, w, geometry), w)(y)[0]
