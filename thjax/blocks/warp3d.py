"""Warping of feature volumes: trilinear sampling at any place, and the shift of a whole volume as three products.

A volume is [B, D, H, W, C]. Places are x, y, z in [-1, 1] from its first to its last position along W, H and D, as
`torch.nn.functional.grid_sample` has them. `align_corners`: -1 and 1 are the middles of the outermost positions;
without it they are their outer edges, half a position further out.
"""

import itertools
from typing import Literal

import jax
import jax.numpy as jnp

Padding = Literal["zeros", "border"]
PADDINGS = ("zeros", "border")


def coordinate_grid(size: tuple[int, ...], align_corners: bool = True, dtype=jnp.float32) -> jax.Array:
    """The places of a map's own positions: (H, W) -> [H, W, 2] x, y; (D, H, W) -> [D, H, W, 3] x, y, z."""
    axes = [_own_places(n, align_corners, dtype) for n in size]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij")[::-1], axis=-1)


def warp3d(volume: jax.Array, places: jax.Array, align_corners: bool = True, padding: Padding = "zeros") -> jax.Array:
    """Trilinear sampling, `torch.nn.functional.grid_sample` of volumes with channels last.

    Each corner of a cell is one gather of rows, and one scatter on the way back. On one CPU core and 8 volumes of
    4 x 32 x 32 x 16 the eight scatters took 3 ms, the same gradient as products with one-hot weights 125 ms.

    Args:
        volume: [B, D, H, W, C].
        places: [B, ..., 3] x, y, z where to sample; at least f32, whatever the volume is.
        align_corners: see the module.
        padding: what lies outside: zeros, or the nearest position (`border`).

    Returns:
        [B, ..., C] in the type of the volume, differentiable in both.

    Raises:
        ValueError: ranks or batch sizes do not fit, or unknown padding.
    """
    _check(volume, places, padding)
    size, channels = volume.shape[1:4], volume.shape[-1]
    extent = jnp.asarray(size[::-1], places.dtype)
    at = _positions(places, extent, align_corners)
    if padding == "border":
        at = jnp.clip(at, 0, extent - 1)
    low = jnp.floor(at)
    high_share = at - low
    # One flat table of rows: XLA:CPU gathers and scatters it several times faster than batched rows.
    table = jnp.asarray(volume).reshape(-1, channels)
    first_row = jnp.arange(len(volume)).reshape(-1, *(1,) * (places.ndim - 2)) * (len(table) // len(volume))
    sampled = jnp.zeros((*places.shape[:-1], channels), volume.dtype)
    for corner in itertools.product((0, 1), repeat=3):
        place = low + jnp.asarray(corner, low.dtype)
        inside = jnp.all((place >= 0) & (place <= extent - 1), axis=-1)
        x, y, z = (jnp.clip(place, 0, extent - 1).astype(jnp.int32)[..., axis] for axis in range(3))
        rows = table.at[first_row + (z * size[1] + y) * size[2] + x].get(mode="promise_in_bounds")
        shares = [high_share[..., axis] if far else 1 - high_share[..., axis] for axis, far in enumerate(corner)]
        share = jnp.where(inside, shares[0] * shares[1] * shares[2], 0)
        sampled = sampled + rows * share[..., None].astype(volume.dtype)
    return sampled


def shift3d(volume: jax.Array, offsets: jax.Array, align_corners: bool = True) -> jax.Array:
    """Samples a volume at its own places moved by offsets: `warp3d` of K shifted grids, zeros outside, no gather.

    A shift is the same everywhere, so trilinear weights are a product of one matrix per axis.

    Args:
        volume: [B, D, H, W, C].
        offsets: [B, K, 3] x, y, z, added to every place; at least f32.
        align_corners: see the module.

    Returns:
        [B, K, D, H, W, C] in the type of the volume, differentiable in both.

    Raises:
        ValueError: ranks or batch sizes do not fit.
    """
    _check(volume, offsets, "zeros")
    across, down, deep = (
        _shift_matrix(offsets[..., axis], n, align_corners).astype(volume.dtype)
        for axis, n in enumerate(volume.shape[3:0:-1])
    )
    shifted = jnp.einsum("bkxw,bdhwc->bkdhxc", across, volume)
    shifted = jnp.einsum("bkyh,bkdhxc->bkdyxc", down, shifted)
    return jnp.einsum("bkzd,bkdyxc->bkzyxc", deep, shifted)


def _shift_matrix(offset: jax.Array, n: int, align_corners: bool) -> jax.Array:
    """[B, K] -> [B, K, n, n]: shares of the input's positions (last axis) in the output's."""
    own = jnp.arange(n, dtype=offset.dtype)
    moved = own + offset[..., None] * ((n - 1 if align_corners else n) / 2)
    return jnp.maximum(0, 1 - jnp.abs(moved[..., None] - own))


def _positions(places: jax.Array, extent: jax.Array, align_corners: bool) -> jax.Array:
    """Places in [-1, 1] -> positions, 0 at the first and `extent` - 1 at the last."""
    if align_corners:
        return (places + 1) / 2 * (extent - 1)
    return ((places + 1) * extent - 1) / 2


def _own_places(n: int, align_corners: bool, dtype) -> jax.Array:
    if align_corners:
        return 2 * jnp.arange(n, dtype=dtype) / max(n - 1, 1) - 1
    return (2 * jnp.arange(n, dtype=dtype) + 1) / n - 1


def _check(volume: jax.Array, places: jax.Array, padding: str) -> None:
    if volume.ndim != 5 or places.ndim < 2 or places.shape[-1] != 3 or len(volume) != len(places):
        raise ValueError(f"warp of {volume.shape} by {places.shape}: give [B, D, H, W, C] and [B, ..., 3]")
    if padding not in PADDINGS:
        raise ValueError(f"padding {padding!r} is unknown; use one of {', '.join(PADDINGS)}")
