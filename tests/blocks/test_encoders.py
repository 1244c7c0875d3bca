import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.blocks.compare import (
    assert_close,
    conv_gradient,
    fresh,
    from_torch,
    load_conv,
    load_norm,
    norm_gradient,
    to_torch,
)
from thjax.blocks.encoders import ImageEncoder, WaveformEncoder, waveform_layers
from thjax.blocks.norm import NormSpec
from thjax.core.context import Context

# (kernel, stride, padding, features): the tables of the public description of the waveform encoder.
TABLES = {
    (50_000, 8_000): [(250, 50, 100, 16), (4, 2, 1, 32), (4, 2, 1, 64), (4, 2, 1, 128), (4, 2, 1, 256), (4, 2, 1, 512),
                      (5, 1, 0, 256)],
    (16_000, 2_560): [(80, 16, 32, 16), (4, 2, 1, 32), (4, 2, 1, 64), (4, 2, 1, 128), (4, 2, 1, 256), (4, 2, 1, 512),
                      (5, 1, 0, 256)],
    (50_000, 10_000): [(250, 50, 100, 16), (4, 2, 1, 32), (4, 2, 1, 64), (4, 2, 1, 128), (10, 5, 3, 256),
                       (5, 1, 0, 256)],
}


@pytest.mark.parametrize("rate, window", TABLES)
def test_waveform_tables_are_those_of_the_public_description(rate, window):
    table = waveform_layers(rate, window, 256)
    assert [(layer.kernel, layer.stride, layer.padding, layer.features) for layer in table] == TABLES[rate, window]


def test_waveform_channels_can_be_listed():
    table = waveform_layers(16_000, 2_560, 128, (16, 32, 64, 64, 128, 128))
    assert [layer.features for layer in table] == [16, 32, 64, 64, 128, 128, 128]


@pytest.mark.parametrize("arguments, message", [
    ((16_000, 2_567, 8), "2567 samples at 16000"),
    ((44_100, 4_410, 8), "44100"),
    ((16_000, 2_560, 8, (16, 32)), "2 channels"),
])
def test_impossible_waveform_tables_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        waveform_layers(*arguments)


def waveform_twin(params, table):
    layers, inputs = [], 1
    for i, layer in enumerate(table):
        conv = torch.nn.Conv1d(inputs, layer.features, layer.kernel, layer.stride, layer.padding)
        last = i == len(table) - 1
        load_conv(conv, params["code_conv" if last else f"conv_{i}"])
        layers.append(conv)
        if last:
            layers.append(torch.nn.Tanh())
        else:
            norm = torch.nn.BatchNorm1d(layer.features)
            load_norm(norm, params[f"norm_{i}"])
            layers += [norm, torch.nn.ReLU()]
        inputs = layer.features
    return torch.nn.Sequential(*layers)


def test_waveform_encoder_equals_torch_forward_and_backward():
    encoder = WaveformEncoder(6, 2_000, 40, (3, 4, 5))
    x = np.random.default_rng(0).normal(size=(9, 40)).astype(np.float32)
    params, rest = fresh(encoder, x)
    table = waveform_layers(2_000, 40, 6, (3, 4, 5))
    twin = waveform_twin(params, table)
    tx = torch.tensor(x[:, None], requires_grad=True)
    ty = twin(tx)[:, :, 0]
    ty.square().sum().backward()

    def forward(params, x):
        y, _ = encoder.apply({"params": params, **rest}, x, train=True, mutable="batch_stats")
        return jnp.square(y).sum(), y

    (_, y), gradient = jax.jit(jax.value_and_grad(forward, (0, 1), has_aux=True))(params, x)
    assert_close(y, ty.detach())
    assert_close(gradient[1], tx.grad[:, 0], 1e-3)
    for i in range(len(table)):
        name = "code_conv" if i == len(table) - 1 else f"conv_{i}"
        # The bias in front of a batch norm has no effect: its gradient is rounding noise.
        assert_close(gradient[0][name]["kernel"], conv_gradient(twin[3 * i])["kernel"])
        if name != "code_conv":
            assert_close(gradient[0][f"norm_{i}"], norm_gradient(twin[3 * i + 1]))


def test_windows_of_another_length_are_named():
    with pytest.raises(ValueError, match="takes 2560"):
        WaveformEncoder().init(jax.random.key(0), jnp.zeros((1, 2_000)))


