import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.blocks.compare import assert_close, fresh, from_torch, load_conv, load_gru, to_torch
from thjax.blocks.discriminators import FrameDiscriminator, SequenceDiscriminator
from thjax.blocks.encoders import waveform_layers
from thjax.blocks.norm import NormSpec
from thjax.core.context import Context

B, T, CHANNELS, AUDIO = 2, 4, (4, 6), (3, 4, 5)
PLAIN = NormSpec("none")


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def halving(params, channels, inputs, kernel):
    layers = []
    for i, features in enumerate(channels):
        layers += [torch.nn.Conv2d(inputs, features, 4, 2, 1), torch.nn.LeakyReLU(0.2)]
        load_conv(layers[-2], params[f"conv_{i}"])
        inputs = features
    bias = "bias" in params["code_conv"]
    layers.append(torch.nn.Conv2d(inputs, params["code_conv"]["kernel"].shape[-1], kernel, bias=bias))
    load_conv(layers[-1], params["code_conv"])
    return torch.nn.Sequential(*layers)


def sequence_twin(params, frames, windows, valid):
    image = torch.tanh(halving(params["image"], CHANNELS, 3, (4, 3))(frames.flatten(0, 1))).reshape(B, T, -1)
    x = windows.reshape(B * T, 1, -1)
    table = waveform_layers(2_000, 40, 5, AUDIO)
    for i, layer in enumerate(table):
        conv = torch.nn.Conv1d(x.shape[1], layer.features, layer.kernel, layer.stride, layer.padding)
        load_conv(conv, params["audio"]["code_conv" if i == len(table) - 1 else f"conv_{i}"])
        x = torch.tanh(conv(x)) if i == len(table) - 1 else torch.nn.functional.leaky_relu(conv(x), 0.2)
    codes = torch.cat([image, x.reshape(B, T, -1)], -1)
    gru = torch.nn.GRU(codes.shape[-1], 7, 2, batch_first=True)
    load_gru(gru, params["context"])
    states, _ = gru(codes)
    last = torch.tensor([int(np.flatnonzero(row)[-1]) for row in valid])
    x = states[torch.arange(B), last]
    for name in ("hidden", "logit"):
        x = torch.nn.functional.linear(x, torch.tensor(np.asarray(params[name]["kernel"]).T.copy()),
                                       torch.tensor(np.asarray(params[name]["bias"])))
        x = torch.nn.functional.leaky_relu(x, 0.2) if name == "hidden" else x
    return x[:, 0]


def test_frame_equals_torch_forward_and_backward():
    frames, still = draw(B, T, 16, 12, 3), draw(B, 16, 12, 3, seed=1)
    judge = FrameDiscriminator(CHANNELS, PLAIN)
    params, _ = fresh(judge, frames, still)
    twin = halving(params["image"], CHANNELS, 6, (4, 3))
    tx = to_torch(frames.reshape(B * T, 16, 12, 3))
    ty = twin(torch.cat([tx, to_torch(np.repeat(still, T, 0))], 1)).reshape(B, T)
    ty.square().sum().backward()

    def forward(x):
        y = judge.apply({"params": params}, x, still)
        return jnp.square(y).sum(), y

    (_, y), gradient = jax.jit(jax.value_and_grad(forward, has_aux=True))(frames)
    assert_close(y, ty.detach())
    assert_close(gradient, from_torch(tx.grad).reshape(frames.shape))


def test_sequence_equals_torch_forward_and_backward():
    frames, windows = draw(B, T, 16, 12, 3), draw(B, T, 40, seed=1)
    valid = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.float32)
    judge = SequenceDiscriminator(CHANNELS, 5, 7, 2, 6, 2_000, 40, AUDIO, PLAIN)
    params, _ = fresh(judge, frames, windows)
    tx = torch.tensor(frames.transpose(0, 1, 4, 2, 3).copy(), requires_grad=True)
    tw = torch.tensor(windows, requires_grad=True)
    ty = sequence_twin(params, tx, tw, valid)
    ty.square().sum().backward()

    def forward(frames, windows):
        y = judge.apply({"params": params}, frames, windows, valid)
        return jnp.square(y).sum(), y

    (_, y), gradient = jax.jit(jax.value_and_grad(forward, (0, 1), has_aux=True))(frames, windows)
    assert_close(y, ty.detach())
    assert_close(gradient, (tx.grad.numpy().transpose(0, 1, 3, 4, 2), tw.grad))


@pytest.mark.parametrize("kind", ["batch", "paper_batch", "group", "none"])
def test_padded_frames_change_no_logit(kind):
    frames, windows = draw(B, T, 16, 12, 3), draw(B, T, 40, seed=1)
    valid = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], np.float32)
    judge = SequenceDiscriminator(CHANNELS, 5, 7, 2, 6, 2_000, 40, AUDIO, NormSpec(kind, 1))
    params, rest = fresh(judge, frames, windows)
    variables = {"params": params, **rest}
    run = jax.jit(lambda f, w: judge.apply(variables, f, w, valid, Context(), True, mutable=["batch_stats"]))
    fill = lambda x: np.where(valid.reshape(B, T, *(1,) * (x.ndim - 2)) > 0, x, 3).astype(np.float32)
    chex.assert_trees_all_equal(run(frames, windows), run(fill(frames), fill(windows)))


def test_the_default_sizes_are_the_papers():
    frames, still = (jax.ShapeDtypeStruct(s, jnp.float32) for s in ((2, 3, 128, 96, 3), (2, 128, 96, 3)))
    logits, variables = jax.eval_shape(
        lambda *a: FrameDiscriminator().init_with_output(jax.random.key(0), *a), frames, still)
    assert logits.shape == (2, 3)
    kernels = [variables["params"]["image"][f"conv_{i}"]["kernel"].shape for i in range(5)]
    assert kernels == [(4, 4, a, b) for a, b in ((6, 64), (64, 128), (128, 256), (256, 512), (512, 1024))]
    assert "norm_0" not in variables["params"]["image"] and "norm_1" in variables["params"]["image"]
    windows = jax.ShapeDtypeStruct((2, 3, 2_560), jnp.float32)
    logits, variables = jax.eval_shape(
        lambda *a: SequenceDiscriminator().init_with_output(jax.random.key(0), *a), frames, windows)
    assert logits.shape == (2,)
    shapes = jax.tree.map(lambda p: p.shape, variables["params"])
    assert shapes["context"]["input_kernel_0"] == (256, 768) and shapes["context"]["hidden_kernel_1"] == (256, 768)
    assert shapes["hidden"]["kernel"] == (256, 128) and shapes["logit"]["kernel"] == (128, 1)
