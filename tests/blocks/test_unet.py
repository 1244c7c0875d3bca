import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.blocks.compare import assert_close, conv_gradient, fresh, from_torch, load_conv, load_norm, to_torch
from thjax.blocks.norm import NormSpec
from thjax.blocks.unet import UNetDecoder
from thjax.core.context import Context

B, T, K, CHANNELS, SIZE = 2, 3, 5, (4, 6, 8), (16, 8)


def operands(seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
    skips = tuple(draw(B, SIZE[0] >> i + 1, SIZE[1] >> i + 1, c) for i, c in enumerate(CHANNELS))
    return draw(B, T, K), skips, np.tanh(draw(B, *SIZE, 3))


def joined_kernel(params, level):
    """[3, 3, out, x and skip]"""
    return np.concatenate([params[f"{name}_{level}"]["kernel"] for name in ("join", "join_skip")], 3)


class Twin(torch.nn.Module):
    """The public description in torch: the skip is concatenated behind x and repeated over the frames."""

    def __init__(self, params, grid):
        super().__init__()
        self.layers = torch.nn.ModuleDict()
        self._add(params, "expand", K, CHANNELS[-1], grid, 1, 0)
        for level in (2, 1):
            width = CHANNELS[level]
            joined = {f"join_{level}": {"kernel": joined_kernel(params, level)}}
            self._add({**params, **joined}, f"join_{level}", 2 * width, width, 3, 1, 1)
            self._add(params, f"double_{level}", width, CHANNELS[level - 1], 4, 2, 1)
        self.output = torch.nn.ConvTranspose2d(CHANNELS[0], 3, 4, 2, 1, bias=False)
        load_conv(self.output, params["output"])

    def _add(self, params, name, inputs, outputs, kernel, stride, padding):
        conv = torch.nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False)
        load_conv(conv, params[name])
        norm = torch.nn.BatchNorm2d(outputs)
        load_norm(norm, params["expand_norm" if name == "expand" else name.replace("_", "_norm_")])
        self.layers[name] = torch.nn.Sequential(conv, norm, torch.nn.ReLU())

    def forward(self, latent, skips):
        x = self.layers["expand"](latent.reshape(B * T, K, 1, 1))
        for level in (2, 1):
            x = self.layers[f"join_{level}"](torch.cat([x, skips[level].repeat_interleave(T, 0)], 1))
            x = self.layers[f"double_{level}"](x)
        return self.output(x)


@pytest.mark.parametrize("residual", [False, True])
def test_equals_torch_forward_and_backward(residual):
    latent, skips, still = operands()
    decoder = UNetDecoder(CHANNELS, residual=residual)
    params, rest = fresh(decoder, latent, skips, still)
    twin = Twin(params, skips[-1].shape[1:3])
    tz, tskips = torch.tensor(latent, requires_grad=True), [to_torch(skip) for skip in skips]
    ty = twin(tz, tskips)
    if residual:
        base = torch.arctanh(0.98 * to_torch(still)).repeat_interleave(T, 0)
        ty = float(params["gain"]) * ty + base
    ty = torch.tanh(ty)
    ty.square().sum().backward()

    def forward(params, latent, skips):
        y, _ = decoder.apply({"params": params, **rest}, latent, skips, still, train=True, mutable="batch_stats")
        return jnp.square(y).sum(), y

    (_, y), gradient = jax.jit(jax.value_and_grad(forward, (0, 1, 2), has_aux=True))(params, latent, skips)
    assert_close(y, from_torch(ty).reshape(B, T, *SIZE, 3))
    assert_close(gradient[1], tz.grad)
    assert_close(gradient[2][1:], [from_torch(skip.grad) for skip in tskips[1:]])
    for level in (2, 1):
        found = joined_kernel(gradient[0], level), gradient[0][f"double_{level}"]["kernel"]
        for kernel, name in zip(found, ("join", "double"), strict=True):
            assert_close(kernel, conv_gradient(twin.layers[f"{name}_{level}"][0])["kernel"])

