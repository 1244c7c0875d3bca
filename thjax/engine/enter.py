"""`enter_stage`: creates, takes over, freezes and drops networks at the border between two stages."""

import dataclasses
from typing import Any, Mapping

import jax
import jax.numpy as jnp
import optax

from thjax.core.rngs import fold_in_name
from thjax.engine.guard import init_guard
from thjax.engine.stage import GradPhase, Stage
from thjax.engine.state import NetState, TrainState
from thjax.engine.system import Network


def with_accumulation(stage: Stage, accumulate: int) -> Stage:
    """The stage with every optimizer held back until `accumulate` micro-steps are averaged (optax.MultiSteps)."""
    if accumulate == 1:
        return stage

    def hold(trained):
        chain = optax.MultiSteps(trained.optimizer, every_k_schedule=accumulate).gradient_transformation()
        return dataclasses.replace(trained, optimizer=chain)

    phases = tuple(
        dataclasses.replace(phase, trains=tuple(map(hold, phase.trains))) if isinstance(phase, GradPhase) else phase
        for phase in stage.phases
    )
    return dataclasses.replace(stage, phases=phases)


def init_network(network: Network, name: str, key: jax.Array) -> NetState:
    """Fresh weights, which depend on the run's key and the network's name alone."""
    variables = dict(network.init(fold_in_name(key, name)))
    return NetState(params=variables.pop("params", {}), variables=variables)


def enter_stage(
    networks: Mapping[str, Network],
    stage: Stage,
    state: TrainState | None,
    key: jax.Array,
    donors: Mapping[str, NetState] | None = None,
    previous: Stage | None = None,
) -> TrainState:
    """The state with which a stage starts. Pure: donors were loaded by the caller.

    Args:
        networks: of the system.
        stage: the stage to enter.
        state: the state at the end of the stage before, or None at the start of a run.
        key: the key of the run.
        donors: {net: NetState} for networks whose source is a checkpoint or converted weights.
        previous: the stage that `state` comes from; a network keeps its optimizer state only while both stages
            train it with the very same optimizer object.

    Raises:
        ValueError: a source cannot be satisfied; names the network and what is missing.
    """
    donors = donors or {}
    nets = {}
    for name, source in stage.init.items():
        if name not in networks:
            raise ValueError(f"stage {stage.name!r} names network {name!r}; the system has {sorted(networks)}")
        if source.kind == "fresh":
            nets[name] = init_network(networks[name], name, key)
        elif source.kind == "previous":
            if state is None or name not in state.nets:
                have = [] if state is None else sorted(state.nets)
                raise ValueError(f"stage {stage.name!r} takes {name!r} from the stage before, which has {have}")
            nets[name] = state.nets[name]
        elif name in donors:
            nets[name] = donors[name]
        else:
            raise ValueError(f"stage {stage.name!r} takes {name!r} from {source.path!r}, which was not loaded")

    before = previous.optimizers if previous else {}
    for name, chain in stage.optimizers.items():
        kept = stage.init[name].kind == "previous" and before.get(name) is chain
        if not kept:
            nets[name] = nets[name].replace(opt_state=chain.init(nets[name].params))
    for name in nets.keys() - set(stage.optimizers):
        nets[name] = nets[name].replace(opt_state=())

    def averaged(name):
        taken = stage.init[name].kind == "previous" and state is not None and name in state.ema
        # A copy: the step donates params and ema, which must not share a buffer.
        return state.ema[name] if taken else jax.tree.map(jnp.copy, nets[name].params)

    ema: dict[str, Any] = {name: averaged(name) for name in stage.ema.nets}
    step = jnp.int32(0) if state is None else state.step
    return TrainState(step=step, stage_step=jnp.int32(0), nets=nets, ema=ema, guard=init_guard())
