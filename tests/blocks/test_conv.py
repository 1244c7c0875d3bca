import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import lax

from tests.blocks.compare import assert_close, from_torch, to_torch
from thjax.blocks import conv
from thjax.blocks.conv_geometry import Geometry, native_convolve, native_correlate, native_spread

# Size, kernel, stride, padding, channels of the large and of the small map: every lowering and its borders.
CASES = {
    "halving": ((12, 8), (4, 4), (2, 2), (1, 1), 5, 6),
    "halving to a tiny map": ((6, 4), (4, 4), (2, 2), (1, 1), 5, 6),
    "halving to one pixel": ((2, 2), (4, 4), (2, 2), (1, 1), 5, 6),
    "halving an odd map": ((9, 11), (4, 4), (2, 2), (1, 1), 5, 6),
    "halving a thin map": ((12, 8), (4, 4), (2, 2), (1, 1), 3, 6),
    "halving a wide map": ((12, 8), (4, 4), (2, 2), (1, 1), 9, 192),
    "same size": ((8, 7), (3, 3), (1, 1), (1, 1), 5, 6),
    "same size, tiny": ((4, 3), (3, 3), (1, 1), (1, 1), 5, 6),
    "same size, wide": ((8, 6), (3, 3), (1, 1), (1, 1), 9, 192),
    "padding beyond the kernel": ((5, 6), (3, 3), (1, 1), (3, 4), 5, 6),
    "full kernel": ((4, 3), (4, 3), (1, 1), (0, 0), 5, 6),
    "unequal axes": ((11, 13), (5, 3), (3, 2), (2, 0), 5, 6),
    "1-D first layer": ((64,), (10,), (2,), (4,), 1, 6),
    "1-D halving": ((12,), (4,), (2,), (1,), 5, 6),
    "1-D fifths": ((25,), (10,), (5,), (3,), 5, 6),
    "1-D full kernel": ((5,), (5,), (1,), (0,), 5, 6),
    "1-D kernel no multiple of the stride": ((17,), (5,), (3,), (2,), 5, 6),
}
OPERATIONS = {
    "convolve": (conv.convolve, native_convolve, "xw"),
    "spread": (conv.spread, native_spread, "yw"),
    "correlate": (conv.correlate, native_correlate, "xy"),
}


def operands(case, dtype, seed=0):
    size, kernel, stride, padding, large, small = CASES[case]
    geometry = Geometry(kernel, stride, padding, size)
    rng = np.random.default_rng(seed)
    shapes = {"x": (2, *size, large), "y": (2, *geometry.small, small), "w": (*kernel, large, small)}
    return geometry, {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("case", CASES)
def test_every_direction_equals_lax_in_f64(case):
    with jax.enable_x64(True):
        geometry, arrays = operands(case, np.float64)
        for ours, native, names in OPERATIONS.values():
            given = [jnp.asarray(arrays[name]) for name in names]
            assert_close(jax.jit(ours, static_argnums=2)(*given, geometry), native(*given, geometry), 1e-10)


@pytest.mark.parametrize("case", ["halving", "same size, tiny", "1-D halving"])
def test_values_equal_lax_in_f32(case):
    geometry, arrays = operands(case, np.float32)
    for ours, native, names in OPERATIONS.values():
        given = [jnp.asarray(arrays[name]) for name in names]
        result = jax.jit(functools.partial(ours, geometry=geometry))(*given)
        assert result.dtype == jnp.float32
        assert_close(result, native(*given, geometry))


@pytest.mark.parametrize("case", ["halving", "same size", "full kernel", "1-D fifths"])
def test_gradients_equal_those_of_lax(case):
    with jax.enable_x64(True):
        geometry, arrays = operands(case, np.float64)
        for ours, native, names in OPERATIONS.values():
            given = [jnp.asarray(arrays[name]) for name in names]
            gradient = lambda f: jax.jit(jax.grad(lambda a, b: jnp.sin(f(a, b, geometry)).sum(), (0, 1)))
            assert_close(gradient(ours)(*given), gradient(native)(*given), 1e-10)


@pytest.mark.parametrize("case", ["halving", "same size, tiny", "1-D halving"])
def test_gradient_penalty_equals_that_of_lax(case):
    def penalty(operation, x, w, geometry):
        slope = jax.grad(lambda x: jnp.tanh(operation(x, w, geometry)).sum())
        return (jnp.linalg.norm(slope(x)) - 1) ** 2

    with jax.enable_x64(True):
        geometry, arrays = operands(case, np.float64)
        x, w = jnp.asarray(arrays["x"]), jnp.asarray(arrays["w"])
        found = jax.jit(jax.grad(functools.partial(penalty, conv.convolve), (0, 1)), static_argnums=2)(x, w, geometry)
        assert_close(found, jax.grad(functools.partial(penalty, native_convolve), (0, 1))(x, w, geometry), 1e-10)


@pytest.mark.parametrize("kernel, stride, padding", [(4, 2, 1), (3, 1, 1), ((8, 6), 1, 0), ((3, 5), (2, 1), (0, 2))])
def test_conv2d_and_its_gradients_equal_torch(kernel, stride, padding):
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 8, 6, 5)).astype("f4"), rng.normal(size=(kh, kw, 5, 7)).astype("f4")
    tx, tw = to_torch(x), torch.tensor(w.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    ty = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding)
    ty.square().sum().backward()
    y, pull = jax.vjp(jax.jit(lambda x, w: conv.conv2d(x, w, stride, padding)), x, w)
    assert_close(y, from_torch(ty))
    assert_close(pull(2 * y), (from_torch(tx.grad), tw.grad.numpy().transpose(2, 3, 1, 0)))


