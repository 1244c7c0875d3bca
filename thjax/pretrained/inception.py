"""InceptionV3 (Szegedy et al. 2015) in the variant that Frechet distances are made with.

The weights are those of TensorFlow's graph of 2015-12-05 as `pytorch-fid` publishes them. They differ from those of
torchvision's InceptionV3, and so do three details: means leave padding out, the last block pools by maxima, and there
are 1,008 classes, whose layer nobody reads and which is left in the file.
"""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.pretrained import torch_files
from thjax.pretrained.inception_table import CODE, EPSILON, Branch, Mixed, blocks, stem, tail
from thjax.pretrained.rules import Rule, conv_rules, norm_rules, unread

SIDE = 299
"""Pixels to which `prepare` resizes."""
SMALLEST = 75
"""Pixels that the network needs."""


class InceptionV3(nn.Module):
    """Convolutions with norm and ReLU, eleven mixed blocks, the mean of the last map."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, H, W, 3] from `prepare`, at least 75 pixels a side -> [N, 2048].

        Raises:
            ValueError: pictures that are too small.
        """
        if min(x.shape[1:3]) < SMALLEST:
            raise ValueError(f"pictures {x.shape}: InceptionV3 takes {SMALLEST} pixels a side or more, see `prepare`")
        for branch in (stem(), tail()):
            x = nn.max_pool(_run(x, branch), (3, 3), (2, 2))
        for block in blocks():
            x = _mix(x, block)
        return x.mean((1, 2))


class _Unit(nn.Module):
    features: int
    kernel: tuple[int, int]
    stride: int
    padding: tuple[int, int]

    @nn.compact
    def __call__(self, x):
        x = Conv(self.features, self.kernel, self.stride, self.padding, bias=False, name="conv")(x)
        return nn.relu(Norm(epsilon=EPSILON, name="bn")(x))


def _run(x, branch: Branch):
    for layer in branch.layers:
        x = _Unit(layer.features, layer.kernel, layer.stride, layer.padding, name=layer.name.replace(".", "_"))(x)
    if branch.fork:
        x = jnp.concatenate([_run(x, one) for one in branch.fork], -1)
    return x


def _mix(x, block: Mixed):
    found = [_run(x, branch) for branch in block.branches]
    if block.pool == "shrink":
        pooled = nn.max_pool(x, (3, 3), (2, 2))
    elif block.pool == "max":
        pooled = nn.max_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)))
    else:
        pooled = nn.avg_pool(x, (3, 3), (1, 1), ((1, 1), (1, 1)), count_include_pad=False)
    return jnp.concatenate([*found, _run(pooled, block.pooled)], -1)


def prepare(frames: jax.Array) -> jax.Array:
    """Pictures as the network takes them: resized to 299 between neighbours, without smoothing, as `pytorch-fid` does.

    Args:
        frames: [N, H, W, 3] uint8 RGB.

    Returns:
        [N, 299, 299, 3] in [-1, 1].
    """
    x = frames.astype(jnp.float32) / 255
    return 2 * jax.image.resize(x, (len(x), SIDE, SIDE, x.shape[-1]), "bilinear", antialias=False) - 1


def network() -> InceptionV3:
    """The public network."""
    return InceptionV3()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of `pt_inception-2015-12-05-6726825d.pth` without the classifier."""
    return unread(torch_files.read_state(path), "fc.")


def rules(net: InceptionV3) -> list[Rule]:
    """Every tensor of the file but the classifier's."""
    found, width = [], 3
    for branch in (stem(), tail()):
        more, width = _branch_rules(branch, width)
        found += more
    for block in blocks():
        total = 0 if block.pooled.layers else width
        for branch in (*block.branches, block.pooled):
            if branch.layers:
                more, out = _branch_rules(branch, width)
                found, total = found + more, total + out
        width = total
    assert width == CODE
    return found


def _branch_rules(branch: Branch, width: int) -> tuple[list[Rule], int]:
    """Rules of a branch, and the channels that it gives."""
    found = []
    for layer in branch.layers:
        name = layer.name.replace(".", "_")
        shape = (layer.features, width, *layer.kernel)
        found += conv_rules(f"{layer.name}.conv", shape, (name, "conv"), bias=False)
        found += norm_rules(f"{layer.name}.bn", layer.features, (name, "bn"))
        width = layer.features
    if branch.fork:
        parts = [_branch_rules(one, width) for one in branch.fork]
        return found + [rule for part, _ in parts for rule in part], sum(out for _, out in parts)
    return found, width
