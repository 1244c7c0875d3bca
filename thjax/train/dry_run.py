"""`--dry_run`: what a run would be, before it costs anything."""

import json
from collections.abc import Iterator

import jax
import numpy as np

from thjax import systems
from thjax.checkpoint.load import abstract_state
from thjax.engine import TrainState
from thjax.parallel import Executor, bytes_per_device, compile_step, parts_of_batch
from thjax.train.run import Run

MEBI = 2**20


def describe(run: Run) -> Iterator[str]:
    """Yields the resolved config and, for every stage, its epochs, networks and memory.

    Runs no step. The peak of a step comes last, because it takes compiling.
    """
    yield f"config\n{json.dumps(run.values(), indent=2)}"
    prepared = []
    for stage, limits, loader in zip(run.stages, run.limits, run.loaders, strict=True):
        state = abstract_state(run.system, run.config, stage.name)
        batch = {
            name: jax.ShapeDtypeStruct((stage.data.batch, *value.shape[1:]), value.dtype)
            for name, value in loader.batch_at(0).items()
        }
        executor = compile_step(stage, run.config.parallel, run.config.guard, run.config.accumulate, run.mesh,
                                systems.logical_axes(run.config.system))
        prepared.append((stage, executor, state, batch))
        patience = limits.patience_steps
        until = f", or {patience} steps without a better {stage.until.patience.metric}" if patience else ""
        devices = f"{run.mesh.size} {jax.default_backend()} device{'s' if run.mesh.size > 1 else ''}"
        yield f"\nstage {stage.name}: {limits.steps} steps{until}"
        yield f"  batches per epoch  {limits.batches_per_epoch}"
        yield f"  batch              {stage.data.batch} clips of {loader.length} frames on {devices}"
        yield f"  executor           {run.config.parallel.executor}"
        yield "  parameters"
        yield from _networks(state, stage.trained)
        yield "  memory per device"
        yield from _memory(executor, state, batch)
    yield "\nmemory of a compiled step per device, at its peak"
    for stage, executor, state, batch in prepared:
        yield f"  {stage.name:20} {_peak(run, executor, state, batch)}"


def _networks(state: TrainState, trained: tuple[str, ...]) -> list[str]:
    width = max(map(len, state.nets), default=0)
    rows = [
        f"    {name:{width}}  {count(net.params):>12,}{'' if name in trained else '  frozen'}"
        for name, net in state.nets.items()
    ]
    return [*rows, f"    {'all':{width}}  {sum(count(net.params) for net in state.nets.values()):>12,}"]


def _memory(executor: Executor, state: TrainState, batch) -> list[str]:
    """Bytes of a device's share of the state and of the batch."""
    placed = executor.state_shardings(state)
    of_nets = lambda part: sum(bytes_per_device(getattr(net, part), getattr(placed.nets[name], part))
                               for name, net in state.nets.items())
    rows = {
        "parameters": of_nets("params"),
        "variables": of_nets("variables"),
        "averaged parameters": bytes_per_device(state.ema, placed.ema),
        "optimizers": of_nets("opt_state"),
        "batch": size(batch) // parts_of_batch(executor.mesh),
    }
    return [f"    {name:20} {value / MEBI:10.1f} MiB" for name, value in rows.items()]


def _peak(run: Run, executor: Executor, state: TrainState, batch) -> str:
    """What the compiled step needs at its peak, arguments included."""
    analysis = executor.lower(state, batch, jax.eval_shape(lambda: run.key)).compile().memory_analysis()
    if analysis is None:
        return "this backend does not say"
    held = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return f"{(held + analysis.temp_size_in_bytes) / MEBI:10.1f} MiB"


def count(tree) -> int:
    """Numbers in a tree of arrays or shapes."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def size(tree) -> int:
    """Bytes of a tree of arrays or shapes."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
