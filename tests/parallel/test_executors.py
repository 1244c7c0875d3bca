"""Executors, contexts and evaluators on eight simulated devices, and their errors."""

import jax
import pytest

from tests.engine.toys import three_rates
from tests.multi_device import run_tests
from thjax.core.config import ParallelConfig
from thjax.parallel import aot, check_batch, compile_step, make_mesh


@pytest.mark.thorough
@pytest.mark.multi_process
def test_executors_agree_in_float32():
    assert run_tests("tests/parallel/eight_devices.py", quick=True) == 6


@pytest.mark.multi_process
def test_executors_agree_in_float64():
    assert run_tests("tests/parallel/eight_devices.py", x64=True, quick=True) == 0


@pytest.mark.thorough
@pytest.mark.multi_process
def test_executors_agree_on_a_real_topology_made_narrow():
    assert run_tests("tests/parallel/eight_devices_real.py", x64=True, quick=True) == 0


@pytest.mark.thorough
@pytest.mark.multi_process
def test_executors_agree_on_a_generator_with_all_its_losses():
    assert run_tests("tests/parallel/eight_devices_generator.py", x64=True, quick=True) == 0


@pytest.mark.thorough
@pytest.mark.multi_process
def test_states_that_are_cut_learn_what_whole_ones_do():
    assert run_tests("tests/parallel/eight_devices_cut.py", x64=True, quick=True) == 0


@pytest.mark.parametrize(
    "batch, message",
    [
        (30, "batch_size 30 does not divide over 8 devices; use 24 or 32"),
        (9, "batch_size 9 does not divide over 8 devices; use 8 or 16"),
        (3, "batch_size 3 does not divide over 8 devices; use 8, or parallel.devices 3 or fewer"),
    ],
)
def test_a_batch_that_does_not_divide_is_named_with_the_nearest_that_do(batch, message):
    with pytest.raises(ValueError) as caught:
        check_batch(batch, 8)
    assert str(caught.value) == message
    assert check_batch(32, 8) == 4


def test_unknown_choices_are_named():
    (stage,) = three_rates().stages
    with pytest.raises(ValueError, match=r"parallel.executor 'xmap' is unknown; use jit \| shard_map \| pmap"):
        compile_step(stage, ParallelConfig("xmap", devices=1))
    with pytest.raises(ValueError, match="parallel.fsdp 2 needs parallel.executor jit; pmap holds the whole state"):
        ParallelConfig("pmap", fsdp=2)
    there = jax.device_count()
    with pytest.raises(ValueError, match=f"parallel.devices {there + 1}: there are {there}"):
        make_mesh(there + 1)


def test_a_topology_that_cannot_be_described_says_what_is_needed():
    with pytest.raises(RuntimeError, match=r"pip install 'thjax\[tpu\]'"):
        aot.topology_mesh("no such topology")
