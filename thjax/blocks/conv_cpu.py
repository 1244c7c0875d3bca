"""Convolutions for XLA:CPU as copies, matrix products and plain stride-1 convolutions. Exact, not approximations.

Cut into blocks of `stride` positions, a large map becomes a map of the small map's step, and a kernel of k taps becomes
one of ceil(k / stride) blocks: every convolution is a stride-1 convolution between blocks.

    convolve   patches of the large map, then one matrix product          or `lax`
    spread     one matrix product to all taps, added where they overlap   or a stride-1 `lax` convolution to blocks
    correlate  patches of the large map transposed, then one product      or `lax`

The left column wins on tiny maps, wide layers, thin inputs and 1-D kernels, where `lax` falls into scalar loops or
reads its kernel too often; the right one where patches would cost more to write than to multiply. In the left column
it is the maps that are brought into the order of the kernel: wide kernels are larger than their maps, and moving one
costs as much as multiplying by it. The thresholds were measured by `benchmarks/conv.py` and `benchmarks/train_step.py`.
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
WIDE = 192
"""Small channels from which patches pay, as long as they fit `PATCHES`."""
PATCHES = 16 << 20
"""Bytes of patches from which writing them costs more than they save."""


def convolve(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.convolve`."""
    if not _prefers_patches(x, w.shape[-1], geometry):
        return native_convolve(x, w, geometry)
    y = _patches(x, geometry) @ _whole_blocks(w, geometry).reshape(-1, w.shape[-1])
    return y.reshape(x.shape[0], *geometry.small, w.shape[-1])


def spread(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.spread`."""
    if _prefers_taps(y, w.shape[-2], geometry):
        kernel = _whole_blocks(w, geometry)
        z = y.reshape(-1, y.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1]).T
        return _overlap_add(z, y.shape[0], geometry)
    if geometry.stride == (1, 1):
        return _spread_by_convolving(y, w, geometry)
    kernel = _kernel_to_blocks(w, geometry)
    flipped, blocks = jnp.swapaxes(kernel[::-1, ::-1], -1, -2), kernel.shape[:2]
    z = native_convolve(y, flipped, Geometry(blocks, (1, 1), tuple(b - 1 for b in blocks), y.shape[1:3]))
    return _from_blocks(z, geometry)


def correlate(x: jax.Array, y: jax.Array, geometry: Geometry) -> jax.Array:
    """See `thjax.blocks.conv.correlate`."""
    if not _prefers_columns(x, y.shape[-1], geometry):
        return native_correlate(x, y, geometry)
    w = _patches(x, geometry).T @ y.reshape(-1, y.shape[-1])
    taps = (b * s for b, s in zip(_blocks(geometry), _block(geometry), strict=True))
    w = w.reshape(*taps, x.shape[-1], y.shape[-1])
    return w[tuple(slice(k) for k in geometry.kernel)]


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
    rows = _rows(x, geometry)
    patches = rows * geometry.taps * x.shape[-1] * x.dtype.itemsize
    return rows < TINY_MAP * x.shape[0] or (small_channels >= WIDE and patches <= PATCHES)


def _prefers_taps(y: jax.Array, large_channels: int, geometry: Geometry) -> bool:
    if geometry.dims == 1 or _is_dense(geometry) or large_channels <= THIN:
        return True
    return _rows(y, geometry) <= 2 * y.shape[-1]


def _prefers_columns(x: jax.Array, small_channels: int, geometry: Geometry) -> bool:
    if geometry.dims == 1 or _is_dense(geometry) or x.shape[-1] <= 2 * THIN:
        return True
    return _rows(x, geometry) <= small_channels


def _rows(examples: jax.Array, geometry: Geometry) -> int:
    """Positions of all small maps: rows of the matrix product."""
    return examples.shape[0] * math.prod(geometry.small)


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
    """[N, H, W, C] -> [N, *grid, block rows, block columns * C]; [N, S, C] -> [N, *grid, block * C].

    Padded at the start and padded or cut at the end.
    """
    block, grid = _block(geometry), _grid(geometry)
    margins = zip(geometry.padding, _missing(geometry), strict=True)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in margins), (0, 0, 0)])
    if geometry.dims == 1:
        return x.reshape(x.shape[0], *grid, -1)
    return jnp.swapaxes(x.reshape(x.shape[0], grid[0], block[0], grid[1], block[1] * x.shape[-1]), 2, 3)


def _from_blocks(z: jax.Array, geometry: Geometry) -> jax.Array:
    """Adjoint of `_to_blocks`; takes the positions of a block and their channels in one axis as well."""
    block, grid = _block(geometry), _grid(geometry)
    channels = math.prod(z.shape[1 + geometry.dims:]) // math.prod(block)
    if geometry.dims == 2:
        z = jnp.swapaxes(z.reshape(z.shape[0], *grid, block[0], -1), 2, 3)
    z = z.reshape(z.shape[0], *(g * b for g, b in zip(grid, block, strict=True)), channels)
    margins = zip(geometry.padding, _missing(geometry), strict=True)
    return lax.pad(z, jnp.zeros((), z.dtype), [(0, 0, 0), *((-low, -high, 0) for low, high in margins), (0, 0, 0)])


def _whole_blocks(w: jax.Array, geometry: Geometry) -> jax.Array:
    """The kernel with taps of zero behind its own, up to whole blocks."""
    missing = [b * s - k for b, s, k in zip(_blocks(geometry), _block(geometry), geometry.kernel, strict=True)]
    return jnp.pad(w, [*((0, m) for m in missing), (0, 0), (0, 0)]) if any(missing) else w


def _kernel_to_blocks(w: jax.Array, geometry: Geometry) -> jax.Array:
    """[*kernel, large, small] -> [*blocks, block * large, small] of a 2-D kernel."""
    block, blocks, w = _block(geometry), _blocks(geometry), _whole_blocks(w, geometry)
    w = w.reshape(blocks[0], block[0], blocks[1], -1, w.shape[-1]).swapaxes(1, 2)
    return w.reshape(*blocks, -1, w.shape[-1])


def _patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """[N, *size, C] -> [N * small positions, taps * C], taps in the kernel's own order."""
    x = _to_blocks(x, geometry)
    for axis, (blocks, small) in enumerate(zip(_blocks(geometry), geometry.small, strict=True), 1):
        shifts = [lax.slice_in_dim(x, start, start + small, axis=axis) for start in range(blocks)]
        x = jnp.concatenate(shifts, axis - 1 - geometry.dims) if blocks > 1 else x
    return x.reshape(x.shape[0] * math.prod(geometry.small), -1)


def _overlap_add(z: jax.Array, examples: int, geometry: Geometry) -> jax.Array:
    """Adjoint of `_patches`."""
    blocks, block = _blocks(geometry), _block(geometry)
    if geometry.dims == 1:
        z = z.reshape(examples, *geometry.small, *blocks, -1)
    else:
        z = z.reshape(examples, *geometry.small, blocks[0], block[0], blocks[1], -1)
    total = None
    for start in itertools.product(*map(range, blocks)):
        tap = z[:, :, start[0]] if geometry.dims == 1 else z[:, :, :, start[0], :, start[1]]
        margins = [(s, b - 1 - s) for s, b in zip(start, blocks, strict=True)]
        tap = jnp.pad(tap, [(0, 0), *margins, *((0, 0),) * geometry.dims])
        total = tap if total is None else total + tap
    return _from_blocks(total, geometry)
