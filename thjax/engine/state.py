"""What a step carries: networks, counters, averaged weights, the guard's memory."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import struct

Batch = Mapping[str, jax.Array]
Params = Any
Variables = Any


class NetState(struct.PyTreeNode):
    """A network: what is trained, frozen and saved as one.

    Attributes:
        params: trained by gradients.
        opt_state: of the network's one optax chain; `()` where the current stage freezes it.
        variables: everything else, written without gradients: batch statistics, memory slots.
    """

    params: Params
    opt_state: Any = ()
    variables: Variables = struct.field(default_factory=dict)


class TrainState(struct.PyTreeNode):
    """Everything a checkpoint restores to continue bit for bit.

    Attributes:
        step: int32, steps of the run.
        stage_step: int32, steps of the current stage; the data position is `stage_step * batch`.
        nets: networks of the current stage only, trained and frozen.
        ema: averaged parameters of the networks the stage asks for.
        ema_updates: {net: int32}, updates each average has seen; survives the border between stages.
        guard: see thjax/engine/guard.py.
    """

    step: jax.Array
    stage_step: jax.Array
    nets: dict[str, NetState]
    ema: dict[str, Params]
    ema_updates: dict[str, jax.Array]
    guard: Any


class Metrics(struct.PyTreeNode):
    """What a step reports.

    Attributes:
        scalars: {name: scalar}, equal on every device. An idle phase reports NaN, which writers drop.
        per_example: {name: [b]}, sharded as the batch, so that a bad clip can be named.
    """

    scalars: dict[str, jax.Array]
    per_example: dict[str, jax.Array]


class Aux(struct.PyTreeNode):
    """What a loss returns beside its value.

    Attributes:
        metrics: {name: scalar}, already reduced by the context.
        variables: {net: new variables}, only for networks that this phase trains.
        per_example: {name: [b]}.
    """

    metrics: dict[str, jax.Array] = struct.field(default_factory=dict)
    variables: dict[str, Variables] = struct.field(default_factory=dict)
    per_example: dict[str, jax.Array] = struct.field(default_factory=dict)


def params_of(nets: Mapping[str, NetState], names) -> dict[str, Params]:
    """{name: parameters} of the named networks."""
    return {name: nets[name].params for name in names}
