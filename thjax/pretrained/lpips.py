"""LPIPS 0.1 (Zhang et al. 2018) on AlexNet: a perceptual distance of two pictures.

Two public files make it: torchvision's AlexNet, of which the convolutions are used, and the linear heads of the package
`lpips`.
"""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv import Conv
from thjax.pretrained import torch_files
from thjax.pretrained.rules import Rule, conv_rules, params, unread

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Of pictures in [-1, 1]."""
_LAYERS = ((0, 64, 11, 4, 2), (3, 192, 5, 1, 2), (6, 384, 3, 1, 1), (8, 256, 3, 1, 1), (10, 256, 3, 1, 1))
"""Index in the public sequence, features, kernel, stride, padding."""
_POOLED = (3, 6)
"""Layers whose input is halved."""
_EPSILON = 1e-10
SMALLEST = 31
"""Pixels that the second pooling needs."""


class LPIPS(nn.Module):
    """Distances of the unit features of five layers, weighted per channel, averaged over places, summed over layers."""

    def setup(self):
        """One tower for both pictures."""
        self.tower = _AlexNet(name="alexnet")
        self.heads = [self.param(f"head_{i}", nn.initializers.ones, (features,), float)
                      for i, (_, features, *_) in enumerate(_LAYERS)]

    def __call__(self, x: jax.Array, y: jax.Array) -> jax.Array:
        """Distances of pictures.

        Args:
            x, y: [N, H, W, 3] RGB in [-1, 1], at least 31 pixels a side.

        Returns:
            [N], zero for equal pictures, higher is less alike.

        Raises:
            ValueError: pictures of two shapes, or too small ones.
        """
        if x.shape != y.shape or min(x.shape[1:3]) < SMALLEST:
            raise ValueError(f"pictures {x.shape} and {y.shape}: LPIPS takes one shape, {SMALLEST} pixels or more")
        total = 0.0
        for head, features in zip(self.heads, self.tower(jnp.concatenate([x, y])), strict=True):
            a, b = jnp.split(_unit(features), 2)
            total = total + (jnp.square(a - b) @ head).mean((1, 2))
        return total


class _AlexNet(nn.Module):
    """The five ReLU outputs of AlexNet in its torchvision form."""

    @nn.compact
    def __call__(self, x):
        x = (x - jnp.asarray(_SHIFT)) / jnp.asarray(_SCALE)
        found = []
        for index, features, kernel, stride, padding in _LAYERS:
            if index in _POOLED:
                x = nn.max_pool(x, (3, 3), (2, 2))
            x = nn.relu(Conv(features, kernel, stride, padding, name=f"conv_{index}")(x))
            found.append(x)
        return found


def _unit(x):
    """Features of length one at every place; a square root of zero would have no gradient."""
    square = jnp.square(x).sum(-1, keepdims=True)
    length = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    return x / (length + _EPSILON)


def network() -> LPIPS:
    """The public network."""
    return LPIPS()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of AlexNet without its classifier, or of the heads."""
    return unread(torch_files.read_state(path), "classifier.")


def rules(net: LPIPS) -> list[Rule]:
    """Every tensor of AlexNet's convolutions and of the heads."""
    found, width = [], 3
    for i, (index, features, kernel, *_) in enumerate(_LAYERS):
        found += conv_rules(f"features.{index}", (features, width, kernel, kernel), ("alexnet", f"conv_{index}"))
        found.append(Rule(f"lin{i}.model.1.weight", (1, features, 1, 1), params((((f"head_{i}",), np.ravel),))))
        width = features
    return found
