"""Layers of the torch twin of dirfa's generator: torch's own, in the orders that its networks use."""

import torch
import torch.nn.functional as F
from torch import nn


class WideConv3d(nn.Conv3d):
    """Plane by plane: in float64 nn.Conv3d copies its input for each of 7 x 7 x 7 places, 25 GB at 256 pixels."""

    def forward(self, x):
        reach = self.padding[0]
        x = F.pad(x, (0, 0, 0, 0, reach, reach)).movedim(2, 1)  # depth beside the batch
        depth = x.shape[1] - 2 * reach
        planes = [F.conv2d(x[:, k : k + depth].flatten(0, 1), self.weight[:, :, k], padding=self.padding[1:])
                  for k in range(2 * reach + 1)]
        return (sum(planes) + self.bias[:, None, None]).unflatten(0, (-1, depth)).movedim(1, 2)


def conv(dims, taken, given, kernel):
    kind = nn.Conv2d if dims == 2 else WideConv3d if kernel > 3 else nn.Conv3d
    return kind(taken, given, kernel, padding=kernel // 2)


def batch_norm(dims, channels):
    return (nn.BatchNorm2d if dims == 2 else nn.BatchNorm3d)(channels)


def pool(x):
    return F.avg_pool2d(x, 2) if x.ndim == 4 else F.avg_pool3d(x, (1, 2, 2))


def enlarge(x):
    return F.interpolate(x, scale_factor=2.0 if x.ndim == 4 else (1.0, 2.0, 2.0))


def grid(*size):
    axes = [torch.linspace(-1, 1, n) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], -1)


class ConvNorm(nn.Module):
    def __init__(self, dims, taken, given, kernel=3, slope=0.0):
        super().__init__()
        self.conv, self.norm, self.slope = conv(dims, taken, given, kernel), batch_norm(dims, given), slope

    def forward(self, x):
        return F.leaky_relu(self.norm(self.conv(x)), self.slope)


class Residual(nn.Module):
    def __init__(self, dims, channels):
        super().__init__()
        self.norm_0, self.norm_1 = batch_norm(dims, channels), batch_norm(dims, channels)
        self.conv_0, self.conv_1 = conv(dims, channels, channels, 3), conv(dims, channels, channels, 3)

    def forward(self, x):
        y = self.conv_0(F.relu(self.norm_0(x)))
        return x + self.conv_1(F.relu(self.norm_1(y)))


class Numbered(nn.Module):
    """Layers called NAME_0, NAME_1, ... whatever else a module has."""

    def add(self, name, layers):
        for i, layer in enumerate(layers):
            self.add_module(f"{name}_{i}", layer)
        return [f"{name}_{i}" for i in range(len(layers))]

    def get(self, names):
        return [getattr(self, name) for name in names]
