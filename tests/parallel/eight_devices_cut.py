"""A mapper whose state is cut along named axes, on eight devices. Run by test_executors.py in float64."""

import jax
import numpy as np
import pytest

from tests.engine.compare import assert_float64_close
from tests.parallel.stages import wide
from tests.systems.dirfa_narrow import KEY, built, make_batch, narrow
from thjax import systems
from thjax.core.config import ParallelConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import enter_stage
from thjax.parallel import bytes_per_device, compile_step, make_mesh
from thjax.parallel.sharding import spec_of
from thjax.systems.dirfa.config import FIELDS
from thjax.systems.dirfa.sharding import AXES

STEPS = 2
CUTS = {"fsdp": (8, 1), "both": (2, 2)}
"""{name: (fsdp, tensor)}; what is left of eight devices holds copies."""
BATCH = 8
CONFIG = narrow(mapper=dict(width=32, heads=4),
                data=DataSpec(fields=FIELDS, window=8, batch=BATCH, crop=CropSpec("none", 16, 16)))


def train(config: ParallelConfig):
    """(executor, state before, state after two steps, metrics)."""
    system = built(CONFIG)
    stage = system.stages[0]
    entered = jax.jit(lambda key: enter_stage(system.networks, stage, None, key))(KEY)
    start = jax.tree.map(wide, entered)
    executor = compile_step(stage, config, axes=systems.logical_axes("dirfa"))
    state = executor.place_state(start)
    for number in range(STEPS):
        batch = make_batch(CONFIG, number)
        state, metrics = executor.step(state, executor.place_batch(batch), KEY)
    return executor, start, state, metrics


@pytest.fixture(scope="module")
def alone():
    _, start, state, metrics = train(ParallelConfig(devices=1))
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), start.nets, jax.device_get(state.nets))
    assert moved["mapper"].params["say"]["kernel"] > 0
    return state, metrics


@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_state_learns_what_a_whole_one_does(cut, alone):
    fsdp, tensor = CUTS[cut]
    executor, start, state, metrics = train(ParallelConfig(fsdp=fsdp, tensor=tensor))
    assert executor.compilations == 1
    assert_float64_close(jax.device_get((state.nets, state.ema)), jax.device_get((alone[0].nets, alone[0].ema)))
    assert_float64_close(jax.device_get(metrics.scalars), jax.device_get(alone[1].scalars))
    assert_float64_close(jax.device_get(metrics.per_example), jax.device_get(alone[1].per_example))

    kernel = state.nets["mapper"].params["blocks_0"]["widen"]["kernel"]
    assert kernel.addressable_shards[0].data.shape == (32 // fsdp, 128 // tensor)  # still cut after the steps
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(start.nets))
    held = bytes_per_device(start.nets, executor.state_shardings(start).nets)
    assert held < 0.5 * whole  # moments are cut like their parameters
    held_in_truth = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state.nets))
    assert held_in_truth == held


def test_axes_that_do_not_divide_stay_whole_and_wrong_names_are_named():
    mesh = make_mesh(8, fsdp=2, tensor=4)
    path = "nets/mapper/opt_state/0/mu/params/blocks_1/attention/qkv/kernel"
    assert tuple(spec_of(path, (24, 72), AXES, mesh)) == ("fsdp", "tensor")
    assert tuple(spec_of(path, (25, 70), AXES, mesh)) == (None, None)
    assert tuple(spec_of("nets/mapper/params/params/norm/scale", (24,), AXES, mesh)) == ()
    with pytest.raises(ValueError, match=r"'a/kernel' names 1 axes .* x/a/kernel has shape \[2, 2\]"):
        spec_of("x/a/kernel", (2, 2), {"a/kernel": ("embed",)}, mesh)
    with pytest.raises(ValueError, match="axis 'width' of a parameter is unknown; there are embed, heads"):
        spec_of("x/a/kernel", (2,), {"a/kernel": ("width",)}, mesh)


def test_a_system_without_names_is_not_cut_in_silence():
    system = built(CONFIG)
    executor = compile_step(system.stages[0], ParallelConfig(fsdp=2), axes={})
    with pytest.raises(ValueError, match="parallel.fsdp 2 and parallel.tensor 1 cut nothing: the system names no axes"):
        executor.place_state(enter_stage(system.networks, system.stages[0], None, KEY))
    with pytest.raises(ValueError, match="parallel.fsdp 3 times parallel.tensor 1 must divide the 8 devices"):
        make_mesh(8, fsdp=3)
