"""VGG-19 (Simonyan and Zisserman 2015) up to its last convolution, from torchvision's public weights.

Perceptual losses read its ReLU outputs. The three dense layers behind them only name ImageNet's classes; they make up
86 % of the public file and are left there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv import Conv
from thjax.pretrained import torch_files
from thjax.pretrained.rules import Rule, conv_rules, unread

STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
"""Channels and convolutions between two poolings."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB in [0, 1]."""


class VGG19(nn.Module):
    """Sixteen convolutions of 3 x 3 with ReLU, halved by maxima after each stage.

    Attributes:
        last: stage behind which nothing is computed; `relu4_1` needs 4 of the five.
        dtype: of the computation.
    """

    last: int = 5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """Features.

        Args:
            x: [N, H, W, 3] RGB, normalised by `normalise`; at least 2 ** (last - 1) pixels a side.

        Returns:
            {"relu1_1": [N, H, W, 64], ..., "relu5_4": [N, H / 16, W / 16, 512]}, sizes rounded down.

        Raises:
            ValueError: a picture too small to be halved so often.
        """
        if min(x.shape[1:3]) < 2 ** (self.last - 1):
            raise ValueError(f"pictures {x.shape} cannot be halved {self.last - 1} times; use larger ones")
        found = {}
        for stage, (features, depth) in enumerate(STAGES[:self.last], start=1):
            if stage > 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
            for i in range(1, depth + 1):
                x = nn.relu(Conv(features, 3, 1, 1, dtype=self.dtype, name=f"conv{stage}_{i}")(x))
                found[f"relu{stage}_{i}"] = x
        return found


def normalise(x: jax.Array) -> jax.Array:
    """RGB in [0, 1] -> of ImageNet's mean 0 and deviation 1."""
    return (x - jnp.asarray(MEAN, x.dtype)) / jnp.asarray(STD, x.dtype)


def network() -> VGG19:
    """The public network."""
    return VGG19()


def read(path: str | Path) -> Mapping[str, np.ndarray]:
    """The tensors of `vgg19-dcbb9e9d.pth` without those of the classifier."""
    return unread(torch_files.read_state(path), "classifier.")


def rules(net: VGG19) -> list[Rule]:
    """Every tensor of the convolutions, which the file numbers together with ReLUs and poolings."""
    found, index, width = [], 0, 3
    for stage, (features, depth) in enumerate(STAGES, start=1):
        for i in range(1, depth + 1):
            found += conv_rules(f"features.{index}", (features, width, 3, 3), (f"conv{stage}_{i}",))
            index, width = index + 2, features
        index += 1
    return found
