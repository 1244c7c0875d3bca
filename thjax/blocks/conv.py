"""Convolutions of every kind that thjax uses, with torch's geometry: explicit symmetric padding, NHWC x HWIO.

A convolution is bilinear, and so are its two adjoints. Written as one family of three, each differentiates into the
other two, so gradients of gradients come for free and every direction can choose its own lowering:

    convolve(x, w)   large map -> small map
    spread(y, w)     small map -> large map (the transposed convolution, adjoint of `convolve` in x)
    correlate(x, y)  both maps -> kernel    (adjoint of `convolve` in w)

XLA:CPU lowers strided and transposed gradients, tiny maps and 1-D kernels to slow loops; there `conv_cpu` replaces
them. Every other platform gets the native operation. The choice falls when a program is lowered, not when it is
traced, because programs for accelerators are compiled on CPU hosts.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from thjax.blocks import conv_cpu
from thjax.blocks.conv_geometry import Geometry, native_convolve, native_correlate, native_spread

Size = int | tuple[int, ...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Large map to small map: x [N, *size, large], w [*kernel, large, small] -> [N, *small_size, small]."""
    return lax.platform_dependent(
        x, w,
        cpu=functools.partial(conv_cpu.convolve, geometry=geometry),
        default=functools.partial(native_convolve, geometry=geometry),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def spread(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """Small map to large map: y [N, *small_size, small], w [*kernel, large, small] -> [N, *size, large]."""
    return lax.platform_dependent(
        y, w,
        cpu=functools.partial(conv_cpu.spread, geometry=geometry),
        default=functools.partial(native_spread, geometry=geometry),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def correlate(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """Both maps to a kernel: x [N, *size, large], y [N, *small_size, small] -> [*kernel, large, small]."""
    return lax.platform_dependent(
        x, y,
        cpu=functools.partial(conv_cpu.correlate, geometry=geometry),
        default=functools.partial(native_correlate, geometry=geometry),
    )


def _keep_inputs(operation: Callable) -> Callable:
    return lambda a, b, geometry: (operation(a, b, geometry), (a, b))


convolve.defvjp(_keep_inputs(convolve), lambda geometry, xw, g: (
    spread(g, xw[1], geometry), correlate(xw[0], g, geometry)))
spread.defvjp(_keep_inputs(spread), lambda geometry, yw, g: (
    convolve(g, yw[1], geometry), correlate(g, yw[0], geometry)))
correlate.defvjp(_keep_inputs(correlate), lambda geometry, xy, g: (
    spread(xy[1], g, geometry), convolve(xy[0], g, geometry)))


def _as_tuple(value: Size, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def _check(x: jax.Array, w: jax.Array, dims: int, transposed: bool = False) -> None:
    if x.ndim != dims + 2 or w.ndim != dims + 2:
        raise ValueError(
            f"convolution of input {x.shape} with kernel {w.shape}: give [N, {'H, W' if dims == 2 else 'S'}, in] and "
            f"[{'kh, kw' if dims == 2 else 'k'}, {'out, in' if transposed else 'in, out'}]"
        )
    taken = w.shape[-1 if transposed else -2]
    if x.shape[-1] != taken:
        raise ValueError(f"input {x.shape} has {x.shape[-1]} channels but kernel {w.shape} takes {taken}")


def conv2d(x: jax.Array, w: jax.Array, stride: Size = 1, padding: Size = 0) -> jax.Array:
    """2-D cross-correlation, `torch.nn.functional.conv2d` in NHWC.

    Args:
        x: [N, H, W, in].
        w: [kh, kw, in, out].
        stride: per axis or for both.
        padding: zeros on both sides, per axis or for both.

    Returns:
        [N, (H + 2 padding - kh) // stride + 1, likewise W, out].

    Raises:
        ValueError: ranks or channels do not fit, or the kernel exceeds the padded input.
    """
    return _conv(x, w, stride, padding, 2)


def conv1d(x: jax.Array, w: jax.Array, stride: Size = 1, padding: Size = 0) -> jax.Array:
    """1-D cross-correlation: x [N, S, in], w [k, in, out] -> [N, (S + 2 padding - k) // stride + 1, out].

    Raises:
        ValueError: ranks or channels do not fit, or the kernel exceeds the padded input.
    """
    return _conv(x, w, stride, padding, 1)


def conv_transpose2d(x: jax.Array, w: jax.Array, stride: Size = 1, padding: Size = 0) -> jax.Array:
    """2-D transposed convolution, `torch.nn.functional.conv_transpose2d` in NHWC without output padding.

    Args:
        x: [N, H, W, in].
        w: [kh, kw, out, in], the kernel of the convolution whose adjoint this is: torch's [in, out, kh, kw] moved, not
            flipped. In this order no direction has to transpose it, which for wide layers costs as much as the product.
        stride: per axis or for both.
        padding: rows and columns cut from both sides of the full result, per axis or for both.

    Returns:
        [N, (H - 1) stride - 2 padding + kh, likewise W, out].

    Raises:
        ValueError: ranks or channels do not fit, or nothing is left after cutting.
    """
    _check(x, w, 2, transposed=True)
    stride, padding, kernel = _as_tuple(stride, 2), _as_tuple(padding, 2), w.shape[:2]
    size = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[1:3], stride, padding, kernel, strict=True))
    if min(size) < 1:
        raise ValueError(f"transposed convolution of {x.shape} by {w.shape}: padding {padding} leaves {size}; use less")
    return spread(x, w, Geometry(kernel, stride, padding, size))


def _conv(x: jax.Array, w: jax.Array, stride: Size, padding: Size, dims: int) -> jax.Array:
    _check(x, w, dims)
    geometry = Geometry(w.shape[:dims], _as_tuple(stride, dims), _as_tuple(padding, dims), x.shape[1:-1])
    if min(geometry.small) < 1:
        raise ValueError(f"kernel {geometry.kernel} exceeds input {x.shape} padded by {geometry.padding}; "
                         "use a larger input, more padding or a smaller kernel")
    return convolve(x, w, geometry)


def _transposed_normal(stride: Size) -> Callable:
    """Initialiser of variance 1 / fan-in, where an output is reached by k / stride taps per axis."""
    scale = float(math.prod(_as_tuple(stride, 2)))
    return nn.initializers.variance_scaling(scale, "fan_in", "truncated_normal", in_axis=-1, out_axis=-2)


class Conv(nn.Module):
    """2-D convolution layer.

    Attributes:
        features: output channels.
        kernel, stride, padding: as in `conv2d`.
        bias: adds a bias per channel; leave it out before a norm.
        dtype: of the computation; parameters stay f32 (f64 under `jax_enable_x64`).
    """

    features: int
    kernel: Size = 3
    stride: Size = 1
    padding: Size = 0
    bias: bool = True
    dtype: Any = jnp.float32
    dims: int = 2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, H, W, in] -> [N, H', W', features]."""
        shape = (*_as_tuple(self.kernel, self.dims), x.shape[-1], self.features)
        w = self.param("kernel", nn.initializers.lecun_normal(), shape, float)
        y = _conv(x.astype(self.dtype), w.astype(self.dtype), self.stride, self.padding, self.dims)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,), float).astype(self.dtype)
        return y


class Conv1d(Conv):
    """1-D convolution layer: [N, S, in] -> [N, S', features]. Fields as in `Conv`."""

    dims: int = 1


class ConvTranspose(nn.Module):
    """2-D transposed convolution layer; fields as in `Conv`, kernel stored [kh, kw, out, in]."""

    features: int
    kernel: Size = 4
    stride: Size = 1
    padding: Size = 0
    bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, H, W, in] -> [N, H', W', features]."""
        shape = (*_as_tuple(self.kernel, 2), self.features, x.shape[-1])
        w = self.param("kernel", _transposed_normal(self.stride), shape, float)
        y = conv_transpose2d(x.astype(self.dtype), w.astype(self.dtype), self.stride, self.padding)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,), float).astype(self.dtype)
        return y
