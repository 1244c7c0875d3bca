"""Optimizers against closed forms and torch; averages and accumulation against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from thjax.optim import (
    OptimizerConfig,
    average,
    average_decay,
    hold_back,
    learning_rate_schedule,
    make_optimizer,
    updates_made,
)

EPOCH = 7  # updates


def rates(config, updates):
    schedule = learning_rate_schedule(config, EPOCH)
    return np.array([float(schedule(jnp.int32(update))) for update in updates])


def test_ten_percent_read_as_losing_a_tenth_per_epoch():
    config = OptimizerConfig(learning_rate=2e-4, decay="exponential", decay_factor=0.9, decay_after_epochs=20)
    epochs = np.arange(0, 25)
    expected = 2e-4 * np.where(epochs < 20, 1.0, 0.9 ** np.maximum(epochs - 19, 0))
    np.testing.assert_allclose(rates(config, epochs * EPOCH), expected, rtol=1e-6)
    np.testing.assert_allclose(rates(config, epochs * EPOCH + EPOCH - 1), expected, rtol=1e-6)


def test_ten_percent_read_as_down_to_a_tenth():
    config = OptimizerConfig(learning_rate=1e-3, decay="drop", decay_factor=0.1, decay_after_epochs=20)
    np.testing.assert_allclose(rates(config, [0, 20 * EPOCH - 1, 20 * EPOCH, 90 * EPOCH]), [1e-3, 1e-3, 1e-4, 1e-4])


def test_cosine_with_warm_up():
    config = OptimizerConfig(learning_rate=2e-3, decay="cosine", decay_steps=100, decay_floor=0.02, warmup_steps=10)
    got = rates(config, [0, 4, 50, 100, 500])
    expected = [2e-3 * 0.1, 2e-3 * 0.5, 2e-3 * 0.51, 4e-5, 4e-5]
    np.testing.assert_allclose(got, expected, rtol=5e-3)
    np.testing.assert_allclose(got[2:], expected[2:], rtol=1e-6)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_the_chain_is_torch_adam(clip):
    torch = pytest.importorskip("torch")
    draws = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    config = OptimizerConfig(learning_rate=0.01, b1=0.5, b2=0.999, clip_norm=clip)
    optimizer = make_optimizer(config)
    ours = {"w": jnp.asarray(draws[0])}
    state = optimizer.init(ours)
    theirs = torch.nn.Parameter(torch.tensor(draws[0]))
    adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.5, 0.999), eps=1e-8)
    for gradient in draws[1:]:
        updates, state = optimizer.update({"w": jnp.asarray(gradient)}, state, ours)
        ours = optax.apply_updates(ours, updates)
        theirs.grad = torch.tensor(gradient)
        if clip:
            torch.nn.utils.clip_grad_norm_([theirs], clip)
        adam.step()
    np.testing.assert_allclose(ours["w"], theirs.detach().numpy(), rtol=1e-5)


def test_schedules_survive_jit_and_steps_are_those_of_the_schedule():
    config = OptimizerConfig(learning_rate=0.5, decay="drop", decay_factor=0.1, decay_after_epochs=1)
    optimizer = make_optimizer(config, steps_per_epoch=2)
    params = jnp.ones(())
    state, moved = optimizer.init(params), []
    for _ in range(4):
        updates, state = jax.jit(optimizer.update)(jnp.float32(3.0), state, params)
        moved.append(float(updates))
    np.testing.assert_allclose(moved, [-0.5, -0.5, -0.05, -0.05], rtol=1e-5)


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"learning_rate": 0.0}, "learning_rate 0.0 must be above 0"),
        ({"b1": 1.0}, r"b1 1.0 must lie in \[0, 1\)"),
        ({"warmup_steps": -1}, "warmup_steps -1 must not be negative"),
        ({"decay": "linear"}, "decay 'linear' is unknown; use constant, exponential, drop or cosine"),
        ({"decay": "cosine"}, "needs decay_steps"),
        ({"decay_factor": 0.0}, r"decay_factor 0.0 must lie in \(0, 1\]"),
    ],
)
def test_bad_configs_are_named(bad, message):
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**bad)


def test_held_back_optimizer_averages_gradients_and_updates_on_the_last():
    gradients = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    chain = optax.adam(0.1)
    held = hold_back(chain, 3)
    params = jnp.zeros(4)
    state, plain = held.init(params), chain.init(params)
    for number, gradient in enumerate(gradients):
        updates, after = jax.jit(held.update)(jnp.asarray(gradient), state, params)
        last = number % 3 == 2
        assert bool(updates_made(state, after)) == last
        expected = np.zeros(4)
        if last:
            expected, plain = chain.update(jnp.asarray(gradients[number - 2 : number + 1].mean(0)), plain, params)
        np.testing.assert_allclose(updates, expected, atol=1e-6)
        state = after
    assert hold_back(chain, 1) is chain
    with pytest.raises(ValueError, match="accumulate 0 must be at least 1"):
        hold_back(chain, 0)


def test_average_with_a_warm_decay():
    values = np.random.default_rng(2).normal(size=12)
    mean, expected = {"w": jnp.float32(0)}, 0.0
    for n, value in enumerate(values, start=1):
        moves = n % 4 != 0
        mean = average(mean, {"w": jnp.float32(value)}, average_decay(0.4, jnp.int32(n)), jnp.bool_(moves))
        decay = min(0.4, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value if moves else expected
    np.testing.assert_allclose(mean["w"], expected, rtol=1e-5)
