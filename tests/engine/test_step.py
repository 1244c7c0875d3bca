"""The step: phases, turns, averages, accumulation, recomputation, and what the guard keeps whole."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.engine.compare import assert_float32_close, assert_same_bits
from tests.engine.toy_gan import toy_gan
from tests.engine.toys import three_rates, toy_batch, two_stages
from thjax.core.config import GuardConfig
from thjax.core.context import Context
from thjax.engine import Aux, Source, Trained, enter_stage, make_step, with_accumulation
from thjax.engine.guard import WARMUP_STEPS

KEY = jax.random.key(3)
QUICK = {"xla_backend_optimization_level": 0}  # compiles in half the time; what is computed is the same


def compiled(step):
    return jax.jit(step, compiler_options=QUICK)


def enter(system, accumulate=1):
    stage = with_accumulation(system.stages[0], accumulate)
    return stage, compiled(lambda key: enter_stage(system.networks, stage, None, key))(KEY)


@pytest.fixture(scope="module")
def gan():
    """(batch, start state, compiled step) of the plain toy GAN with Adam."""
    stage, state = enter(toy_gan(optimizer=optax.adam(1e-2)))
    return toy_batch(stage.data), state, compiled(make_step(stage, Context()))


@pytest.fixture(scope="module")
def skipping():
    """The compiled step of the same GAN under `on_bad="skip"`."""
    stage, _ = enter(toy_gan(optimizer=optax.adam(1e-2)))
    return compiled(make_step(stage, Context(), GuardConfig(on_bad="skip")))


def untouched(state):
    return state.nets, state.ema, state.ema_updates


def planted(state, net="generator"):
    """A NaN in one parameter."""
    params = jax.tree.map(jnp.array, state.nets[net].params)
    leaves, structure = jax.tree.flatten(params)
    leaves[0] = leaves[0].at[(0,) * leaves[0].ndim].set(jnp.nan)
    nets = dict(state.nets) | {net: state.nets[net].replace(params=jax.tree.unflatten(structure, leaves))}
    return state.replace(nets=nets)


@functools.cache
def first_step(**options):
    """(lowered step, metrics, state) of the first step of a GAN."""
    stage, state = enter(toy_gan(**options))
    lowered = compiled(make_step(stage, Context())).lower(state, toy_batch(stage.data), KEY)
    state, metrics = lowered.compile()(state, toy_batch(stage.data), KEY)
    return lowered, metrics, state


def test_sharing_one_forward_pass_equals_computing_it_twice_and_costs_less():
    shared, metrics, state = first_step()
    twice, other_metrics, other = first_step(recompute=True)
    assert_float32_close(state.nets, other.nets)
    assert_float32_close(metrics, other_metrics)
    assert shared.cost_analysis()["flops"] < 0.95 * twice.cost_analysis()["flops"]


def test_reads_start_differs_from_reads_updated_only_in_the_later_phase():
    updated, start = first_step()[2], first_step(reads="start")[2]
    assert_same_bits(updated.nets["discriminator"], start.nets["discriminator"])
    with pytest.raises(AssertionError):
        assert_same_bits(updated.nets["generator"].params, start.nets["generator"].params)


def test_a_phase_waits_for_its_turn_and_reports_nan_meanwhile():
    stage, state = enter(toy_gan(every=2))
    step = compiled(make_step(stage, Context()))
    batch = toy_batch(stage.data)
    first, metrics = step(state, batch, KEY)
    second, idle = step(first, batch, KEY)
    third, _ = step(second, batch, KEY)
    assert np.isfinite(metrics.scalars["discriminator_loss"]) and metrics.scalars["fooled"] >= 0
    assert np.isnan(idle.scalars["discriminator_loss"]) and np.isnan(idle.scalars["fooled"])
    assert np.isfinite(idle.scalars["generator_loss"]) and np.isfinite(idle.scalars["gradient_norm"])
    assert_same_bits(second.nets["discriminator"], first.nets["discriminator"])
    for a, b in ((state, first), (second, third)):
        with pytest.raises(AssertionError):
            assert_same_bits(a.nets["discriminator"].params, b.nets["discriminator"].params)
    assert np.asarray(third.guard.kept).tolist() == [2, 3]
    assert step._cache_size() == 1


def test_planted_nan_in_a_label_stops_the_run_names_the_clip_and_leaves_the_state_whole(gan):
    batch, start, step = gan
    state, _ = step(start, batch, KEY)
    bad = dict(batch, pose=batch["pose"].copy())
    clip = int(np.flatnonzero(batch["valid"][:, 0])[5])
    bad["pose"][clip, 0, 2] = np.nan
    after, metrics = step(state, bad, KEY)
    assert_same_bits(untouched(after), untouched(state))
    assert np.flatnonzero(~np.asarray(metrics.per_example["inputs_finite"])).tolist() == [clip]
    assert bool(metrics.scalars["halted"]) and not bool(metrics.scalars["kept"])
    assert int(metrics.scalars["bad_steps"]) == 1
    assert int(after.step) == int(state.step) + 1 and int(after.stage_step) == int(state.stage_step) + 1
    later, metrics = step(after, batch, KEY)  # metrics are read one step late: this step must change nothing either
    assert_same_bits(untouched(later), untouched(state))
    assert bool(metrics.scalars["halted"]) and int(metrics.scalars["bad_steps"]) == 1


@pytest.mark.parametrize("masked", [False, True])
def test_a_nan_in_a_label_that_no_loss_reads_stops_the_run_unless_its_frame_is_masked(gan, masked):
    batch, start, step = gan
    blink = np.zeros(batch["valid"].shape, np.float32)
    clip, frame = np.argwhere(batch["valid"] == (0 if masked else 1))[-1]
    blink[clip, frame] = np.nan
    _, metrics = step(start, dict(batch, blink=blink), KEY)
    assert bool(metrics.scalars["kept"]) == masked
    assert np.flatnonzero(~np.asarray(metrics.per_example["inputs_finite"])).tolist() == ([] if masked else [clip])


@pytest.mark.parametrize("net", ["generator", "discriminator"])
def test_planted_nan_in_a_parameter_stops_the_run_and_no_clip_is_to_blame(net, gan):
    batch, start, step = gan
    state = planted(step(start, batch, KEY)[0], net)
    after, metrics = step(state, batch, KEY)
    assert_same_bits(untouched(after), untouched(state))
    assert bool(metrics.scalars["halted"]) and np.asarray(metrics.per_example["inputs_finite"]).all()


def test_skip_goes_on_with_the_next_batch(gan, skipping):
    batch, start, _ = gan
    bad = dict(batch, pose=np.full_like(batch["pose"], np.inf))
    state, metrics = skipping(start, bad, KEY)
    assert_same_bits(untouched(state), untouched(start))
    assert not bool(metrics.scalars["halted"]) and int(metrics.scalars["bad_steps"]) == 1
    state, metrics = skipping(state, batch, KEY)
    assert bool(metrics.scalars["kept"]) and int(metrics.scalars["bad_steps"]) == 1
    with pytest.raises(AssertionError):
        assert_same_bits(state.nets["generator"].params, start.nets["generator"].params)


def test_spikes_are_skipped_counted_and_stop_the_run_after_some_in_a_row():
    stage, state = enter(three_rates())
    step = compiled(make_step(stage, Context(), GuardConfig(spike_factor=5.0, max_spikes=3)))
    calm = toy_batch(stage.data)
    wild = dict(calm, pose=calm["pose"] * 1000)
    state, metrics = step(state, wild, KEY)
    assert bool(metrics.scalars["kept"])  # nothing to compare with yet
    state, _ = enter(three_rates())[1], None
    for _ in range(WARMUP_STEPS):
        state, metrics = step(state, calm, KEY)
    assert int(metrics.scalars["spikes"]) == 0
    history = []
    for batch in (wild, wild, calm, wild, wild, wild, calm):
        before = state
        state, metrics = step(state, batch, KEY)
        history.append((bool(metrics.scalars["kept"]), int(metrics.scalars["spikes"]), bool(metrics.scalars["halted"])))
        if batch is wild:
            assert_same_bits(untouched(state), untouched(before))
    assert history == [
        (False, 1, False), (False, 2, False), (True, 2, False),
        (False, 3, False), (False, 4, False), (False, 5, True), (False, 5, True),
    ]


def test_a_spike_of_a_small_phase_is_seen_beside_a_large_one_and_idle_turns_do_not_confuse():
    """Each phase is compared with itself: the sum of both norms would hide the one and swing with the turns."""
    from thjax.engine.guard import init_guard, judge

    config, guard = GuardConfig(spike_factor=3.0), init_guard(2)
    for number in range(2 * WARMUP_STEPS):
        even = number % 2 == 0
        norms = jnp.array([100.0 if even else 0.0, 1.0])
        guard, keep = judge(guard, config, jnp.bool_(True), norms, jnp.array([even, True]))
        assert bool(keep)
    np.testing.assert_allclose(guard.norm_mean, [100.0, 1.0], rtol=1e-5)
    _, keep = judge(guard, config, jnp.bool_(True), jnp.array([100.0, 4.0]), jnp.array([True, True]))
    assert not bool(keep)


def test_the_average_follows_the_updates_and_survives_bad_steps(gan, skipping):
    batch, state, _ = gan
    expected = jax.tree.map(np.asarray, state.nets["generator"].params)
    bad = dict(batch, pose=np.full_like(batch["pose"], np.nan))
    n = 0
    for number in range(6):
        state, _ = skipping(state, bad if number == 3 else batch, KEY)
        if number != 3:
            n += 1
            decay = min(0.9, (1 + n) / (10 + n))
            now = state.nets["generator"].params
            expected = jax.tree.map(lambda old, new, d=decay: d * old + (1 - d) * np.asarray(new), expected, now)
    assert int(state.ema_updates["generator"]) == 5
    assert_float32_close(state.ema["generator"], expected)


def test_accumulation_equals_the_large_batch_with_batch_independent_norms_full_masks_and_reads_start():
    """Four updates on 16 examples, and eight micro-steps on 8: same noise, same dropout, same turns, same average."""
    states = []
    for accumulate in (1, 2):
        system = toy_gan(norm="group", reads="start", every=2, batch=16 // accumulate)
        stage, state = enter(system, accumulate)
        step = compiled(make_step(stage, Context(), accumulate=accumulate))
        for number in range(4 * accumulate):
            batch = toy_batch(stage.data, number * stage.data.batch)
            batch["valid"][:] = 1
            before = state
            state, _ = step(state, batch, KEY)
            if accumulate == 2 and number % 2 == 0:
                assert_same_bits(state.nets["generator"].params, before.nets["generator"].params)
                assert_same_bits(state.ema, before.ema)
        params = {name: net.params for name, net in state.nets.items()}
        states.append((params, state.ema, state.ema_updates))
    assert_float32_close(*states)


def test_mixed_precision_keeps_parameters_moments_averages_statistics_and_losses_in_float32(gan):
    lowered, metrics, state = first_step(precision="bf16", optimizer=optax.adam(1e-2))
    kept = (state.nets, state.ema, metrics.scalars, metrics.per_example)
    kinds = {leaf.dtype for leaf in jax.tree.leaves(kept)}
    assert kinds <= {jnp.dtype("float32"), jnp.dtype("int32"), jnp.dtype("bool")}
    assert "xbf16>" in lowered.as_text()  # the layers do compute in bfloat16
    batch, start, step = gan
    full = step(start, batch, KEY)[1].scalars
    for name in ("generator_loss", "discriminator_loss"):
        np.testing.assert_allclose(metrics.scalars[name], full[name], rtol=0.02)


def test_reduction_of_bfloat16_is_done_in_float32():
    x = jnp.full((1000, 3), 1.001, jnp.bfloat16)
    mean = Context().mean(x, jnp.ones(1000, jnp.bfloat16))
    assert mean.dtype == jnp.float32
    np.testing.assert_allclose(mean, float(x[0, 0]), rtol=1e-6)


def test_recomputed_activations_change_memory_and_not_the_result():
    stage, state = enter(toy_gan())
    batch = toy_batch(stage.data)
    counts = {}
    for name, saved in (("all kept", None), ("one kept", ("convolved",)), ("none kept", ())):
        step = make_step(dataclasses.replace(stage, remat=saved), Context())
        counts[name] = str(jax.make_jaxpr(step)(state, batch, KEY)).count("conv_general_dilated")
    assert counts["all kept"] < counts["one kept"] < counts["none kept"]
    recomputed, _ = compiled(make_step(dataclasses.replace(stage, remat=("convolved",)), Context()))(state, batch, KEY)
    assert_float32_close(recomputed.nets, first_step()[2].nets)
    step = make_step(dataclasses.replace(stage, remat=("convoled",)), Context())
    with pytest.raises(ValueError, match=r"keeps \['convoled'\], which no network names; named are \['convolved'\]"):
        jax.eval_shape(step, state, batch, KEY)


def test_variables_of_a_network_that_a_phase_only_reads_are_refused():
    stage, state = enter(three_rates())
    phase = stage.phases[0]

    def meddle(params, nets, shared, batch, rngs, ctx):
        loss, aux = phase.loss(params, nets, shared, batch, rngs, ctx)
        return loss, Aux(aux.metrics, {"judge": {}})

    bad = dataclasses.replace(stage, phases=(dataclasses.replace(phase, loss=meddle),))
    with pytest.raises(ValueError, match=r"returns variables of \['judge'\]"):
        jax.eval_shape(make_step(bad, Context()), state, toy_batch(stage.data), KEY)


def test_two_values_of_one_name_are_refused():
    stage, state = enter(toy_gan())
    second = dataclasses.replace(stage.phases[1], loss=lambda *a: (stage.phases[1].loss(*a)[0], Aux({"fooled": 0.0})))
    bad = dataclasses.replace(stage, phases=(stage.phases[0], second))
    with pytest.raises(ValueError, match=r"reports \['fooled'\] twice"):
        jax.eval_shape(make_step(bad, Context()), state, toy_batch(stage.data), KEY)


def test_stages_are_checked_when_made():
    first, second = two_stages().stages
    with pytest.raises(ValueError, match=r"uses networks \['motion'\] that its `init` does not name"):
        dataclasses.replace(first, init={})
    with pytest.raises(ValueError, match="trains none of shared_trains"):
        dataclasses.replace(second, shared_trains=())
    with pytest.raises(ValueError, match="trains 'motion' in two phases"):
        dataclasses.replace(first, phases=first.phases * 2)


def test_another_optimizer_starts_anew_a_frozen_network_has_none_and_a_dropped_one_is_gone():
    system = two_stages()
    first, second = system.stages
    state = enter_stage(system.networks, first, None, KEY)
    state, _ = compiled(make_step(first, Context()))(state, toy_batch(first.data), KEY)

    def trained_by(optimizer, config=None):
        phase = dataclasses.replace(first.phases[0], trains=(Trained("motion", optimizer, config),))
        return dataclasses.replace(first, phases=(phase,), init={"motion": Source("previous")})

    entered = enter_stage(system.networks, trained_by(optax.sgd(0.1, 0.9)), state, KEY, previous=first)
    assert not jax.tree.leaves(entered.nets["motion"].opt_state[0].trace)[0].any()
    # Equal configs mean the same optimizer, also when the stage was built anew.
    same = enter_stage(system.networks, trained_by(*[
        getattr(two_stages().stages[0].trains["motion"], name) for name in ("optimizer", "config")
    ]), state, KEY, previous=first)
    assert_same_bits(same.nets["motion"].opt_state, state.nets["motion"].opt_state)
    held = with_accumulation(trained_by(first.trains["motion"].optimizer), 2)
    again = with_accumulation(trained_by(first.trains["motion"].optimizer), 2)
    kept = enter_stage(system.networks, held, state, KEY)
    kept = kept.replace(nets={"motion": kept.nets["motion"].replace(opt_state="moments")})
    assert enter_stage(system.networks, again, kept, KEY, previous=held).nets["motion"].opt_state == "moments"

    phase = dataclasses.replace(second.phases[0], trains=second.phases[0].trains[1:], through_shared=False)
    frozen = dataclasses.replace(second, phases=(phase,))
    entered = enter_stage(system.networks, frozen, state, KEY, previous=first)
    assert entered.nets["motion"].opt_state == () and entered.nets["painter"].opt_state != ()
    back = enter_stage(system.networks, first, entered, KEY)
    assert set(back.nets) == {"motion"} and set(back.ema) == {"motion"}
