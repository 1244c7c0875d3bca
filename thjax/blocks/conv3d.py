"""Convolution over time, rows and columns, as a 2-D one over frames that carry their neighbours as channels."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from thjax.blocks.conv import conv2d


def conv3d(x: jax.Array, w: jax.Array, stride: int = 1, padding: tuple[int, int] = (0, 0)) -> jax.Array:
    """3-D cross-correlation, which steps by one frame in time.

    Native 3-D convolutions and their gradients are slow on CPU; each tap in time becomes a group of channels instead.

    Args:
        x: [N, T, H, W, in].
        w: [kt, kh, kw, in, out].
        stride: of rows and columns.
        padding: zeros on both sides, in time and in space.

    Returns:
        [N, T + 2 padding[0] - kt + 1, H', W', out].

    Raises:
        ValueError: ranks or channels do not fit, or the kernel exceeds the padded input.
    """
    if x.ndim != 5 or w.ndim != 5 or x.shape[-1] != w.shape[-2]:
        raise ValueError(f"convolution of {x.shape} by {w.shape}: give [N, T, H, W, in] and [kt, kh, kw, in, out]")
    taps, left = w.shape[0], x.shape[1] + 2 * padding[0] - w.shape[0] + 1
    if left < 1:
        raise ValueError(f"kernel of {taps} frames exceeds {x.shape[1]} padded by {padding[0]}; use longer clips")
    x = jnp.pad(x, ((0, 0), (padding[0],) * 2, (0, 0), (0, 0), (0, 0)))
    x = jnp.concatenate([x[:, i:i + left] for i in range(taps)], -1)
    kernel = jnp.moveaxis(w, 0, 2).reshape(*w.shape[1:3], -1, w.shape[-1])
    y = conv2d(x.reshape(-1, *x.shape[2:]), kernel, stride, padding[1])
    return y.reshape(x.shape[0], left, *y.shape[1:])


class Conv3d(nn.Module):
    """3-D convolution layer with bias.

    Attributes:
        features: output channels.
        kernel: taps in time, rows, columns.
        stride, padding: as in `conv3d`.
        dtype: of the computation.
    """

    features: int
    kernel: tuple[int, int, int]
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, T, H, W, in] -> [N, T', H', W', features]."""
        w = self.param("kernel", nn.initializers.lecun_normal(), (*self.kernel, x.shape[-1], self.features), float)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), float)
        return conv3d(x.astype(self.dtype), w.astype(self.dtype), self.stride, self.padding) + bias.astype(self.dtype)
