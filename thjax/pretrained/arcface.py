"""ArcFace's iresnet100 (Deng et al. 2019), as the public `backbone.pth` of arcface_torch has it.

A face, aligned by `thjax.pretrained.arcface_align`, becomes 512 numbers; the cosine of two such codes is CSIM.
"""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.pretrained import torch_files
from thjax.pretrained.rules import Rule, conv_rules, norm_rules, rule, unread

SIDE = 112
CODE = 512
_WIDTHS = (64, 128, 256, 512)
_LEFT = SIDE // 2 ** len(_WIDTHS)
"""Rows of the last map."""


class IResNet(nn.Module):
    """Residual network with a norm before each convolution and none after the sum.

    Attributes:
        depths: blocks of the four stages: (3, 13, 30, 3) is iresnet100, (3, 4, 14, 3) iresnet50, (2, 2, 2, 2)
            iresnet18.
    """

    depths: tuple[int, ...] = (3, 13, 30, 3)

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, 112, 112, 3] aligned faces, RGB in [-1, 1] -> [N, 512], not normalised; see `unit`.

        Raises:
            ValueError: pictures of another shape.
        """
        if x.shape[1:] != (SIDE, SIDE, 3):
            raise ValueError(f"faces {x.shape}: ArcFace takes [N, {SIDE}, {SIDE}, 3], aligned by arcface_align")
        x = Conv(_WIDTHS[0], 3, 1, 1, bias=False, name="conv1")(x)
        x = PReLU(name="prelu")(Norm(name="bn1")(x))
        for stage, (width, depth) in enumerate(zip(_WIDTHS, self.depths, strict=True), start=1):
            for i in range(depth):
                x = _Block(width, 1 if i else 2, name=f"layer{stage}_{i}")(x)
        # The dense layer of the public file reads channels, rows, columns.
        x = Norm(name="bn2")(x).transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        return Norm(name="features")(nn.Dense(CODE, name="fc")(x))


class _Block(nn.Module):
    """Norm, convolution, norm, PReLU, strided convolution, norm; plus the input, projected where the map shrinks."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = Conv(self.width, 3, 1, 1, bias=False, name="conv1")(Norm(name="bn1")(x))
        y = PReLU(name="prelu")(Norm(name="bn2")(y))
        y = Norm(name="bn3")(Conv(self.width, 3, self.stride, 1, bias=False, name="conv2")(y))
        if self.stride > 1:
            x = Conv(self.width, 1, self.stride, bias=False, name="shortcut")(x)
            x = Norm(name="shortcut_norm")(x)
        return y + x


class PReLU(nn.Module):
    """Rectifier with a learned negative slope per channel."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., C] -> [..., C]."""
        slope = self.param("slope", nn.initializers.constant(0.25), x.shape[-1:], float)
        return jnp.where(x >= 0, x, slope.astype(x.dtype) * x)


def unit(codes: jax.Array) -> jax.Array:
    """[N, D] codes of length one; the dot product of two is their cosine similarity (CSIM)."""
    return codes / jnp.linalg.norm(codes, axis=-1, keepdims=True)


def network() -> IResNet:
    """iresnet100."""
    return IResNet()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of `backbone.pth`."""
    return unread(torch_files.read_state(path))


def rules(net: IResNet) -> list[Rule]:
    """Every tensor of `backbone.pth`."""
    found = [*conv_rules("conv1", (_WIDTHS[0], 3, 3, 3), ("conv1",), bias=False),
             *norm_rules("bn1", _WIDTHS[0], ("bn1",)), _slope("prelu", _WIDTHS[0], ("prelu",))]
    inputs = _WIDTHS[0]
    for stage, (width, depth) in enumerate(zip(_WIDTHS, net.depths, strict=True), start=1):
        for i in range(depth):
            found += _block_rules(f"layer{stage}.{i}", f"layer{stage}_{i}", inputs, width, shrinks=i == 0)
            inputs = width
    return [*found, *norm_rules("bn2", inputs, ("bn2",)), *conv_rules("fc", (CODE, inputs * _LEFT**2), ("fc",)),
            *norm_rules("features", CODE, ("features",))]


def _block_rules(theirs: str, ours: str, inputs: int, width: int, shrinks: bool) -> list[Rule]:
    found = [*norm_rules(f"{theirs}.bn1", inputs, (ours, "bn1")),
             *conv_rules(f"{theirs}.conv1", (width, inputs, 3, 3), (ours, "conv1"), bias=False),
             *norm_rules(f"{theirs}.bn2", width, (ours, "bn2")),
             _slope(f"{theirs}.prelu", width, (ours, "prelu")),
             *conv_rules(f"{theirs}.conv2", (width, width, 3, 3), (ours, "conv2"), bias=False),
             *norm_rules(f"{theirs}.bn3", width, (ours, "bn3"))]
    if shrinks:
        found += conv_rules(f"{theirs}.downsample.0", (width, inputs, 1, 1), (ours, "shortcut"), bias=False)
        found += norm_rules(f"{theirs}.downsample.1", width, (ours, "shortcut_norm"))
    return found


def _slope(source: str, features: int, path: tuple[str, ...]) -> Rule:
    return rule(f"{source}.weight", (features,), (*path, "slope"))
