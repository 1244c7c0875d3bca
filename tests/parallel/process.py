"""One of several processes that train together: python -m tests.parallel.process COORDINATOR PROCESSES INDEX OUT.npz

Trains toys under every executor and writes the networks' numbers; one process alone uses all devices itself.
"""

import sys

import jax
import numpy as np

from tests.engine import toys
from tests.engine.compare import leaves
from thjax.core.config import ParallelConfig
from thjax.engine import enter_stage
from thjax.parallel import compile_evaluate, compile_step


def train(system, executor: str, key, steps: int = 2):
    """(state, metrics): this process feeds its contiguous rows of every batch."""
    stage = system.stages[-1]
    compiled = compile_step(stage, ParallelConfig(executor))
    state = None
    for entered in system.stages:
        state = enter_stage(system.networks, entered, state, key)
    state = compiled.place_state(jax.tree.map(np.asarray, state))
    rows = stage.data.batch // jax.process_count()
    for number in range(steps):
        position = number * stage.data.batch + jax.process_index() * rows
        local = toys.toy_batch(stage.data, position, rows)
        state, metrics = compiled.step(state, compiled.place_batch(local), key)
    assert compiled.compilations == 1
    assert jax.process_count() == 1 or not jax.tree.leaves(metrics.per_example)[0].is_fully_addressable
    return state, metrics


def main():
    coordinator, processes, index, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(coordinator, processes, index)
    assert jax.device_count() == 4 and jax.local_device_count() == 4 // processes
    numbers, key = {}, jax.random.key(7)
    for executor in ("jit", "shard_map", "pmap"):
        for make in (toys.two_stages, toys.memory):
            system = make(batch=8)
            state, metrics = train(system, executor, key)
            found = {"nets": state.nets, "scalars": metrics.scalars}
            if system.evaluators:  # five rows do not divide over four devices
                batch = toys.toy_batch(system.stages[-1].data, rows=5)
                result = compile_evaluate(system.evaluators["paint"])(state.nets, batch, key)
                found["evaluation"] = dict(result.per_example)
            numbers |= {f"{executor} {make.__name__} {name}": x for name, x in leaves(found).items()}
    np.savez(out, **numbers)


if __name__ == "__main__":
    main()
