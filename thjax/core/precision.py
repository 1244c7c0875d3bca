"""Mixed precision as a policy: parameters, optimizer state, statistics and losses stay float32."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

Precision = Literal["f32", "bf16"]


@dataclasses.dataclass(frozen=True)
class Policy:
    """Data types of a run.

    Attributes:
        params: parameters, gradients, optimizer state, EMA, batch statistics, and every loss and reduction.
        compute: inputs and outputs of convolutions, dense and recurrent layers.
    """

    params: jnp.dtype = jnp.float32
    compute: jnp.dtype = jnp.float32


def policy(name: Precision) -> Policy:
    """The policy of a config's `precision`; under `jax_enable_x64` float32 reads as float64, for equality tests."""
    wide = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
    if name == "f32":
        return Policy(params=wide, compute=wide)
    if name == "bf16":
        return Policy(params=jnp.float32, compute=jnp.bfloat16)
    raise ValueError(f"precision {name!r} is unknown; use 'f32' or 'bf16'")