def test_the_shallowest_skip_is_not_used():
    latent, skips, still = operands()
    decoder = UNetDecoder(CHANNELS)
    params, rest = fresh(decoder, latent, skips, still)
    run = jax.jit(lambda skips: decoder.apply({"params": params, **rest}, latent, skips))
    chex.assert_trees_all_equal(run(skips), run((skips[0] + 1, *skips[1:])))
    assert (run(skips) != run((skips[0], skips[1] + 1, skips[2]))).any()


def test_a_fresh_residual_decoder_starts_at_the_still():
    latent, skips, still = operands()
    decoder = UNetDecoder(CHANNELS, residual=True)
    variables = jax.jit(decoder.init)(jax.random.key(0), latent, skips, still)
    assert variables["params"]["gain"] == np.float32(0.3)
    silent = jax.tree.map(lambda x: x, variables)
    silent["params"]["gain"] = jnp.zeros(())
    frames = jax.jit(decoder.apply)(silent, latent, skips, still)
    assert_close(frames, np.repeat(0.98 * still[:, None], T, 1), 1e-6)


def test_the_papers_shapes():
    shapes = [(1, 64 >> i, 48 >> i, 64 << i) for i in range(5)]
    skips = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    latent = jax.ShapeDtypeStruct((1, 2, 316), jnp.float32)
    frames, variables = jax.eval_shape(
        lambda *args: UNetDecoder().init_with_output(jax.random.key(0), *args), latent, skips)
    assert frames.shape == (1, 2, 128, 96, 3) and frames.dtype == jnp.float32
    kernels = {name: net["kernel"].shape for name, net in variables["params"].items() if "kernel" in net}
    assert kernels["expand"] == (4, 3, 1024, 316) and kernels["output"] == (4, 4, 3, 64)
    assert kernels["join_4"] == kernels["join_skip_4"] == (3, 3, 1024, 1024)
    assert kernels["double_1"] == (4, 4, 64, 128)


@pytest.mark.parametrize("kind", ["batch", "paper_batch", "group"])
def test_padded_frames_change_nothing(kind):
    latent, skips, still = operands()
    valid = np.array([[1, 1, 0], [1, 0, 0]], np.float32)
    decoder = UNetDecoder(CHANNELS, NormSpec(kind, 1))
    params, rest = fresh(decoder, latent, skips, still)

    rows = np.nonzero(valid)

    def run(params, latent):
        y, new = decoder.apply({"params": params, **rest}, latent, skips, None, valid, Context(), True,
                               mutable=["batch_stats"])
        y = y[rows]
        return jnp.square(y).sum(), (y, new)

    other = np.where(valid[..., None] > 0, latent, 5).astype(np.float32)
    step = jax.jit(jax.grad(run, has_aux=True))
    chex.assert_trees_all_equal(step(params, latent), step(params, other))


def test_bf16_draws_f32_frames_with_f32_parameters():
    latent, skips, still = operands()
    decoder = UNetDecoder(CHANNELS, residual=True, dtype=jnp.bfloat16)
    params, rest = fresh(decoder, latent, skips, still)
    assert {leaf.dtype for leaf in jax.tree.leaves((params, rest))} == {np.dtype(np.float32)}
    draw = lambda decoder: jax.jit(decoder.apply)({"params": params, **rest}, latent, skips, still)
    frames = draw(decoder)
    assert frames.dtype == jnp.float32
    assert_close(frames, draw(UNetDecoder(CHANNELS, residual=True)), 5e-2)


def test_wrong_skips_and_a_missing_still_are_named():
    latent, skips, still = operands()
    with pytest.raises(ValueError, match=r"skips have channels \(4, 6\)"):
        fresh(UNetDecoder(CHANNELS), latent, skips[:2])
    with pytest.raises(ValueError, match="pass `still`"):
        fresh(UNetDecoder(CHANNELS, residual=True), latent, skips)
