"""Compiling a step for a TPU that is not there: does it fit, what does it cost."""

import dataclasses

import jax
from jax.sharding import Mesh

from thjax.core.config import RunConfig
from thjax.engine import Stage, System, enter_stage, init_network, with_accumulation
from thjax.engine.state import Batch, TrainState
from thjax.parallel.executors import Executor, compile_step
from thjax.parallel.mesh import make_mesh
from thjax.parallel.sharding import LogicalAxes


@dataclasses.dataclass(frozen=True)
class CompiledCost:
    """What the compiler says of a step, per device.

    Attributes:
        peak_bytes: arguments, results and temporaries, buffers shared by donation counted once.
        argument_bytes: state and batch.
        temporary_bytes: activations and scratch.
        flops: floating-point operations of a step; loops are counted once, so this is a lower bound.
        collectives: {name: how often it occurs in the program}.
    """

    peak_bytes: int
    argument_bytes: int
    temporary_bytes: int
    flops: float
    collectives: dict[str, int]


COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "collective-permute", "all-to-all")


def topology_mesh(topology: str, fsdp: int = 1, tensor: int = 1) -> Mesh:
    """The mesh of a TPU topology by name, e.g. "v5e:2x2"; needs the extra `tpu` but no TPU. See `make_mesh`.

    Raises:
        RuntimeError: libtpu is absent, or knows no such topology.
    """
    from jax.experimental import topologies

    try:
        described = topologies.get_topology_desc(topology_name=topology, platform="tpu")
    except RuntimeError as error:  # of jax without libtpu, and of libtpu for a name
        raise RuntimeError(
            f"topology {topology!r} cannot be described: {error}. Compiling for TPU without one needs libtpu "
            "(pip install 'thjax[tpu]') and a name like 'v5e:2x2' or 'v4:2x2x1'"
        ) from error
    return make_mesh(described.devices, fsdp, tensor)


def compile_cost(executor: Executor, state: TrainState, batch: Batch, key: jax.Array) -> CompiledCost:
    """Compiles a step for the executor's mesh and reports what the compiler says.

    Args:
        executor: from `compile_step`, on real devices or on `topology_mesh`.
        state, batch, key: arrays or `jax.ShapeDtypeStruct`s of global shape, e.g. of `jax.eval_shape`.
    """
    compiled = executor.lower(state, batch, key).compile()
    memory = compiled.memory_analysis()
    text = compiled.as_text()
    outputs = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return CompiledCost(
        peak_bytes=memory.argument_size_in_bytes + outputs + memory.temp_size_in_bytes,
        argument_bytes=memory.argument_size_in_bytes,
        temporary_bytes=memory.temp_size_in_bytes,
        flops=float((compiled.cost_analysis() or {}).get("flops", 0.0)),
        collectives={name: count for name in COLLECTIVES if (count := text.count(f" {name}("))},
    )


def compile_for(topology: str, system: System, stage: Stage, config: RunConfig, batch: Batch,
                axes: LogicalAxes | None = None) -> CompiledCost:
    """Compiles a system's stage for a TPU topology that is not there.

    Args:
        topology: name, see `topology_mesh`.
        system: whose stage is compiled.
        stage: one of its stages.
        config: of the run: guard, accumulation, executor (pmap cannot be compiled ahead).
        batch: {field: jax.ShapeDtypeStruct [B, ...]} of the stage.
        axes: of the parameters, see `compile_step`.
    """
    held = with_accumulation(stage, config.accumulate)
    mesh = topology_mesh(topology, config.parallel.fsdp, config.parallel.tensor)
    executor = compile_step(held, config.parallel, config.guard, config.accumulate, mesh, axes)
    key, networks = jax.random.key(config.seed), system.networks

    def enter(key):
        fresh = {name: init_network(networks[name], name, key) for name in stage.init}
        sources = {name: dataclasses.replace(source, kind="weights") for name, source in stage.init.items()}
        return enter_stage(networks, dataclasses.replace(held, init=sources), None, key, fresh)

    return compile_cost(executor, jax.eval_shape(enter, key), batch, key)