@pytest.mark.parametrize("kernel, stride, padding", [(4, 2, 1), (3, 1, 1), ((4, 3), 1, 0), ((3, 5), (2, 1), (0, 2))])
def test_conv_transpose2d_and_its_gradients_equal_torch(kernel, stride, padding):
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 4, 3, 5)).astype("f4"), rng.normal(size=(kh, kw, 7, 5)).astype("f4")
    tx, tw = to_torch(x), torch.tensor(w.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    ty = torch.nn.functional.conv_transpose2d(tx, tw, stride=stride, padding=padding)
    ty.square().sum().backward()
    y, pull = jax.vjp(jax.jit(lambda x, w: conv.conv_transpose2d(x, w, stride, padding)), x, w)
    assert_close(y, from_torch(ty))
    assert_close(pull(2 * y), (from_torch(tx.grad), tw.grad.numpy().transpose(2, 3, 1, 0)))


@pytest.mark.parametrize("kernel, stride, padding", [(80, 16, 32), (4, 2, 1), (160, 1, 0)])
def test_conv1d_and_its_gradients_equal_torch(kernel, stride, padding):
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(2, 160, 3)).astype("f4"), rng.normal(size=(kernel, 3, 7)).astype("f4")
    tx, tw = to_torch(x), torch.tensor(w.transpose(2, 1, 0).copy(), requires_grad=True)
    ty = torch.nn.functional.conv1d(tx, tw, stride=stride, padding=padding)
    ty.square().sum().backward()
    y, pull = jax.vjp(jax.jit(lambda x, w: conv.conv1d(x, w, stride, padding)), x, w)
    assert_close(y, from_torch(ty))
    assert_close(pull(2 * y), (from_torch(tx.grad), tw.grad.numpy().transpose(2, 1, 0)))


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize("case", ["halving to a tiny map", "same size, tiny", "1-D halving", "full kernel"])
def test_accelerators_get_the_native_convolution(case, platform):
    geometry, arrays = operands(case, np.float32)

    def gradients(x, w):
        return jax.grad(lambda x, w: conv.convolve(x, w, geometry).sum(), (0, 1))(x, w), conv.convolve(x, w, geometry)

    program = jax.jit(gradients).trace(arrays["x"], arrays["w"]).lower(lowering_platforms=(platform,)).as_text()
    assert program.count("stablehlo.convolution") >= 3
    assert "dot_general" not in program


def test_one_program_for_several_platforms_chooses_when_it_is_compiled():
    geometry, arrays = operands("1-D halving", np.float32)
    exported = jax.export.export(
        jax.jit(lambda x, w: conv.convolve(x, w, geometry)), platforms=("cpu", "cuda", "tpu")
    )(arrays["x"], arrays["w"])
    program = exported.mlir_module()
    assert "stablehlo.convolution" in program and "stablehlo.dot_general" in program
    assert_close(exported.call(arrays["x"], arrays["w"]), native_convolve(arrays["x"], arrays["w"], geometry))


def test_the_cpu_gets_matrix_products_where_lax_falls_into_loops():
    geometry, arrays = operands("halving to a tiny map", np.float32)
    program = jax.jit(lambda x, w: conv.convolve(x, w, geometry)).lower(arrays["x"], arrays["w"]).as_text()
    assert "stablehlo.convolution" not in program and "dot_general" in program


