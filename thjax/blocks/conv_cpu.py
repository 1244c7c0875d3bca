"""Convolutions for XLA:CPU as slices, matrix products and plain stride-1 convolutions. Exact, not approximations."""

import itertools

import jax
import jax.numpy as jnp
from jax import lax

from thjax.blocks.conv_geometry import Geometry, native_convolve, native_correlate, native_spread

SMALL_MAP = 16
"""Small maps with fewer positions than this go through patches: XLA swaps kernel and input there and falls into loops."""


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.convolve`."""
    if _as_matrix(geometry):
        columns = patches(x, geometry)
        return (columns @ w.reshape(-1, w.shape[-1])).reshape(x.shape[0], *geometry.small, w.shape[-1])
    return native_convolve(x, w, geometry)


def spread(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.spread`."""
    if _is_dense(geometry):
        return (y.reshape(y.shape[0], -1) @ w.reshape(-1, w.shape[-1]).T).reshape(y.shape[0], *geometry.size, w.shape[-2])
    if geometry.dims == 2 and geometry.stride == (1, 1) and not _as_matrix(geometry):
        flipped = jnp.swapaxes(w[::-1, ::-1], -1, -2)
        padding = tuple(k - 1 - p for k, p in zip(geometry.kernel, geometry.padding))
        if min(padding) >= 0:
            return native_convolve(y, flipped, Geometry(geometry.kernel, (1, 1), padding, y.shape[1:3]))
    if _is_halving(geometry) and y.shape[1] * y.shape[2] >= 4:
        return _double(y, w)
    return _overlap_add(y, w, geometry)


def correlate(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.correlate`."""
    if _as_matrix(geometry):
        columns = patches(x, geometry)
        return (columns.T @ y.reshape(-1, y.shape[-1])).reshape(*geometry.kernel, x.shape[-1], y.shape[-1])
    return native_correlate(x, y, geometry)


def _is_dense(geometry: Geometry) -> bool:
    return geometry.kernel == geometry.size and not any(geometry.padding)


def _is_halving(geometry: Geometry) -> bool:
    return (geometry.kernel, geometry.stride, geometry.padding) == ((4, 4), (2, 2), (1, 1)) and not (
        geometry.size[0] % 2 or geometry.size[1] % 2)


def _as_matrix(geometry: Geometry) -> bool:
    small = geometry.small
    return geometry.dims == 1 or _is_dense(geometry) or small[0] * small[1] < SMALL_MAP


def patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """[N, *size, C] -> [N * small positions, taps * C]."""
    if _is_dense(geometry):
        return x.reshape(x.shape[0], -1)
    x = jnp.pad(x, ((0, 0), *((p, p) for p in geometry.padding), (0, 0)))
    small, steps = geometry.small, (1, *geometry.stride, 1)
    slices = []
    for tap in itertools.product(*map(range, geometry.kernel)):
        stop = tuple(t + (n - 1) * s + 1 for t, n, s in zip(tap, small, geometry.stride))
        slices.append(lax.slice(x, (0, *tap, 0), (x.shape[0], *stop, x.shape[-1]), steps))
    return jnp.concatenate(slices, -1).reshape(-1, geometry.taps * x.shape[-1])


def _overlap_add(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """One matrix product for all taps, whose blocks of `stride` taps are then added where they overlap."""
    large, dims = w.shape[-2], geometry.dims
    blocks = [-(-k // s) for k, s in zip(geometry.kernel, geometry.stride)]
    w = jnp.pad(w, [(0, b * s - k) for b, s, k in zip(blocks, geometry.stride, geometry.kernel)] + [(0, 0), (0, 0)])
    z = y.reshape(-1, y.shape[-1]) @ w.reshape(-1, w.shape[-1]).T
    small, n = y.shape[1:-1], y.shape[0]
    z = z.reshape(n, *small, *(b * s for b, s in zip(blocks, geometry.stride)), large)
    for axis in range(dims):
        # z: [n, done axes..., small of this and later axes..., taps of this and later axes..., large]
        b, s, m = blocks[axis], geometry.stride[axis], small[axis]
        tap_axis = dims + 1
        z = jnp.moveaxis(z, tap_axis, axis + 2)
        z = z.reshape(*z.shape[: axis + 2], b, s, *z.shape[axis + 3:])
        parts = [
            jnp.pad(lax.index_in_dim(z, i, axis + 2, keepdims=False),
                    [(i, b - 1 - i) if a == axis + 1 else (0, 0) for a in range(z.ndim - 1)])
            for i in range(b)
        ]
        z = sum(parts[1:], parts[0])
        z = z.reshape(*z.shape[: axis + 1], (m + b - 1) * s, *z.shape[axis + 3:])
        low, extent = geometry.padding[axis], geometry.size[axis]
        z = jnp.pad(z, [(0, max(0, low + extent - z.shape[a])) if a == axis + 1 else (0, 0) for a in range(z.ndim)])
        z = lax.slice_in_dim(z, low, low + extent, axis=axis + 1)
    return z


def _double(y: jax.Array, w: jax.Array) -> jax.Array:
    """Kernel 4, stride 2, padding 1: one 2x2 convolution to all four output phases, which are then interleaved."""
    n, h, wd, _ = y.shape
    large = w.shape[-2]
    w = jnp.swapaxes(w, -1, -2)
    taps = (slice(3, None, -2), slice(2, None, -2))
    kernel = jnp.concatenate([w[taps[a], taps[b]] for a in (0, 1) for b in (0, 1)], -1)
    z = native_convolve(y, kernel, Geometry((2, 2), (1, 1), (1, 1), (h, wd)))
    z = z.reshape(n, h + 1, wd + 1, 4, large)
    z = jnp.stack([z[:, a:a + h, b:b + wd, 2 * a + b] for a in (0, 1) for b in (0, 1)], -2)
    return z.reshape(n, h, wd, 2, 2, large).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * wd, large)
