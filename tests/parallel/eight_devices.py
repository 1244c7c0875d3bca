"""Executors on eight devices by DESIGN's rule. Run by test_executors.py in processes of their own, f32 and f64."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from tests.engine.compare import assert_float32_close, assert_float64_close, assert_same_bits
from tests.engine.toy_gan import toy_gan
from tests.engine.toys import toy_batch, two_stages
from thjax.core.config import ParallelConfig
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import enter_stage, with_accumulation
from thjax.parallel import AxisContext, compile_cost, compile_evaluate, compile_step, make_mesh

KEY = jax.random.key(11)
X64 = jax.config.jax_enable_x64
EXECUTORS = ["jit", "shard_map", "pmap"]
NORMS = ["batch", "paper_batch"] if X64 else ["batch"]
STEPS = 2
in_float64_only = pytest.mark.skipif(not X64, reason="float32 adds nothing")


def assert_close(a, b):
    (assert_float64_close if X64 else assert_float32_close)(a, b)


@functools.cache
def fresh(norm):
    """The toy GAN's first state, on the host."""
    system = toy_gan(norm=norm)
    return jax.tree.map(np.asarray, enter_stage(system.networks, system.stages[0], None, KEY))


@functools.cache
def trained(norm, executor, devices, accumulate=1):
    """(state, metrics) of a few steps of the toy GAN, all from one compilation."""
    system = toy_gan(norm=norm)
    stage = with_accumulation(system.stages[0], accumulate)
    compiled = compile_step(stage, ParallelConfig(executor, devices), accumulate=accumulate)
    start = fresh(norm)
    nets = {name: start.nets[name].replace(opt_state=trained.optimizer.init(start.nets[name].params))
            for name, trained in stage.trains.items()}
    first = state = compiled.place_state(start.replace(nets=nets))
    for number in range(STEPS * accumulate):
        batch = compiled.place_batch(toy_batch(stage.data, number * stage.data.batch))
        state, metrics = compiled.step(state, batch, KEY)
        assert {leaf.is_deleted() for leaf in jax.tree.leaves(first)} == {True}  # the old state was given away
    assert compiled.compilations == 1
    return state, metrics


def floating(state):
    """What training made of a state; the guard's memory is f32 by design."""
    return state.nets, state.ema


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("norm", NORMS)
def test_eight_devices_equal_one(norm, executor):
    """Gradients of plain SGD over norms, dropout, noise and masks; paper_batch groups span two devices each."""
    state, metrics = trained(norm, executor, 8)
    expected, expected_metrics = trained(norm, "jit", 1)
    assert_close(floating(state), floating(expected))
    assert_close(metrics, expected_metrics)
    assert bool(metrics.scalars["kept"])
    assert metrics.per_example["l1"].shape == (16,)
    if X64:
        assert {leaf.dtype for leaf in jax.tree.leaves(floating(state))} == {jnp.dtype("float64")}


@pytest.mark.parametrize("norm", NORMS)
def test_shard_map_equals_pmap_to_the_bit(norm):
    assert_same_bits(trained(norm, "shard_map", 8), trained(norm, "pmap", 8))


@in_float64_only
def test_norms_over_the_batch_and_over_groups_differ():
    """The toy would hide a group norm that reduces over everything."""
    a, b = (trained(norm, "jit", 1)[0].nets["generator"].params for norm in ("batch", "paper_batch"))
    with pytest.raises(AssertionError):
        assert_close(a, b)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_guard_halts_on_every_device_and_names_the_clip_in_global_order(executor):
    system = two_stages(batch=16)
    stage = system.stages[0]
    compiled = compile_step(stage, ParallelConfig(executor))
    start = jax.tree.map(np.asarray, enter_stage(system.networks, stage, None, KEY))
    state = compiled.place_state(start)
    batch = toy_batch(stage.data)
    batch["pose"][13, 0, 1] = np.nan
    after, metrics = compiled.step(state, compiled.place_batch(batch), KEY)
    assert_same_bits((after.nets, after.ema), (start.nets, start.ema))
    assert bool(after.guard.halted) and int(metrics.scalars["bad_steps"]) == 1
    assert np.flatnonzero(~np.asarray(metrics.per_example["inputs_finite"])).tolist() == [13]