def image_twin(params, channels, code, kernel, slope, norm_first, norm):
    layers, inputs = [], 3
    for i, features in enumerate(channels):
        normed = norm and (i > 0 or norm_first)
        conv = torch.nn.Conv2d(inputs, features, 4, 2, 1, bias=not normed)
        load_conv(conv, params[f"conv_{i}"])
        layers.append(conv)
        if normed:
            layers.append(torch.nn.BatchNorm2d(features))
            load_norm(layers[-1], params[f"norm_{i}"])
        layers.append(torch.nn.LeakyReLU(slope))
        inputs = features
    conv = torch.nn.Conv2d(inputs, code, kernel, bias="bias" in params["code_conv"])
    load_conv(conv, params["code_conv"])
    return torch.nn.Sequential(*layers, conv)


FORMS = {
    "generator": dict(slope=0.0, norm_first=True, squash=True, code_bias=False),
    "discriminator": dict(slope=0.2, norm_first=False, squash=False, code_bias=True),
    "discriminator, no norm": dict(slope=0.2, norm_first=False, squash=False, code_bias=True, norm=NormSpec("none")),
}


@pytest.mark.parametrize("form", FORMS)
def test_image_encoder_equals_torch_forward_and_backward(form):
    fields, channels = FORMS[form], (4, 6)
    encoder = ImageEncoder(5, channels, **fields)
    x = np.random.default_rng(0).normal(size=(4, 16, 12, 3)).astype(np.float32)
    params, rest = fresh(encoder, x)
    twin = image_twin(params, channels, 5, (4, 3), fields["slope"], fields["norm_first"], "norm" not in fields)
    tx = to_torch(x)
    ty = twin(tx)[:, :, 0, 0]
    ty = torch.tanh(ty) if fields["squash"] else ty
    ty.square().sum().backward()

    def forward(params, x):
        (y, skips), _ = encoder.apply({"params": params, **rest}, x, train=True, mutable=["batch_stats"])
        return jnp.square(y).sum(), (y, skips)

    (_, (y, skips)), gradient = jax.jit(jax.value_and_grad(forward, (0, 1), has_aux=True))(params, x)
    assert_close(y, ty.detach())
    assert_close(gradient[1], from_torch(tx.grad))
    convs = [module for module in twin if isinstance(module, torch.nn.Conv2d)]
    for name, module in zip(("conv_0", "conv_1", "code_conv"), convs, strict=True):
        assert_close(gradient[0][name], conv_gradient(module))
    rectified = [i for i, module in enumerate(twin) if isinstance(module, torch.nn.LeakyReLU)]
    assert_close(skips, tuple(from_torch(twin[: i + 1](to_torch(x))) for i in rectified))


def test_the_generators_image_encoder_has_the_papers_shapes():
    encoder = ImageEncoder()
    x = jax.ShapeDtypeStruct((2, 128, 96, 3), jnp.float32)
    (code, skips), variables = jax.eval_shape(lambda x: encoder.init_with_output(jax.random.key(0), x), x)
    assert code.shape == (2, 50)
    assert [skip.shape[1:] for skip in skips] == [(64, 48, 64), (32, 24, 128), (16, 12, 256), (8, 6, 512), (4, 3, 1024)]
    assert variables["params"]["code_conv"]["kernel"].shape == (4, 3, 1024, 50)
    assert not any(name == "bias" for net in variables["params"] for name in variables["params"][net] if "conv" in net)


def test_images_that_cannot_be_halved_are_named():
    with pytest.raises(ValueError, match="multiples of 32"):
        ImageEncoder().init(jax.random.key(0), jnp.zeros((1, 100, 96, 3)))


@pytest.mark.parametrize("kind", ["batch", "paper_batch", "group"])
def test_padded_frames_change_nothing(kind):
    encoder = ImageEncoder(5, (4, 6), NormSpec(kind, 2))
    x = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype(np.float32)
    valid = np.array([1, 1, 0, 1, 0, 0], np.float32)
    params, rest = fresh(encoder, x)
    if kind == "paper_batch":
        x, valid = np.concatenate([x, x[::-1]]), np.concatenate([valid, valid])

    rows = np.flatnonzero(valid)

    @jax.jit
    def run(x):
        variables = {"params": params, **rest}
        (code, skips), new = encoder.apply(variables, x, valid, Context(), True, 3, mutable=["batch_stats"])
        return jax.tree.map(lambda a: a[rows], (code, skips)), new

    chex.assert_trees_all_equal(run(x), run(np.where(valid[:, None, None, None] > 0, x, 7)))
