"""Convolutions for XLA:CPU as copies, matrix products and plain stride-1 convolutions. Exact, not approximations.

Cut into blocks of `stride` positions, a large map becomes a map of the small map's step with stride x channels, and a
kernel of k taps becomes one of ceil(k / stride) blocks: every convolution is a stride-1 convolution between blocks.

    convolve   patches of blocks, then one matrix product            or `lax`
    spread     one matrix product to all taps, added where they overlap   or a stride-1 `lax` convolution to blocks
    correlate  patches of blocks transposed, then one matrix product  or `lax`

The left column wins on tiny maps, wide layers, thin inputs and 1-D kernels, where `lax` falls into scalar loops or
reads its kernel too often; the right one where patches would cost more to write than to multiply. The thresholds below
were measured by `benchmarks/conv.py`.
"""

import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax

from thjax.blocks.conv_geometry import Geometry, native_convolve, native_correlate

THIN = 4
"""Large maps with at most this many channels go through blocks: their innermost runs are too short to vectorise."""
TINY_MAP = 16
"""Small maps with fewer positions: XLA swaps input and kernel of the input gradient and falls into scalar loops."""
WIDE = 96
"""Channels from which one product to all taps beats a convolution that reads four or nine times as deep."""
BUFFER = 32 << 20
"""Bytes of patches or taps from which writing them costs more than they save."""


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.convolve`."""
    if not _prefers_patches(x, w.shape[-1], geometry):
        return native_convolve(x, w, geometry)
    columns = _patches(_to_blocks(x, geometry), geometry)
    kernel = _kernel_to_blocks(w, geometry).reshape(-1, w.shape[-1])
    return (columns @ kernel).reshape(x.shape[0], *geometry.small, w.shape[-1])


def spread(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.spread`."""
    if geometry.dims == 2 and geometry.stride == (1, 1) and not _is_dense(geometry):
        return _spread_by_convolving(y, w, geometry)
    kernel = _kernel_to_blocks(w, geometry)
    if _prefers_taps(y, w.shape[-2], geometry):
        z = y.reshape(-1, y.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1]).T
        z = _overlap_add(z.reshape(y.shape[0], *y.shape[1:-1], *kernel.shape[:-1]), geometry)
    else:
        flipped = jnp.swapaxes(kernel[::-1, ::-1], -1, -2)
        blocks = kernel.shape[:2]
        z = native_convolve(y, flipped, Geometry(blocks, (1, 1), tuple(b - 1 for b in blocks), y.shape[1:3]))
    return _from_blocks(z, geometry)


def correlate(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.correlate`."""
    if geometry.dims > 1 and not _is_dense(geometry) and x.shape[-1] > 2 * THIN:
        return native_correlate(x, y, geometry)
    columns = _patches(_to_blocks(x, geometry), geometry)
    w = columns.T @ y.reshape(-1, y.shape[-1])
    return _kernel_from_blocks(w.reshape(*_blocks(geometry), -1, y.shape[-1]), geometry)


