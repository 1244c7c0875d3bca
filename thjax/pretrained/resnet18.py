"""ResNet-18 (He et al. 2016) from torchvision's public weights: 512 numbers per picture and ImageNet's classes."""

from pathlib import Path

import flax.linen as nn
import jax
import numpy as np

from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.pretrained import torch_files
from thjax.pretrained.rules import Rule, conv_rules, norm_rules, unread

WIDTHS = (64, 128, 256, 512)
CLASSES = 1000
_DEPTH = 2
"""Blocks of a stage."""


class ResNet18(nn.Module):
    """Four stages of two residual blocks; takes pictures normalised by `thjax.pretrained.vgg19.normalise`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[N, H, W, 3] -> [N, 512] means of the last map (`pool5`) and [N, 1000] logits of the classes."""
        x = nn.relu(Norm(name="bn1")(Conv(WIDTHS[0], 7, 2, 3, bias=False, name="conv1")(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage, width in enumerate(WIDTHS, start=1):
            for i in range(_DEPTH):
                x = _Block(width, 2 if stage > 1 and i == 0 else 1, name=f"layer{stage}_{i}")(x)
        code = x.mean((1, 2))
        return code, nn.Dense(CLASSES, name="fc")(code)


class _Block(nn.Module):
    width: int
    stride: int

    @nn.compact
    def __call__(self, x):
        y = nn.relu(Norm(name="bn1")(Conv(self.width, 3, self.stride, 1, bias=False, name="conv1")(x)))
        y = Norm(name="bn2")(Conv(self.width, 3, 1, 1, bias=False, name="conv2")(y))
        if self.stride > 1:
            x = Norm(name="shortcut_norm")(Conv(self.width, 1, self.stride, bias=False, name="shortcut")(x))
        return nn.relu(x + y)


def network() -> ResNet18:
    """The public network."""
    return ResNet18()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of `resnet18-f37072fd.pth`, or of its older edition `resnet18-5c106cde.pth`."""
    return unread(torch_files.read_state(path))


def rules(net: ResNet18) -> list[Rule]:
    """Every tensor of the file."""
    inputs = WIDTHS[0]
    found = [*conv_rules("conv1", (inputs, 3, 7, 7), ("conv1",), bias=False), *norm_rules("bn1", inputs, ("bn1",))]
    for stage, width in enumerate(WIDTHS, start=1):
        for i in range(_DEPTH):
            theirs, ours = f"layer{stage}.{i}", f"layer{stage}_{i}"
            for n, wide in ((1, inputs), (2, width)):
                found += conv_rules(f"{theirs}.conv{n}", (width, wide, 3, 3), (ours, f"conv{n}"), bias=False)
                found += norm_rules(f"{theirs}.bn{n}", width, (ours, f"bn{n}"))
            if inputs != width:
                found += conv_rules(f"{theirs}.downsample.0", (width, inputs, 1, 1), (ours, "shortcut"), bias=False)
                found += norm_rules(f"{theirs}.downsample.1", width, (ours, "shortcut_norm"))
            inputs = width
    return [*found, *conv_rules("fc", (CLASSES, inputs), ("fc",))]
