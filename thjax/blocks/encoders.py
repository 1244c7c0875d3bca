"""Encoders of raw waveforms and of images: strided convolutions down to one code."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from thjax.blocks.conv import Conv, Conv1d
from thjax.blocks.norm import NormSpec, make_norm
from thjax.core.context import Context

FIRST_CHANNELS = 16
MAX_CHANNELS = 512


@dataclasses.dataclass(frozen=True)
class WaveformLayer:
    """A 1-D convolution of `WaveformEncoder`: sizes in samples of its own input."""

    kernel: int
    stride: int
    padding: int
    features: int


def waveform_layers(
    rate: int, window: int, code: int, channels: Sequence[int] | None = None
) -> tuple[WaveformLayer, ...]:
    """The layer table that a sample rate and a window imply (vougioukas2019, section 2.1, and its public code).

    The first kernel spans 5 ms and steps 1 ms. The remaining length is divided by its prime factors in increasing
    order, each by a kernel of twice the stride; the last one is spanned by the kernel that makes the code.
    Padding is half of kernel - stride, rounded up, on both sides.

    Args:
        rate: samples per second.
        window: samples of a window.
        code: features of the last layer.
        channels: features of the other layers; None doubles from 16 up to 512.

    Raises:
        ValueError: a rate that is no multiple of 1000, a window that is no whole number of milliseconds or shorter than
            5 ms, or a list of channels of the wrong length.
    """
    step = rate // 1000
    if rate < 1000 or rate % 1000 or window % step or window < 5 * step:
        raise ValueError(f"window of {window} samples at {rate} Hz: use a rate that is a multiple of 1000 and a window "
                         "that is a whole number of milliseconds, at least 5")
    strides = [step, *_prime_factors(window // step)[:-1]]
    kernels = [5 * step, *(2 * stride for stride in strides[1:])]
    if channels is None:
        channels = [min(FIRST_CHANNELS << i, MAX_CHANNELS) for i in range(len(strides))]
    if len(channels) != len(strides):
        raise ValueError(f"{len(channels)} channels {tuple(channels)} for {len(strides)} layers of strides {strides}; "
                         "give one per layer, the code apart")
    length, table = window, []
    for kernel, stride, features in zip(kernels, strides, channels, strict=True):
        padding = math.ceil((kernel - stride) / 2)
        length = (length + 2 * padding - kernel) // stride + 1
        table.append(WaveformLayer(kernel, stride, padding, features))
    return (*table, WaveformLayer(length, 1, 0, code))


def _prime_factors(n: int) -> list[int]:
    """In increasing order; [1] for 1."""
    factors, divisor = [], 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors + [n] if n > 1 or not factors else factors


class WaveformEncoder(nn.Module):
    """One code per window of raw samples: convolutions with bias, norm and ReLU, tanh at the end.

    Attributes:
        code: features of the result.
        rate: samples per second.
        window: samples of a window.
        channels: features of the strided layers, or None; see `waveform_layers`.
        norm: of all layers but the last.
        slope: of the rectifier's negative side; 0 is ReLU.
        dtype: of the computation.
    """

    code: int = 256
    rate: int = 16_000
    window: int = 2_560
    channels: tuple[int, ...] | None = None
    norm: NormSpec = NormSpec()
    slope: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, valid: jax.Array | None = None, ctx: Context = Context(), train: bool = False,
        frames: int = 1,
    ) -> jax.Array:
        """[N, window] samples in [-1, 1] -> [N, code] in (-1, 1). N = examples * frames; `valid` [N].

        Raises:
            ValueError: windows of another length.
        """
        if x.shape[-1] != self.window:
            raise ValueError(f"waveform windows {x.shape} have {x.shape[-1]} samples; this encoder takes {self.window}")
        *table, last = waveform_layers(self.rate, self.window, self.code, self.channels)
        x = x[..., None]
        for i, layer in enumerate(table):
            x = Conv1d(layer.features, layer.kernel, layer.stride, layer.padding, dtype=self.dtype, name=f"conv_{i}")(x)
            x = checkpoint_name(x, "conv")
            x = make_norm(self.norm, self.dtype, f"norm_{i}")(x, valid, ctx, train, frames)
            x = rectify(x, self.slope)
        return jnp.tanh(Conv1d(last.features, last.kernel, dtype=self.dtype, name="code_conv")(x)[:, 0])


class ImageEncoder(nn.Module):
    """Halves an image per layer (kernel 4, stride 2, padding 1), then spans what is left with one kernel for the code.

    The generator's form has a norm, no bias and ReLU; a discriminator's has LeakyReLU and no norm on the first layer.
    A layer has a bias where no norm follows it.

    Attributes:
        code: features of the result.
        channels: features of the halving layers.
        norm: of the halving layers.
        norm_first: also normalises the first layer.
        slope: of the rectifier's negative side; 0 is ReLU.
        squash: tanh on the code.
        code_bias: adds a bias to the code.
        dtype: of the computation.
    """

    code: int = 50
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    norm: NormSpec = NormSpec()
    norm_first: bool = True
    slope: float = 0.0
    squash: bool = True
    code_bias: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, valid: jax.Array | None = None, ctx: Context = Context(), train: bool = False,
        frames: int = 1,
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        """Encodes.

        Args:
            x: [N, H, W, C] in [-1, 1]; H and W multiples of 2 ** len(channels).
            valid: [N] rows that count in statistics.
            ctx, train, frames: see `Norm`.

        Returns:
            [N, code], and the output of every halving layer, [N, H / 2, W / 2, channels[0]] first.

        Raises:
            ValueError: an image that cannot be halved often enough.
        """
        times = 2 ** len(self.channels)
        if x.shape[1] % times or x.shape[2] % times:
            raise ValueError(f"image of {x.shape[1]} x {x.shape[2]} pixels cannot be halved {len(self.channels)} times "
                             f"(channels {self.channels}); use multiples of {times} or fewer channels")
        skips = []
        for i, features in enumerate(self.channels):
            spec = self.norm if i or self.norm_first else NormSpec("none")
            x = Conv(features, 4, 2, 1, bias=spec.kind == "none", dtype=self.dtype, name=f"conv_{i}")(x)
            x = checkpoint_name(x, "conv")
            x = make_norm(spec, self.dtype, f"norm_{i}")(x, valid, ctx, train, frames)
            x = rectify(x, self.slope)
            skips.append(x)
        x = Conv(self.code, x.shape[1:3], bias=self.code_bias, dtype=self.dtype, name="code_conv")(x)[:, 0, 0]
        return jnp.tanh(x) if self.squash else x, tuple(skips)


def rectify(x: jax.Array, slope: float = 0.0) -> jax.Array:
    """LeakyReLU of the given negative slope; ReLU at 0."""
    return nn.leaky_relu(x, slope) if slope else nn.relu(x)
