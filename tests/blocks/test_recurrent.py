import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.blocks.compare import assert_close, fresh, gru_gradient, load_gru
from thjax.blocks.recurrent import GRU

B, T, C, F, LAYERS = 3, 7, 5, 6, 2


def setup(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, T, C)).astype(np.float32)
    gru = GRU(F, LAYERS)
    return gru, fresh(gru, x)[0], x, rng.normal(size=(LAYERS, B, F)).astype(np.float32)


@pytest.mark.parametrize("given_carry", [True, False])
def test_equals_torch_forward_and_backward(given_carry):
    gru, params, x, carry = setup()
    carry = carry if given_carry else None
    twin = torch.nn.GRU(C, F, LAYERS, batch_first=True)
    load_gru(twin, params)
    tx = torch.tensor(x, requires_grad=True)
    ty, th = twin(tx, None if carry is None else torch.tensor(carry))
    (ty.square().sum() + th.sum()).backward()

    def forward(params, x):
        y, h = gru.apply({"params": params}, x, carry)
        return jnp.square(y).sum() + h.sum(), (y, h)

    (_, outputs), gradient = jax.jit(jax.value_and_grad(forward, (0, 1), has_aux=True))(params, x)
    assert_close(outputs, (ty.detach(), th.detach()))
    assert_close(gradient, (gru_gradient(twin), tx.grad))


def test_chunks_carry_on_where_the_last_one_stopped():
    gru, params, x, carry = setup()
    whole, last = gru.apply({"params": params}, x, carry)
    first, middle = gru.apply({"params": params}, x[:, :3], carry)
    second, end = gru.apply({"params": params}, x[:, 3:], middle)
    assert_close((jnp.concatenate([first, second], 1), end), (whole, last), 1e-6)


def test_frames_that_do_not_exist_leave_the_state_alone():
    gru, params, x, _ = setup()
    valid = np.array([[1] * 7, [1] * 4 + [0] * 3, [1, 0, 1, 1, 0, 0, 1]], np.float32)
    y, last = gru.apply({"params": params}, x, None, valid)
    for row in range(B):
        keep = valid[row] > 0
        alone, end = gru.apply({"params": params}, x[row:row + 1, keep])
        assert_close(y[row, keep], alone[0], 1e-6)
        assert_close(last[:, row], end[:, 0], 1e-6)
    chex.assert_trees_all_equal(y[1, 4:], jnp.broadcast_to(y[1, 3], (3, F)))


def test_padded_frames_change_nothing():
    gru, params, x, _ = setup()
    valid = np.array([[1] * 7, [1] * 4 + [0] * 3, [1, 0, 1, 1, 0, 0, 1]], np.float32)
    run = jax.jit(jax.grad(lambda p, x: jnp.square(gru.apply({"params": p}, x, None, valid)[0]).sum()))
    noise = np.where(valid[..., None] > 0, x, 1e3).astype(np.float32)
    chex.assert_trees_all_equal(run(params, x), run(params, noise))


def test_bf16_keeps_state_and_parameters_in_f32():
    _, params, x, _ = setup()
    gru = GRU(F, LAYERS, jnp.bfloat16)
    y, last = gru.apply({"params": params}, x)
    assert (y.dtype, last.dtype) == (jnp.bfloat16, jnp.float32)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(gru.init(jax.random.key(0), x)))
    assert_close(last, GRU(F, LAYERS).apply({"params": params}, x)[1], 2e-2)


@pytest.mark.parametrize("frames, unroll", [(25, 5), (12, 4), (7, 1), (1, 1)])
def test_the_loop_is_unrolled_by_a_divisor_up_to_five(frames, unroll):
    gru = GRU(F)
    x = jnp.zeros((1, frames, C))
    variables = gru.init(jax.random.key(0), x)
    program = str(jax.make_jaxpr(gru.apply)(variables, x))
    assert f"unroll={unroll}\n" in program
