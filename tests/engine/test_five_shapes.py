"""Five toy systems prove the interfaces: whatever a paper needs has one of these shapes (see tests/engine/toys.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.engine import toys
from tests.engine.compare import assert_same_bits
from tests.multi_device import run_tests
from thjax.core.context import Context
from thjax.engine import GenerateRequest, Source, enter_stage, make_step

KEY = jax.random.key(7)


STEPS = {}  # {id: (stage, its compiled step)}: tests that share a stage share the compilation


def run(stage, state, steps, position=0):
    _, step = STEPS.setdefault(id(stage), (stage, jax.jit(make_step(stage, Context()))))
    for number in range(steps):
        batch = toys.toy_batch(stage.data, position + number * stage.data.batch)
        state, metrics = step(state, batch, KEY)
    return state, metrics


def test_three_rates_in_one_backward_pass_beside_a_frozen_network():
    system = toys.three_rates()
    (stage,) = system.stages
    start = enter_stage(system.networks, stage, None, KEY)
    state, _ = run(stage, start, 1)
    batch = toys.toy_batch(stage.data)

    def loss(params):  # written out, without the engine
        x = toys.sound(batch)
        for name in ("encoder", "decoder", "judge", "head"):
            x = jnp.tanh(x @ params[name]["Dense_0"]["kernel"] + params[name]["Dense_0"]["bias"])
        squares = ((x - batch["pose"]) ** 2).mean(-1)
        return (squares * batch["valid"]).sum() / batch["valid"].sum()

    gradients = jax.grad(loss)({name: net.params for name, net in start.nets.items()})
    for name, rate in toys.RATES.items():
        moved = jax.tree.map(jnp.subtract, state.nets[name].params, start.nets[name].params)
        for delta, gradient in zip(jax.tree.leaves(moved), jax.tree.leaves(gradients[name]), strict=True):
            clear = np.abs(gradient) > 1e-4  # Adam's first step is the rate times the sign
            assert clear.any()
            np.testing.assert_allclose(delta[clear], -rate * np.sign(gradient[clear]), rtol=1e-3, atol=2e-7)
    assert_same_bits(state.nets["judge"], start.nets["judge"])
    assert state.nets["judge"].opt_state == ()


def test_memory_is_written_without_gradients_newest_first():
    system = toys.memory(batch=8)
    (stage,) = system.stages
    start = enter_stage(system.networks, stage, None, KEY)
    state, _ = run(stage, start, 3)
    seen = toys.sound(toys.toy_batch(stage.data, 0, rows=24)).mean(1)
    np.testing.assert_allclose(state.nets["memory"].variables["memory"]["slots"], seen[::-1][: toys.SLOTS], rtol=1e-6)
    assert state.nets["memory"].opt_state == ()
    assert not np.allclose(*(jax.tree.leaves(s.nets["reader"].params)[1] for s in (state, start)))


def through_files(tree, directory):
    """What a restart does to a state: every leaf to bytes and back into a state made anew."""
    leaves, structure = jax.tree.flatten(tree)
    np.savez(directory / "state.npz", *map(np.asarray, leaves))
    with np.load(directory / "state.npz") as stored:
        return jax.tree.unflatten(structure, [jnp.asarray(stored[f"arr_{n}"]) for n in range(len(leaves))])


def two_stage_run(system, directory=None, killed=None):
    """Six steps of the first stage and four of the second, through files and a system built anew where killed."""
    first, second = system.stages
    state = enter_stage(system.networks, first, None, KEY)
    for done, position in (("in the first stage", 0), ("at the border", 3)):
        state, _ = run(first, state, 3, position * 8)
        if killed == done:
            state, second = through_files(state, directory), toys.two_stages().stages[1]
    state = enter_stage(system.networks, second, state, KEY, previous=first)
    state, _ = run(second, state, 2)
    if killed == "in the second stage":
        state, second = through_files(state, directory), toys.two_stages().stages[1]
    return run(second, state, 2, position=2 * 8)


@pytest.fixture(scope="module")
def never_killed():
    system = toys.two_stages()
    return system, two_stage_run(system)


@pytest.mark.parametrize("killed", ["in the first stage", "at the border", "in the second stage"])
def test_a_pixel_stage_follows_a_stage_without_pixels_across_a_restart(killed, never_killed, tmp_path):
    system, (expected, expected_metrics) = never_killed
    state, metrics = two_stage_run(system, tmp_path, killed)
    assert_same_bits(state, expected)
    assert_same_bits(metrics, expected_metrics)
    assert int(state.step) == 10 and int(state.stage_step) == 4
    first, second = system.stages
    assert first.data.window != second.data.window and "frames" not in first.data.fields


def test_the_border_keeps_what_both_stages_train_alike(never_killed):
    system, _ = never_killed
    first, second = system.stages
    state, _ = run(first, enter_stage(system.networks, first, None, KEY), 5)
    entered = enter_stage(system.networks, second, state, KEY, previous=first)
    assert_same_bits(entered.nets["motion"], state.nets["motion"])
    assert_same_bits(entered.ema["motion"], state.ema["motion"])
    assert int(entered.ema_updates["motion"]) == 5 and int(entered.ema_updates["painter"]) == 0
    assert_same_bits(entered.ema["painter"], entered.nets["painter"].params)
    # New networks depend on key and name alone, not on when they appear.
    alone = enter_stage(system.networks, second, state, KEY, previous=None)
    assert_same_bits(entered.nets["painter"].params, alone.nets["painter"].params)
    assert int(alone.nets["motion"].opt_state[0].count) == 0  # nobody said that the optimizer is the same


def test_a_sampler_draws_the_same_frames_in_chunks_and_at_once():
    system = toys.stepwise()
    state = enter_stage(system.networks, system.stages[0], None, KEY)
    audio = np.random.default_rng(0).integers(-9000, 9000, 12 * 640).astype(np.int16)
    still = np.random.default_rng(1).integers(0, 255, (2, 3, 3)).astype(np.uint8)

    def frames(chunk_frames):
        sampler = toys.StepwiseSampler(system, state.nets, chunk_frames)
        heard = np.pad(audio, (sampler.lookbehind, sampler.lookahead))
        carry = sampler.plan(GenerateRequest(still, seed=3, audio=audio))
        chunk, drawn = jax.jit(sampler.chunk), []
        for first in range(0, 12, chunk_frames):
            taken = heard[first * 640:][: sampler.lookbehind + chunk_frames * 640 + sampler.lookahead]
            carry, piece = chunk(carry, taken)
            drawn.append(np.asarray(piece))
        return sampler.finish(carry, np.concatenate(drawn))

    whole = frames(12)
    assert whole.shape == (12, 2, 3, 3) and whole.dtype == np.uint8 and len(np.unique(whole)) > 20
    np.testing.assert_array_equal(frames(4), whole)
    np.testing.assert_array_equal(frames(1), whole)


def test_masked_frames_change_nothing():
    system = toys.dice()
    (stage,) = system.stages
    step = jax.jit(make_step(stage, Context()))
    batch = toys.toy_batch(stage.data)
    padded = batch["valid"] == 0
    assert padded.any()
    noisy = dict(batch, audio=batch["audio"].copy(), au_presence=batch["au_presence"].copy())
    noisy["au_presence"][padded] = 9e9
    for clip, frame in np.argwhere(padded):
        noisy["audio"][clip, 3200 + frame * 640 : 3200 + (frame + 1) * 640] = 77
    state = enter_stage(system.networks, stage, None, KEY)
    for part in zip(step(state, batch, KEY), step(state, noisy, KEY), strict=True):
        assert_same_bits(*part)


def test_an_unsatisfied_source_is_named():
    system = toys.two_stages()
    first, second = system.stages
    with pytest.raises(ValueError, match="takes 'motion' from the stage before, which has \\[\\]"):
        enter_stage(system.networks, second, None, KEY)
    with pytest.raises(ValueError, match="the system has \\['motion'\\]"):
        enter_stage({"motion": system.networks["motion"]}, second, enter_stage(system.networks, first, None, KEY), KEY)
    donor = toys.dataclasses.replace(first, init={"motion": Source("weights", "face.safetensors")})
    with pytest.raises(ValueError, match="'face.safetensors', which was not loaded"):
        enter_stage(system.networks, donor, None, KEY)


@pytest.mark.thorough
@pytest.mark.multi_process
def test_memory_and_dice_are_equal_on_one_and_eight_devices():
    assert run_tests("tests/engine/eight_devices.py") == 0


@pytest.mark.multi_process
def test_memory_and_dice_are_equal_on_one_and_eight_devices_in_float64():
    assert run_tests("tests/engine/eight_devices.py", x64=True, quick=True) == 0
