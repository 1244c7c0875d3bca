"""Toy systems on eight devices. Run by test_five_shapes.py in processes of their own, in float32 and in float64."""

import jax
import numpy as np
import pytest

from tests.engine import toys
from tests.engine.compare import assert_float32_close, assert_float64_close, assert_same_bits
from thjax.core.config import ParallelConfig
from thjax.engine import enter_stage
from thjax.parallel import compile_step

KEY = jax.random.key(7)


def run(system, executor, devices, steps=3, shuffle=False):
    (stage,) = system.stages
    compiled = compile_step(stage, ParallelConfig(executor, devices))
    state = compiled.place_state(enter_stage(system.networks, stage, None, KEY))
    for number in range(steps):
        batch = toys.toy_batch(stage.data, number * stage.data.batch)
        if shuffle:
            order = np.random.default_rng(1).permutation(stage.data.batch)
            batch = {name: x[order] for name, x in batch.items()}
        state, metrics = compiled.step(state, compiled.place_batch(batch), KEY)
    assert compiled.compilations == 1
    return state, metrics


@pytest.fixture(scope="module")
def one_device():
    return {make: run(make(), "jit", 1) for make in (toys.memory, toys.dice)}


def assert_close(a, b):
    if jax.config.jax_enable_x64:
        assert_float64_close(a, b)
    else:
        assert_float32_close(a, b)


@pytest.mark.parametrize("executor", ["jit", "shard_map", "pmap"])
def test_the_memory_holds_the_same_bits_whatever_the_order_of_rows(executor, one_device):
    expected, _ = one_device[toys.memory]
    state, _ = run(toys.memory(), executor, 8, shuffle=True)
    assert_same_bits(state.nets["memory"], expected.nets["memory"])
    assert_close(state.nets["reader"], expected.nets["reader"])


@pytest.mark.parametrize("executor", ["jit", "shard_map", "pmap"])
def test_masked_means_and_the_dice_of_the_batch(executor, one_device):
    expected, expected_metrics = one_device[toys.dice]
    state, metrics = run(toys.dice(), executor, 8)
    assert_close(state.nets, expected.nets)
    assert_close(metrics, expected_metrics)


def test_shard_map_and_pmap_agree_to_the_bit():
    assert_same_bits(run(toys.dice(), "shard_map", 8), run(toys.dice(), "pmap", 8))