@pytest.mark.parametrize("rows, group", [(4, 2), (2, 4), (2, 16), (3, 4), (3, 8), (1, 2)])
def test_group_sums_and_their_gradients(rows, group):
    """Groups within a device, over several, over all, and beginning in the middle of one."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8 * rows, 3)))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(8 * rows, 3)))
    expected = np.repeat(np.asarray(x).reshape(-1, group, 3).sum(1), group, axis=0)

    def loss(x, weights, ctx):
        sums = ctx.group_sum(x, group)
        return ctx.psum((jnp.sin(sums) * weights).sum()), sums

    def body(x, weights):
        ctx = AxisContext("data", 8)
        gradient, sums = jax.grad(loss, has_aux=True)(x, weights, ctx)
        return sums, gradient / ctx.size  # each device's own rows: a psum of the loss transposes to a psum

    by_row = PartitionSpec("data")
    spread = jax.shard_map(
        body, mesh=make_mesh(), in_specs=(by_row, by_row), out_specs=(by_row, by_row), check_vma=False
    )
    sums, gradient = jax.jit(spread)(x, weights)
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-6)
    whole, _ = jax.grad(loss, has_aux=True)(x, weights, Context())
    np.testing.assert_allclose(gradient, whole, rtol=1e-4, atol=1e-5)


def test_a_group_that_does_not_divide_the_batch_is_named():
    spread = jax.shard_map(
        lambda x: AxisContext("data", 8).group_sum(x, 5),
        mesh=make_mesh(), in_specs=PartitionSpec("data"), out_specs=PartitionSpec("data"), check_vma=False,
    )
    with pytest.raises(ValueError, match="groups of 5 examples do not divide 16 examples; use a batch that is"):
        spread(jnp.ones((16, 2)))


@in_float64_only
def test_accumulation_on_eight_devices():
    """Four micro-steps, two updates, as on one device."""
    state, _ = trained("batch", "shard_map", 8, 2)
    expected, _ = trained("batch", "jit", 1, 2)
    assert_close(floating(state), floating(expected))
    assert int(state.step) == 4 and int(state.ema_updates["generator"]) == 2


@pytest.mark.parametrize("rows", [16, 6])
def test_evaluators_take_any_executors_state_and_any_number_of_rows(rows):
    system = two_stages()
    stage = system.stages[1]
    start = enter_stage(system.networks, system.stages[0], None, KEY)
    state = jax.tree.map(np.asarray, enter_stage(system.networks, stage, start, KEY))
    evaluate = compile_evaluate(system.evaluators["paint"])
    batch = toy_batch(stage.data, rows=rows)
    expected = system.evaluators["paint"](state.nets, batch, Rngs(KEY, batch["example_id"]), Context())
    for executor in EXECUTORS:
        compiled = compile_step(stage, ParallelConfig(executor))
        state_there = compiled.place_state(state)
        state_there, _ = compiled.step(state_there, compiled.place_batch(toy_batch(stage.data)), KEY)
        moved = evaluate(state_there.nets, batch, KEY)
        result = evaluate(compiled.place_state(state).nets, batch, KEY)
        assert_close(dict(result.per_example), dict(expected.per_example))
        assert result.frames.shape == (rows, 4, 6, 4, 3) and result.frames.is_fully_replicated
        assert not np.allclose(moved.per_example["error"], result.per_example["error"])
    assert evaluate.compilations == 1


@in_float64_only
def test_recomputation_is_chosen_by_the_config():
    system = toy_gan()
    (stage,) = system.stages
    state = jax.eval_shape(lambda key: enter_stage(system.networks, stage, None, key), KEY)
    batch = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in toy_batch(stage.data).items()}
    flops = {}
    for remat in ("none", "all", "convolved"):
        lowered = compile_step(stage, ParallelConfig(remat=remat)).lower(state, batch, KEY)
        flops[remat] = lowered.cost_analysis()["flops"]
    assert flops["none"] < flops["convolved"] < flops["all"]
    with pytest.raises(ValueError, match="which no network names"):
        compile_step(stage, ParallelConfig(remat="convolved, typo")).lower(state, batch, KEY)


@in_float64_only
@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_cost_of_a_step_is_known_without_running_it(executor):
    system = two_stages(batch=16)
    stage = system.stages[0]
    state = jax.eval_shape(lambda key: enter_stage(system.networks, stage, None, key), KEY)
    batch = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in toy_batch(stage.data).items()}
    cost = compile_cost(compile_step(stage, ParallelConfig(executor)), state, batch, KEY)
    here = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
    rows = sum(np.prod(x.shape) * x.dtype.itemsize for x in batch.values()) // 8
    assert abs(cost.argument_bytes - here - rows) < 100  # arguments that a step never reads are left out
    assert cost.peak_bytes >= cost.argument_bytes and cost.flops > 0
    assert cost.collectives.get("all-reduce", 0) >= 1


def test_the_batch_of_a_stage_is_checked():
    stage = two_stages().stages[0]
    odd = dataclasses.replace(stage, data=dataclasses.replace(stage.data, batch=30))
    with pytest.raises(ValueError, match="batch_size 30 does not divide over 8 devices; use 24 or 32"):
        compile_step(odd)
