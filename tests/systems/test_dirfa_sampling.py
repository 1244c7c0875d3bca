"""Drawing frame by frame: equal to the full forward, constant in length, chunked, filtered."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from dirfa_narrow import KINDS, NARROW, built, changed, narrow, random_weights, shard_statistics

from tests.quick import quick_jit
from thjax.engine import GenerateRequest, NetState
from thjax.systems.dirfa.animation import CHANNELS
from thjax.systems.dirfa.config import SamplingConfig
from thjax.systems.dirfa.networks import Mapper, blank_memory
from thjax.systems.dirfa.sampling import draw_frame, keep_probable, make_draw_motion, make_start

FRAMES = 300


def features_of(config, frames, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (frames, config.mapper.mel.features))


def drawn_motion(config, frames=FRAMES, seed=0, motions=2):
    """(module, variables, features, drawn [N, S, 23])."""
    module, variables = random_weights(config)
    module = Mapper(config.mapper, dtype=jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
    features = jnp.asarray(features_of(config, frames))
    carry = make_start(config, module)(seed, motions)
    _, drawn = quick_jit(make_draw_motion(config, module))(variables, carry, features)
    return module, variables, features, drawn


def said_of_history(config, module, variables, features, drawn, motion=0):
    """What a full forward with the banded mask says of every frame, told what was drawn."""
    unit = drawn[:, motion] if config.mapper.head == "regression" else (drawn[:, motion] + 0.5) / NARROW["categories"]
    history = jnp.pad(jnp.asarray(unit, features.dtype)[:-1], ((1, 0), (0, 0)))
    first = (jnp.arange(len(features)) == 0)[None]
    run = quick_jit(lambda: module.apply(variables, history[None], features[None], first, jnp.ones_like(first))[0][0])
    return run()


@pytest.mark.parametrize("kind", ["categorical", "mixture", "relative"])
def test_draws_equal_those_of_the_full_forward(kind):
    config = narrow(KINDS[kind])
    with jax.enable_x64(True):
        module, variables, features, drawn = drawn_motion(config)
        said = said_of_history(config, module, variables, features, drawn)
        assert said.dtype == jnp.float64
        key = jax.random.fold_in(jax.random.key(0), 0)
        again = quick_jit(jax.vmap(lambda s, t: draw_frame(config, s, key, t)))(said, jnp.arange(FRAMES))
        np.testing.assert_array_equal(again, drawn[:, 0])
    # The motions are not trivial: every category is met, and two of them differ in more than every fourth draw.
    assert len(np.unique(drawn)) == NARROW["categories"] and (np.asarray(drawn[:, 0]) != drawn[:, 1]).mean() > 0.25


@pytest.mark.parametrize("kind", ["categorical", "mixture", "relative", "regression"])
def test_the_ring_says_what_the_full_forward_says(kind):
    config, frames = narrow(KINDS[kind]), 40
    module, variables, features, drawn = drawn_motion(config, frames)
    full = np.asarray(said_of_history(config, module, variables, features.astype(jnp.float32), drawn))
    unit = np.asarray(drawn[:, 0] if kind == "regression" else (drawn[:, 0] + 0.5) / NARROW["categories"], np.float32)
    told = np.concatenate([np.zeros((1, 23), np.float32), unit])

    def step(memory, t):
        out, memory = module.apply(variables, told[t][None], features[t][None], t, memory, method="step")
        return memory, out[0]

    told, features = jnp.asarray(told), jnp.asarray(features)
    start = blank_memory(config.mapper, 1)
    said = np.asarray(quick_jit(lambda: jax.lax.scan(step, start, jnp.arange(frames))[1])())
    assert np.abs(said - full).max() <= 1e-4 * np.abs(full).max()


@pytest.mark.parametrize("kind", ["categorical", "relative"])
def test_strict_context_is_the_last_frames_computed_anew(kind):
    config = narrow(KINDS[kind], sampling=dict(context="strict"))
    reach, frames = config.mapper.reach, 14
    with jax.enable_x64(True):
        module, variables, features, drawn = drawn_motion(config, frames)
        key = jax.random.fold_in(jax.random.key(0), 0)
        for t in (2, 9):
            since = max(0, t - reach + 1)
            told = jnp.concatenate([jnp.zeros((1, 23)), (drawn[:, 0] + 0.5) / NARROW["categories"]])[since : t + 1]
            first = (jnp.arange(since, t + 1) == 0)[None]
            heard = features[None, since : t + 1]
            say = lambda told, heard, first: module.apply(variables, told, heard, first, jnp.ones_like(first))[0][0, -1]
            said = quick_jit(say)(told[None], heard, first)
            np.testing.assert_array_equal(draw_frame(config, said, key, t), drawn[t, 0])
        band = drawn_motion(narrow(KINDS[kind]), frames)[-1]
    assert (band[:reach] == drawn[:reach]).all() and (band != drawn).any()


def lengths(jaxpr, length, found):
    """Names of the operations with an array that has an axis of this length, all nested programs included."""
    for equation in jaxpr.eqns:
        inner = [value for param in equation.params.values() for value in jax.tree.leaves(
            param, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr"))]
        for program in inner:
            program = getattr(program, "jaxpr", program)
            if hasattr(program, "eqns"):
                lengths(program, length, found)
        variables = [*equation.invars, *equation.outvars]
        if any(length in getattr(v.aval, "shape", ()) for v in variables):
            found.append(equation.primitive.name)
    return found


@pytest.mark.parametrize("context", ["band", "strict"])
def test_nothing_but_input_and_output_grows_with_the_length(context):
    config, length = narrow(sampling=dict(context=context)), 1009
    module, variables = random_weights(config)
    carry, draw = make_start(config, module)(0, 2), make_draw_motion(config, module)
    shape = lambda n: jax.ShapeDtypeStruct((n, config.mapper.mel.features), jnp.float32)
    program = jax.make_jaxpr(draw)(variables, carry, shape(length))
    assert lengths(program.jaxpr, length, []) == ["scan"]
    scratch = [quick_jit(draw).lower(variables, carry, shape(n)).compile().memory_analysis().temp_size_in_bytes
               for n in (length, 10 * length)]
    assert abs(scratch[1] - scratch[0]) < 1024


def sampler_of(config, motions=1, seed=0):
    _, variables = random_weights(config)
    system = built(config)
    return system.sampler({"mapper": NetState(variables["params"])}, system.statistics(shard_statistics(config)))


@pytest.mark.parametrize("kind", ["categorical", "relative"])
def test_a_stream_of_chunks_equals_the_whole(kind):
    config = narrow(KINDS[kind])
    audio = np.random.default_rng(5).normal(0, 3000, 12 * 640).astype(np.int16)
    made = []
    for chunk in (3, 12):
        sampler = sampler_of(dataclasses.replace(config, chunk_frames=chunk))
        padded = np.pad(audio, (sampler.lookbehind, sampler.lookahead))
        carry, hop = sampler.start(7, motions=3), chunk * 640
        pieces = []
        for start in range(0, len(audio), hop):
            carry, vectors = sampler.chunk(carry, padded[start : start + sampler.lookbehind + hop + sampler.lookahead])
            pieces.append(np.asarray(vectors))
        made.append(np.concatenate(pieces))
    assert made[0].shape == (12, 3, 23)
    np.testing.assert_array_equal(made[0], made[1])
    low, high = np.array(built(config).quantiser.low), np.array(built(config).quantiser.high)
    assert (made[0] > low).all() and (made[0] < high).all()
    # Motions differ; the first is the same however many are drawn, and the seed alone decides.
    alone = sampler.chunk(sampler.plan(GenerateRequest(still=None, seed=7)), padded)[1]
    np.testing.assert_array_equal(alone[:, 0], made[1][:, 0])
    assert (made[1][:, 0] != made[1][:, 1]).any()
    assert (np.asarray(sampler.chunk(sampler.start(8, 3), padded)[1]) != made[1]).any()


def test_the_preview_shows_a_stamped_head_that_moves():
    sampler = sampler_of(narrow())
    rest = np.zeros((2, 1, 23), np.float32)
    rest[1, 0, [14, 15]] = 4.0  # AU25, AU26
    frames = sampler.finish(None, rest)
    assert frames.shape == (2, *sampler.frame_size, 3) and frames.dtype == np.uint8
    changed_rows = np.abs(frames[0].astype(int) - frames[1]).max((1, 2))
    assert changed_rows[64:].max() > 40 and changed_rows[:20].max() == 0
    assert frames[0, 2:14, 4:50].min(-1).max() > 200 > frames[0, 20:60, :10].max()


# ---- filters


CHANCES = np.array([[0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], np.float32)


@pytest.mark.parametrize("settings, kept", [
    (dict(), [[1, 1, 1, 1], [1, 1, 1, 1]]),
    (dict(top_k=(1,)), [[1, 0, 0, 0], [0, 0, 0, 1]]),
    (dict(top_k=(2,)), [[1, 1, 1, 0], [0, 0, 1, 1]]),  # ties stay together
    (dict(nucleus=(0.65,)), [[1, 1, 1, 0], [0, 0, 1, 1]]),
    (dict(nucleus=(0.01,)), [[1, 0, 0, 0], [0, 0, 0, 1]]),
    (dict(top_k=(9,), nucleus=(0.95,)), [[1, 1, 1, 1], [1, 1, 1, 1]]),
])
def test_top_k_and_nucleus_keep_the_most_probable(settings, kept):
    np.testing.assert_array_equal(np.asarray(keep_probable(SamplingConfig(**settings), CHANCES)) > 0, kept)


def test_filters_can_differ_from_channel_to_channel():
    chances = np.tile(CHANCES[:1], (23, 1))
    settings = SamplingConfig(top_k=(1, 0) + (3,) * 21)
    np.testing.assert_array_equal((np.asarray(keep_probable(settings, chances)) > 0).sum(-1)[:3], [1, 4, 3])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_follow_the_chances(temperature):
    config = changed(narrow(dict(categories=4)), sampling=dict(temperature=temperature))
    said = jnp.log(jnp.tile(CHANCES, (12, 1))[:23])
    draw = quick_jit(jax.vmap(lambda t: draw_frame(config, said, jax.random.key(0), t)))
    drawn = np.asarray(draw(jnp.arange(2000)))
    expected = CHANCES ** (1 / temperature)
    expected = expected / expected.sum(-1, keepdims=True)
    for row in (0, 1):
        share = np.bincount(drawn[:, row::2].ravel(), minlength=4) / drawn[:, row::2].size
        np.testing.assert_allclose(share, expected[row], atol=0.015)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_channels_drawn_together_are_high_and_low_at_once_and_keep_their_chances(temperature):
    """By the short way for a mixture at temperature 1, and by the way over all categories."""
    config = changed(narrow(KINDS["mixture"]), sampling=dict(temperature=temperature))
    said = jnp.zeros((23, 12)).at[:, 4:8].set(0.5).at[:, 8:].set(0.05).at[1, 8:].set(0.1)

    def draws(seed, *groups):
        of = changed(config, sampling=dict(together=groups))
        draw = quick_jit(jax.vmap(lambda t: draw_frame(of, said, jax.random.key(seed), t)))
        return np.asarray(draw(jnp.arange(3000)))

    together, alone = draws(0, "AU01+AU02", "AU04+Rx"), draws(1)
    named = lambda *names: [together[:, CHANNELS.index(name)] for name in names]
    np.testing.assert_array_equal(*named("AU04", "Rx"))
    first, second = named("AU01", "AU02")
    assert (np.diff(second[np.lexsort((second, first))]) >= 0).all()
    for apart in (("AU01", "AU04"), ("AU02", "AU09")):
        assert abs(np.corrcoef(*named(*apart))[0, 1]) < 0.06, apart
    for name in ("AU01", "AU02", "Rx"):
        assert scipy.stats.ks_2samp(*named(name), alone[:, CHANNELS.index(name)]).pvalue > 1e-3


@pytest.mark.parametrize("groups, message", [
    (("AU01+AU99",), "sampling.together names AU99; channels are AU01, "),
    (("AU01+AU02", "AU02+AU04"), "sampling.together names AU02 twice"),
])
def test_groups_that_cannot_be_say_so(groups, message):
    with pytest.raises(ValueError, match=message):
        SamplingConfig(together=groups)