def _spread_by_convolving(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """At stride 1 the adjoint is itself a convolution, by the flipped kernel."""
    rest = tuple(k - 1 - p for k, p in zip(geometry.kernel, geometry.padding, strict=True))
    pad = tuple(max(0, r) for r in rest)
    x = convolve(y, jnp.swapaxes(w[::-1, ::-1], -1, -2), Geometry(geometry.kernel, (1, 1), pad, y.shape[1:3]))
    cut = tuple(max(0, -r) for r in rest)
    return x[:, cut[0]:cut[0] + geometry.size[0], cut[1]:cut[1] + geometry.size[1]]


def _is_dense(geometry: Geometry) -> bool:
    """The kernel spans the whole map: a matrix product."""
    return geometry.kernel == geometry.size and not any(geometry.padding)


def _prefers_patches(x: jax.Array, small_channels: int, geometry: Geometry) -> bool:
    if geometry.dims == 1 or _is_dense(geometry) or x.shape[-1] <= THIN:
        return True
    positions = math.prod(geometry.small)
    patches = x.shape[0] * positions * geometry.taps * x.shape[-1] * x.dtype.itemsize
    return positions < TINY_MAP or (small_channels >= 2 * WIDE and patches <= BUFFER // 2)


def _prefers_taps(y: jax.Array, large_channels: int, geometry: Geometry) -> bool:
    if geometry.dims == 1 or _is_dense(geometry) or large_channels <= THIN:
        return True
    positions = math.prod(geometry.small)
    taps = y.shape[0] * positions * geometry.taps * large_channels * y.dtype.itemsize
    return positions < TINY_MAP or (y.shape[-1] >= WIDE and taps <= BUFFER)


def _blocks(geometry: Geometry) -> tuple[int, ...]:
    """Blocks that a kernel spans."""
    if _is_dense(geometry):
        return (1,) * geometry.dims
    return tuple(-(-k // s) for k, s in zip(geometry.kernel, geometry.stride, strict=True))


def _block(geometry: Geometry) -> tuple[int, ...]:
    """Positions of a block."""
    return geometry.size if _is_dense(geometry) else geometry.stride


def _grid(geometry: Geometry) -> tuple[int, ...]:
    """Blocks of the large map."""
    return tuple(n + b - 1 for n, b in zip(geometry.small, _blocks(geometry), strict=True))


def _missing(geometry: Geometry) -> tuple[int, ...]:
    """Positions of the grid behind the end of the large map; negative where the grid is shorter."""
    axes = zip(_grid(geometry), _block(geometry), geometry.padding, geometry.size, strict=True)
    return tuple(g * b - p - n for g, b, p, n in axes)


def _to_blocks(x: jax.Array, geometry: Geometry) -> jax.Array:
    """[N, *size, C] -> [N, *grid, block * C], padded at the start and padded or cut at the end."""
    block, grid = _block(geometry), _grid(geometry)
    margins = zip(geometry.padding, _missing(geometry), strict=True)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in margins), (0, 0, 0)])
    if geometry.dims == 1:
        return x.reshape(x.shape[0], *grid, -1)
    x = x.reshape(x.shape[0], grid[0], block[0], grid[1], block[1] * x.shape[-1])
    return jnp.swapaxes(x, 2, 3).reshape(x.shape[0], *grid, -1)


def _from_blocks(z: jax.Array, geometry: Geometry) -> jax.Array:
    """Adjoint of `_to_blocks`."""
    block, grid = _block(geometry), _grid(geometry)
    channels = z.shape[-1] // math.prod(block)
    if geometry.dims == 2:
        z = jnp.swapaxes(z.reshape(z.shape[0], *grid, block[0], -1), 2, 3)
    z = z.reshape(z.shape[0], *(g * b for g, b in zip(grid, block, strict=True)), channels)
    margins = zip(geometry.padding, _missing(geometry), strict=True)
    return lax.pad(z, jnp.zeros((), z.dtype), [(0, 0, 0), *((-low, -high, 0) for low, high in margins), (0, 0, 0)])


def _kernel_to_blocks(w: jax.Array, geometry: Geometry) -> jax.Array:
    """[*kernel, large, small] -> [*blocks, block * large, small]."""
    block, blocks = _block(geometry), _blocks(geometry)
    missing = [b * s - k for b, s, k in zip(blocks, block, geometry.kernel, strict=True)]
    if any(missing):
        w = jnp.pad(w, [*((0, m) for m in missing), (0, 0), (0, 0)])
    if geometry.dims == 2:
        w = w.reshape(blocks[0], block[0], blocks[1], -1, w.shape[-1]).swapaxes(1, 2)
    return w.reshape(*blocks, -1, w.shape[-1])


def _kernel_from_blocks(w: jax.Array, geometry: Geometry) -> jax.Array:
    """Adjoint of `_kernel_to_blocks`."""
    block, blocks = _block(geometry), _blocks(geometry)
    large = w.shape[-2] // math.prod(block)
    if geometry.dims == 2:
        w = w.reshape(*blocks, block[0], -1, w.shape[-1]).swapaxes(1, 2)
    w = w.reshape(*(b * s for b, s in zip(blocks, block, strict=True)), large, w.shape[-1])
    return w[tuple(slice(k) for k in geometry.kernel)]


def _patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """[N, *grid, C] -> [N * small positions, blocks * C]."""
    shifts = []
    for start in itertools.product(*map(range, _blocks(geometry))):
        stop = (s + n for s, n in zip(start, geometry.small, strict=True))
        shifts.append(lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1])))
    x = shifts[0] if len(shifts) == 1 else jnp.concatenate(shifts, -1)
    return x.reshape(-1, x.shape[-1])


def _overlap_add(z: jax.Array, geometry: Geometry) -> jax.Array:
    """Adjoint of `_patches`: [N, *small, *blocks, C] -> [N, *grid, C]."""
    blocks, total = _blocks(geometry), None
    for start in itertools.product(*map(range, blocks)):
        tap = z[(slice(None),) * (1 + geometry.dims) + start]
        tap = jnp.pad(tap, [(0, 0), *((s, b - 1 - s) for s, b in zip(start, blocks, strict=True)), (0, 0)])
        total = tap if total is None else total + tap
    return total
