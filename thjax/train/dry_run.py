"""`--dry_run`: what a run would be, before it costs anything."""

import json

import jax
import numpy as np

from thjax.checkpoint.load import abstract_state
from thjax.engine import TrainState
from thjax.parallel import compile_step
from thjax.train.run import Run

MEBI = 2**20


def describe(run: Run) -> str:
    """The resolved config, and for every stage its networks, memory and epochs. Compiles the steps, runs none."""
    parts = ["config", json.dumps(run.values(), indent=2)]
    for stage, limits, loader in zip(run.stages, run.limits, run.loaders, strict=True):
        state = abstract_state(run.system, run.config, stage.name)
        batch = loader.batch_at(0)
        shapes = {
            name: jax.ShapeDtypeStruct((stage.data.batch, *value.shape[1:]), value.dtype)
            for name, value in batch.items()
        }
        patience = (
            ""
            if limits.patience_steps is None
            else (f", at the latest {limits.patience_steps} steps after the best {stage.until.patience.metric}")
        )
        parts += [
            "",
            f"stage {stage.name}: {limits.steps} steps{patience}",
            f"  batches per epoch  {limits.batches_per_epoch}",
            f"  batch              {stage.data.batch} clips of {loader.length} frames on {run.mesh.size} "
            f"{jax.default_backend()} device(s), executor {run.config.parallel.executor}",
            "  parameters",
            *_networks(state, stage.trained),
            "  memory per device",
            *_memory(run, stage, state, shapes),
        ]
    return "\n".join(parts)


def _networks(state: TrainState, trained: tuple[str, ...]) -> list[str]:
    width = max(map(len, state.nets), default=0)
    rows = [
        f"    {name:{width}}  {count(net.params):>12,}{'' if name in trained else '  frozen'}"
        for name, net in state.nets.items()
    ]
    return [*rows, f"    {'all':{width}}  {sum(count(net.params) for net in state.nets.values()):>12,}"]


def _memory(run: Run, stage, state: TrainState, shapes) -> list[str]:
    """Bytes of what the state and a batch hold, and what the compiled step needs at its peak."""
    nets = state.nets.values()
    rows = {
        "parameters": size([net.params for net in nets]) + size([net.variables for net in nets]),
        "averaged parameters": size(state.ema),
        "optimizers": size([net.opt_state for net in nets]),
        "batch": size(shapes) // run.mesh.size,
    }
    executor = compile_step(stage, run.config.parallel, run.config.guard, run.config.accumulate, run.mesh)
    analysis = executor.lower(state, shapes, jax.eval_shape(lambda: run.key)).compile().memory_analysis()
    if analysis is not None:
        needed = analysis.argument_size_in_bytes + analysis.output_size_in_bytes - analysis.alias_size_in_bytes
        rows["compiled step, peak"] = needed + analysis.temp_size_in_bytes
    return [f"    {name:20} {value / MEBI:10.1f} MiB" for name, value in rows.items()]


def count(tree) -> int:
    """Numbers in a tree of arrays or shapes."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def size(tree) -> int:
    """Bytes of a tree of arrays or shapes."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
