import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.blocks.compare import assert_close, fresh, from_torch, load_norm, norm_gradient, to_torch
from thjax.blocks.norm import Norm, NormSpec
from thjax.core.context import Context

CTX = Context()


def build(norm, x, **kwargs):
    params, rest = fresh(norm, x, None, CTX, True, **kwargs)
    return {"params": params, **rest}


def apply(norm, variables, x, valid=None, train=True, frames=1):
    return norm.apply(variables, x, valid, CTX, train, frames, mutable=["batch_stats"])


def sample(*shape, seed=0):
    return 1 + 2 * np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(6, 5, 4, 8), (6, 8)])
def test_batch_equals_torch_in_value_gradient_and_running_mean(shape):
    x = sample(*shape)
    norm = Norm("batch")
    variables = build(norm, x)
    twin = torch.nn.BatchNorm2d(8) if x.ndim == 4 else torch.nn.BatchNorm1d(8)
    load_norm(twin, variables["params"])
    weight = sample(*shape, seed=1)
    tx = to_torch(x)
    ty = twin(tx)
    (ty * to_torch(weight)).sum().backward()

    def forward(params, x):
        y, new = apply(norm, {**variables, "params": params}, x)
        return (y * weight).sum(), (y, new["batch_stats"])

    step = jax.jit(jax.value_and_grad(forward, (0, 1), has_aux=True))
    (_, (y, new)), gradient = step(variables["params"], x)
    assert_close(y, from_torch(ty))
    assert_close(gradient, (norm_gradient(twin), from_torch(tx.grad)))
    assert_close(new["mean"], twin.running_mean)
    # torch keeps the unbiased variance, we keep the biased one.
    count = x.size // 8
    assert_close(new["var"], 0.9 + (twin.running_var - 0.9) * (count - 1) / count)


def test_batch_equals_torch_with_running_statistics():
    x = sample(6, 5, 4, 8)
    norm = Norm("batch")
    variables = build(norm, x)
    variables["batch_stats"] = apply(norm, variables, x)[1]["batch_stats"]
    twin = torch.nn.BatchNorm2d(8).eval()
    load_norm(twin, variables["params"])
    twin.running_mean = torch.tensor(np.asarray(variables["batch_stats"]["mean"]))
    twin.running_var = torch.tensor(np.asarray(variables["batch_stats"]["var"]))
    y, _ = apply(norm, variables, x, train=False)
    assert_close(y, from_torch(twin(to_torch(x))))


def test_group_equals_torch():
    x = sample(3, 5, 4, 48)
    norm = Norm("group")
    variables = build(norm, x)
    twin = torch.nn.GroupNorm(16, 48)
    load_norm(twin, variables["params"])
    assert_close(apply(norm, variables, x)[0], from_torch(twin(to_torch(x))))
    assert "batch_stats" not in variables


def test_paper_batch_equals_one_batch_norm_per_group():
    # 6 examples of 2 frames in groups of 3 examples.
    x = sample(12, 5, 4, 8) * np.repeat([1, 3], 6)[:, None, None, None].astype(np.float32)
    paper, batch = Norm("paper_batch", 3), Norm("batch")
    variables = build(paper, x, frames=2)
    y, new = jax.jit(lambda v, x: apply(paper, v, x, frames=2))(variables, x)
    parts = [apply(batch, variables, x[i:i + 6]) for i in (0, 6)]
    assert_close(y, np.concatenate([part[0] for part in parts]))
    mean = jax.tree.map(lambda a, b: (a + b) / 2, parts[0][1], parts[1][1])
    assert_close(new, mean)


def test_paper_batch_of_the_whole_batch_is_batch():
    x, valid = sample(8, 5, 8), np.array([1, 1, 1, 0, 1, 0, 1, 1], np.float32)
    whole = Norm("paper_batch", 4)
    variables = build(whole, x, frames=2)
    assert_close(apply(whole, variables, x, valid, frames=2), apply(Norm("batch"), variables, x, valid))


