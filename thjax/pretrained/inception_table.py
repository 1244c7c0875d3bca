"""The layers of InceptionV3 as a table under their public names. The network and its converter both read it."""

import dataclasses
from typing import Literal

CODE = 2048
EPSILON = 1e-3
"""Of the norms."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution with norm and ReLU.

    Attributes:
        name: public.
        features, kernel, stride, padding: of the convolution.
    """

    name: str
    features: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class Branch:
    """Layers in a row, and perhaps branches that read the last one and are put side by side."""

    layers: tuple[Layer, ...] = ()
    fork: tuple["Branch", ...] = ()


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Branches side by side, the pooled one last.

    Attributes:
        branches: that read the input.
        pool: in front of the last one: `mean` and `max` keep the size, `shrink` is a maximum of stride 2.
        pooled: the last branch; without layers it is the pooling alone.
    """

    branches: tuple[Branch, ...]
    pool: Literal["mean", "max", "shrink"]
    pooled: Branch = Branch()


def stem() -> Branch:
    """Up to the first pooling."""
    return Branch((Layer("Conv2d_1a_3x3", 32, (3, 3), 2), Layer("Conv2d_2a_3x3", 32, (3, 3)),
                   Layer("Conv2d_2b_3x3", 64, (3, 3), 1, (1, 1))))


def tail() -> Branch:
    """Between the first and the second pooling."""
    return Branch((Layer("Conv2d_3b_1x1", 80, (1, 1)), Layer("Conv2d_4a_3x3", 192, (3, 3))))


def blocks() -> tuple[Mixed, ...]:
    """The eleven mixed blocks."""
    return (
        *(_a(name, pooled) for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64))),
        _b("Mixed_6a"),
        *(_c(name, width) for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160),
                                              ("Mixed_6e", 192))),
        _d("Mixed_7a"), _e("Mixed_7b", "mean"), _e("Mixed_7c", "max"),
    )


def _row(block: str, *layers: tuple) -> Branch:
    """Layers (name, features, side or (h, w)), padded to keep the size; with a stride behind, not padded."""
    found = []
    for name, features, size, *stride in layers:
        kernel = (size, size) if isinstance(size, int) else size
        padding = (0, 0) if stride else (kernel[0] // 2, kernel[1] // 2)
        found.append(Layer(f"{block}.{name}", features, kernel, *stride, padding=padding))
    return Branch(tuple(found))


def _a(block: str, pooled: int) -> Mixed:
    return Mixed((
        _row(block, ("branch1x1", 64, 1)),
        _row(block, ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)),
        _row(block, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)),
    ), "mean", _row(block, ("branch_pool", pooled, 1)))


def _b(block: str) -> Mixed:
    return Mixed((
        _row(block, ("branch3x3", 384, 3, 2)),
        _row(block, ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3, 2)),
    ), "shrink")


def _c(block: str, width: int) -> Mixed:
    wide, tall = (1, 7), (7, 1)
    return Mixed((
        _row(block, ("branch1x1", 192, 1)),
        _row(block, ("branch7x7_1", width, 1), ("branch7x7_2", width, wide), ("branch7x7_3", 192, tall)),
        _row(block, ("branch7x7dbl_1", width, 1), ("branch7x7dbl_2", width, tall), ("branch7x7dbl_3", width, wide),
             ("branch7x7dbl_4", width, tall), ("branch7x7dbl_5", 192, wide)),
    ), "mean", _row(block, ("branch_pool", 192, 1)))


def _d(block: str) -> Mixed:
    return Mixed((
        _row(block, ("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)),
        _row(block, ("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1)),
             ("branch7x7x3_4", 192, 3, 2)),
    ), "shrink")


def _e(block: str, pool: Literal["mean", "max"]) -> Mixed:
    fork = lambda name: (_row(block, (f"{name}a", 384, (1, 3))), _row(block, (f"{name}b", 384, (3, 1))))
    doubled = _row(block, ("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3))
    return Mixed((
        _row(block, ("branch1x1", 320, 1)),
        Branch(_row(block, ("branch3x3_1", 384, 1)).layers, fork("branch3x3_2")),
        Branch(doubled.layers, fork("branch3x3dbl_3")),
    ), pool, _row(block, ("branch_pool", 192, 1)))
