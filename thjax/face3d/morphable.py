"""Linear morphable model: shape = mean + identity + expression (Blanz and Vetter 1999; Paysan et al. 2009)."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """A linear model of N vertices (or of N texels, with colours in place of coordinates).

    Attributes:
        mean: `[N, 3]`.
        identity: `[I, N, 3]`, what one unit of each identity coefficient adds.
        expression: `[E, N, 3]`, what one unit of each expression coefficient adds.
    """

    mean: Any
    identity: Any
    expression: Any

    def __post_init__(self):
        for name in ("identity", "expression"):
            shape = getattr(self, name).shape
            if len(shape) != 3 or shape[1:] != self.mean.shape:
                raise ValueError(f"LinearModel.{name} has shape {shape}, must be (any, *{self.mean.shape}) as the mean")

    def neutral(self, identity):
        """Shapes without expression: `[..., I]` -> `[..., N, 3]`."""
        return self.mean + _combine(identity, self.identity)

    def shape(self, identity, expression):
        """Shapes of identity `[..., I]` with expression `[..., E]` (leading axes broadcast) -> `[..., N, 3]`."""
        return self.neutral(identity) + _combine(expression, self.expression)


def _combine(coefficients, basis):
    if coefficients.shape[-1] != basis.shape[0]:
        raise ValueError(f"{coefficients.shape[-1]} coefficients given, the basis has {basis.shape[0]}")
    space = coefficients.__array_namespace__()
    return space.tensordot(coefficients, basis, axes=1)