@pytest.mark.parametrize("kind", ["batch", "paper_batch", "group"])
def test_padded_rows_change_nothing(kind):
    x = sample(8, 5, 4, 8)
    valid = np.array([1, 1, 1, 0, 1, 1, 0, 0], np.float32)
    norm = Norm(kind, 2)
    variables = build(norm, x, frames=2)
    rows = valid > 0

    def forward(params, x):
        y, new = apply(norm, {**variables, "params": params}, x, valid, frames=2)
        return jnp.square(y[rows]).sum(), (y[rows], new)

    # Group 2 of paper_batch, rows 4 to 7, keeps two valid rows; a padded frame may even be infinite.
    found = [jax.grad(forward, has_aux=True)(variables["params"], np.where(rows[:, None, None, None], x, fill))
             for fill in (0, 1e6, np.inf)]
    for other in found[1:]:
        chex.assert_trees_all_equal(found[0], other)


@pytest.mark.parametrize("kind", ["batch", "paper_batch"])
def test_valid_rows_alone_make_the_statistics(kind):
    x = sample(6, 5, 8)
    valid = np.array([1, 1, 0, 0, 1, 0], np.float32)
    norm = Norm(kind, 3)
    variables = build(norm, x, frames=2)
    y, new = apply(norm, variables, x, valid, frames=2)
    alone, new_alone = apply(Norm("batch"), variables, x[valid > 0])
    assert_close(y[valid > 0], alone)
    assert_close(new, new_alone)


def test_a_group_without_valid_rows_leaves_running_statistics_to_the_others():
    x = sample(8, 5, 8)
    valid = np.array([1, 1, 1, 1, 0, 0, 0, 0], np.float32)
    norm = Norm("paper_batch", 2)
    variables = build(norm, x, frames=2)
    y, new = apply(norm, variables, x, valid, frames=2)
    assert np.isfinite(y).all()
    assert_close(new, apply(Norm("batch"), variables, x[:4])[1])


def test_statistics_stay_f32_in_bf16():
    x = 100 + sample(64, 8).astype(jnp.bfloat16)
    norm = Norm("batch", dtype=jnp.bfloat16)
    variables = build(norm, x)
    y, new = apply(norm, variables, x)
    assert y.dtype == jnp.bfloat16
    assert new["batch_stats"]["mean"].dtype == new["batch_stats"]["var"].dtype == jnp.float32
    assert_close(new["batch_stats"]["mean"], 0.1 * x.astype(jnp.float32).mean(0))


def test_statistics_are_f64_under_x64():
    with jax.enable_x64(True):
        variables = build(Norm("batch"), np.ones((4, 3)))
        assert variables["batch_stats"]["mean"].dtype == variables["params"]["scale"].dtype == jnp.float64


def test_statistics_are_written_only_where_the_caller_asks():
    x = sample(6, 8)
    norm = Norm("batch")
    variables = build(norm, x)
    assert_close(norm.apply(variables, x, None, CTX, True), apply(norm, variables, x)[0])


def test_none_is_the_identity():
    x = sample(6, 8)
    y, variables = Norm("none").init_with_output(jax.random.key(0), x, train=True)
    chex.assert_trees_all_equal(y, jnp.asarray(x))
    assert not variables


@pytest.mark.parametrize("fields, message", [
    (dict(kind="layer"), "use one of batch, group, paper_batch, none"),
    (dict(kind="paper_batch"), "group_examples"),
    (dict(momentum=1.0), "momentum"),
])
def test_bad_specs_are_named(fields, message):
    with pytest.raises(ValueError, match=message):
        NormSpec(**fields)


def test_groups_and_frames_that_do_not_divide_are_named():
    x = sample(10, 8)
    with pytest.raises(ValueError, match="paper_batch groups of 3"):
        build_and_apply = Norm("paper_batch", 3)
        apply(build_and_apply, build(build_and_apply, x, frames=2), x, frames=2)
    with pytest.raises(ValueError, match="frames per example"):
        build(Norm("batch"), x, frames=3)