@pytest.mark.parametrize("case", ["halving", "full kernel", "1-D fifths"])
def test_bfloat16_is_kept(case):
    geometry, arrays = operands(case, np.float32)
    for ours, native, names in OPERATIONS.values():
        given = [jnp.asarray(arrays[name]).astype(jnp.bfloat16) for name in names]
        result = jax.jit(ours, static_argnums=2)(*given, geometry)
        assert result.dtype == jnp.bfloat16
        assert_close(result.astype(jnp.float32), native(*(a.astype(jnp.float32) for a in given), geometry), 2e-2)


def loss(x, w):
    return jnp.square(conv.conv2d(x, w, 2, 1)).sum()


def test_works_under_vmap_remat_and_shard_map():
    geometry, arrays = operands("halving", np.float32)
    x, w = jnp.asarray(arrays["x"]), jnp.asarray(arrays["w"])
    expected = jax.jit(jax.grad(loss, (0, 1)))(x, w)
    assert_close(jax.jit(jax.grad(jax.checkpoint(loss), (0, 1)))(x, w), expected)

    each = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (0, None)))(x[:, None], w)
    assert_close((each[0][:, 0], each[1].sum(0)), expected)

    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows, whole = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()
    mapped = jax.shard_map(jax.grad(loss, (0, 1)), mesh=mesh, in_specs=(rows, whole), out_specs=(rows, whole),
                           check_vma=False)
    assert_close(jax.jit(mapped)(x, w), expected)


def test_vmap_over_kernels_too():
    geometry, arrays = operands("same size", np.float32)
    x, w = jnp.asarray(arrays["x"]), jnp.asarray(arrays["w"])
    found = jax.vmap(lambda x, w: conv.conv2d(x, w, 1, 1))(jnp.stack([x, 2 * x]), jnp.stack([w, -w]))
    expected = lax.conv_general_dilated(x, w, (1, 1), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    assert_close(found, jnp.stack([expected, -2 * expected]))


@pytest.mark.parametrize("x, w, message", [
    ((1, 8, 8, 3), (4, 4, 5, 2), "3 channels but kernel"),
    ((8, 8, 3), (4, 4, 3, 2), "kh, kw"),
    ((1, 2, 2, 3), (4, 4, 3, 2), "exceeds input"),
])
def test_what_does_not_fit_is_named(x, w, message):
    with pytest.raises(ValueError, match=message):
        conv.conv2d(jnp.zeros(x), jnp.zeros(w))


def test_a_transposed_convolution_that_leaves_nothing_is_named():
    with pytest.raises(ValueError, match="leaves"):
        conv.conv_transpose2d(jnp.zeros((1, 1, 1, 3)), jnp.zeros((2, 2, 2, 3)), 1, 1)


@pytest.mark.parametrize("layer, shape, kernel", [
    (conv.Conv(7, 4, 2, 1, dtype=jnp.bfloat16), (2, 8, 6, 5), (4, 4, 5, 7)),
    (conv.ConvTranspose(7, (4, 3), dtype=jnp.bfloat16), (2, 1, 1, 5), (4, 3, 7, 5)),
    (conv.Conv1d(7, 10, 5, 3, dtype=jnp.bfloat16), (2, 25, 5), (10, 5, 7)),
])
def test_layers_keep_parameters_in_f32(layer, shape, kernel):
    variables = jax.jit(layer.init)(jax.random.key(0), jnp.zeros(shape))
    assert jax.tree.map(lambda p: (p.shape, p.dtype), variables["params"]) == {
        "kernel": (kernel, jnp.float32), "bias": ((7,), jnp.float32)}
    assert layer.apply(variables, jnp.ones(shape)).dtype == jnp.bfloat16


@pytest.mark.parametrize("layer, shape", [
    (conv.Conv(96, 4, 2, 1, bias=False), (8, 16, 16, 64)),
    (conv.ConvTranspose(96, 4, 2, 1, bias=False), (8, 8, 8, 64)),
    (conv.ConvTranspose(96, 3, 1, 1, bias=False), (8, 8, 8, 64)),
])
def test_fresh_layers_keep_the_variance_of_their_input(layer, shape):
    x = jax.random.normal(jax.random.key(1), shape)
    y, _ = jax.jit(layer.init_with_output)(jax.random.key(0), x)
    assert 0.9 < y[:, 1:-1, 1:-1].std() < 1.1
