"""OpenFace's nn4.small2 (Amos et al. 2016), a small FaceNet, as the public `nn4.small2.v1.t7` has it.

A face, aligned by `align`, becomes a point of the unit sphere in 128 dimensions; ACD measures distances there.
"""

from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.blocks.response_norm import response_norm
from thjax.core.errors import UserError
from thjax.pretrained import t7_files
from thjax.pretrained.rules import Rule, conv_rules, norm_rules

SIDE = 96
CODE = 128
_TENSORS = ("weight", "bias", "running_mean", "running_var")


class _Mixed(NamedTuple):
    """An inception block: columns (reduced, features, kernel), their stride, the pooling, and the two 1 x 1 columns."""

    index: int
    columns: tuple[tuple[int, int, int], ...]
    stride: int
    pool: str
    pooled: int | None
    single: int | None


_STEM = ((1, 3, 64, 7), (6, 64, 64, 1), (9, 64, 192, 3))
"""Index in the public sequence, inputs, features, kernel."""
_MIXED = (
    _Mixed(14, ((96, 128, 3), (16, 32, 5)), 1, "max", 32, 64),
    _Mixed(15, ((96, 128, 3), (32, 64, 5)), 1, "l2", 64, 64),
    _Mixed(16, ((128, 256, 3), (32, 64, 5)), 2, "max", None, None),
    _Mixed(17, ((96, 192, 3), (32, 64, 5)), 1, "l2", 128, 256),
    _Mixed(18, ((160, 256, 3), (64, 128, 5)), 2, "max", None, None),
    _Mixed(19, ((96, 384, 3),), 1, "l2", 96, 256),
    _Mixed(21, ((96, 384, 3),), 1, "max", 96, 256),
)
_HEAD = 25


class NN4Small2(nn.Module):
    """Three convolutions, seven inception blocks, one dense layer, unit length."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, 96, 96, 3] aligned faces, RGB in [0, 1] -> [N, 128] of length one.

        Raises:
            ValueError: pictures of another shape.
        """
        if x.shape[1:] != (SIDE, SIDE, 3):
            raise ValueError(f"faces {x.shape}: OpenFace takes [N, {SIDE}, {SIDE}, 3], see `align`")
        halve = lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        x = response_norm(halve(_Unit(64, 7, 2, name="layer1")(x)))
        x = _Unit(192, 3, name="layer9")(_Unit(64, 1, name="layer6")(x))
        x = halve(response_norm(x))
        for block in _MIXED:
            x = _mix(x, block)
        x = nn.Dense(CODE, name=f"layer{_HEAD}")(x.mean((1, 2)))
        return x / (jnp.linalg.norm(x, axis=-1, keepdims=True) + 1e-10)


class _Unit(nn.Module):
    features: int
    kernel: int
    stride: int = 1

    @nn.compact
    def __call__(self, x):
        x = Conv(self.features, self.kernel, self.stride, self.kernel // 2, name="conv")(x)
        return nn.relu(Norm(name="norm")(x))


def _mix(x, block: _Mixed):
    """Columns side by side; smaller maps are filled with zeros around, as Torch 7's DepthConcat does."""
    name, found = f"layer{block.index}", []
    for i, (reduced, features, kernel) in enumerate(block.columns, start=1):
        y = _Unit(reduced, 1, name=f"{name}_{i}_reduce")(x)
        found.append(_Unit(features, kernel, block.stride, name=f"{name}_{i}")(y))
    y = nn.max_pool(x, (3, 3), (2, 2)) if block.pool == "max" else _l2_pool(x)
    found.append(y if block.pooled is None else _Unit(block.pooled, 1, name=f"{name}_pooled")(y))
    if block.single is not None:
        found.append(_Unit(block.single, 1, name=f"{name}_single")(x))
    side = max(y.shape[1] for y in found)
    return jnp.concatenate([_surround(y, side) for y in found], -1)


def _l2_pool(x):
    """Lengths over squares of three by three. A square root of zero would have no gradient."""
    square = 9 * nn.avg_pool(x * x, (3, 3), (3, 3))
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def _surround(y, side):
    low = (side - y.shape[1]) // 2
    return jnp.pad(y, ((0, 0), (low, side - y.shape[1] - low), (low, side - y.shape[2] - low), (0, 0)))


def network() -> NN4Small2:
    """The public network."""
    return NN4Small2()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of `nn4.small2.v1.t7`, by the numbers of their modules: `14.1.2.4.weight`.

    Raises:
        UserError: the file cannot be read, or holds no network.
    """
    net = t7_files.read(path)
    if not isinstance(net, t7_files.Object) or "modules" not in net.fields:
        raise UserError(f"{path}: holds {getattr(net, 'kind', type(net).__name__)}, not a network of Torch 7")
    found: dict[str, np.ndarray] = {}
    _collect(net, (), found, ())
    return found


def _collect(module: Any, numbers: tuple[str, ...], found: dict[str, np.ndarray], above: tuple[int, ...]) -> None:
    # A pooling may be built of modules with constant weights; a module inside itself would never end.
    if not isinstance(module, t7_files.Object) or module.kind == "nn.SpatialLPPooling" or id(module) in above:
        return
    fields = module.fields
    for name in _TENSORS:
        value = fields.get(name)
        if name == "running_var" and value is None and isinstance(fields.get("running_std"), np.ndarray):
            value = fields["running_std"].astype(np.float64) ** -2 - fields.get("eps", 1e-5)  # until early 2016
        if isinstance(value, np.ndarray) and value.size:
            if name == "weight" and value.ndim == 2 and "kW" in fields:  # Torch 7's matrix form
                shape = [int(fields[key]) for key in ("nOutputPlane", "nInputPlane", "kH", "kW")]
                value = value.reshape(shape) if value.size == np.prod(shape) else value
            found[".".join((*numbers, name))] = value
    children = fields.get("modules")
    for number, child in (children if isinstance(children, dict) else {}).items():
        _collect(child, (*numbers, f"{number:g}" if isinstance(number, float) else str(number)), found,
                 (*above, id(module)))


def rules(net: NN4Small2) -> list[Rule]:
    """Every tensor of the file."""
    found = []
    for index, width, features, kernel in _STEM:
        found += _unit_rules(f"{index}", f"{index + 1}", width, features, kernel, f"layer{index}")
    width = _STEM[-1][2]
    for block in _MIXED:
        name, root, total = f"layer{block.index}", f"{block.index}.1", 0
        for i, (reduced, features, kernel) in enumerate(block.columns, start=1):
            found += _unit_rules(f"{root}.{i}.1", f"{root}.{i}.2", width, reduced, 1, f"{name}_{i}_reduce")
            found += _unit_rules(f"{root}.{i}.4", f"{root}.{i}.5", reduced, features, kernel, f"{name}_{i}")
            total += features
        i = len(block.columns) + 1
        if block.pooled is not None:
            found += _unit_rules(f"{root}.{i}.2", f"{root}.{i}.3", width, block.pooled, 1, f"{name}_pooled")
        if block.single is not None:
            found += _unit_rules(f"{root}.{i + 1}.1", f"{root}.{i + 1}.2", width, block.single, 1, f"{name}_single")
        width = total + (width if block.pooled is None else block.pooled) + (block.single or 0)
    return [*found, *conv_rules(f"{_HEAD}", (CODE, width), (f"layer{_HEAD}",))]


def _unit_rules(conv: str, norm: str, width: int, features: int, kernel: int, name: str) -> list[Rule]:
    shape = (features, width, kernel, kernel)
    return [*conv_rules(conv, shape, (name, "conv")), *norm_rules(norm, features, (name, "norm"))]
