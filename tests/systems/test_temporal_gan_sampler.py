"""The sampler of the temporal GAN: chunks, seeds, stills."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from temporal_gan_narrow import KEY, SDA, entered, make_batch, narrow

from tests.quick import quick_jit
from thjax import systems
from thjax.engine import GenerateRequest, NetState
from thjax.systems.temporal_gan import inputs
from thjax.systems.temporal_gan.config import ScheduleConfig


def run_sampler(config, state, audio, seed=0, still=None):
    """All frames of a sampler, and the sampler. `audio` [T * 640 + 6400] holds its context."""
    sampler = systems.build(config).sampler(state.nets, {})
    still = make_batch(config)["still"][0] if still is None else still
    carry, pieces = sampler.plan(GenerateRequest(still=still, seed=seed)), []
    hop = 640 * sampler.chunk_frames
    for start in range(3200 - sampler.lookbehind, len(audio) - 3200 - 640 + 1 - sampler.lookbehind, hop):
        carry, frames = sampler.chunk(carry, audio[start : start + sampler.lookbehind + hop + sampler.lookahead])
        pieces.append(sampler.finish(carry, np.asarray(frames)))
    return np.concatenate(pieces), sampler


@pytest.mark.parametrize("rate, chunks", [(dict(), (1, 3)), (SDA, (2,))])
def test_chunks_of_any_size_equal_the_whole(rate, chunks):
    config = narrow(rate, dict(sequence=False), schedule=ScheduleConfig(steps=1))
    network = systems.build(config).networks["generator"]
    variables = quick_jit(network.init)(KEY)
    # Statistics of a fresh network hardly let anything through; these do.
    stats = jax.tree.map(lambda leaf: 0.03 * leaf, variables["batch_stats"])
    net = NetState(variables["params"], variables={"batch_stats": stats})
    state = dataclasses.make_dataclass("State", ["nets"])({"generator": net})
    batch = make_batch(config, frames=6)
    audio, still = batch["audio"][0], batch["still"][0]

    def draw(net, still, audio):
        noise = inputs.clip_noise(config.generator, jax.random.key(5), jnp.arange(6))[None]
        windows = inputs.batch_windows(config.generator, audio[None])
        variables = {"params": net.params, **net.variables}
        return network.module.apply(variables, inputs.to_unit(still[None]), windows, noise)

    expected = (np.asarray(quick_jit(draw)(net, still, audio)[0]) + 1) * 127.5
    assert np.ptp(expected, axis=0).max() > 5
    for chunk in chunks:
        made, sampler = run_sampler(dataclasses.replace(config, chunk_frames=chunk), state, audio, 5, still)
        assert made.shape == (6, 16, 12, 3) and made.dtype == np.uint8
        assert np.abs(made - expected).max() < 0.51
    if not rate:
        assert (sampler.lookbehind, sampler.lookahead) == (80, 80)


def test_the_seed_alone_decides_the_noise_and_clips_can_share_a_program():
    config = narrow()
    state, _ = entered(systems.build(config), "reconstruction")
    audio = make_batch(config, frames=4)["audio"]
    one, sampler = run_sampler(config, state, audio[0], seed=1)
    again, _ = run_sampler(config, state, audio[0], seed=1)
    other, _ = run_sampler(config, state, audio[0], seed=2)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    carries = [sampler.plan(GenerateRequest(still=make_batch(config)["still"][0], seed=s)) for s in (1, 2)]
    carry = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *carries)
    pieces = np.stack([audio[0][3200 - 80 : 3200 + 1280 + 80]] * 2)
    _, together = jax.jit(jax.vmap(sampler.chunk))(carry, pieces)
    assert np.abs(np.asarray(together).astype(int) - np.stack([one[:2], other[:2]])).max() <= 1


def test_a_still_of_another_size_is_refused():
    config = narrow()
    state, _ = entered(systems.build(config), "reconstruction")
    with pytest.raises(ValueError, match="\\(16, 12, 3\\)"):
        run_sampler(config, state, make_batch(config)["audio"][0], still=np.zeros((8, 8, 3), np.uint8))
