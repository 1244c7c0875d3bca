"""What trains by what: gradients leaf by leaf, the attribute head by true frames alone, VGG-19, rematerialisation."""

import dataclasses

import jax
import numpy as np
import pytest
from dirfa_generator_narrow import KEY, entered, make_batch, narrow

from configs import dirfa_generator as variants
from tests.pretrained.twins import randomise, save
from tests.quick import quick_jit
from thjax import cli, systems
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import make_step
from thjax.systems.dirfa_generator import inputs
from thjax.train.donors import load_donors

torch = pytest.importorskip("torch")

from tests.pretrained.test_image_networks import vgg  # noqa: E402

pytestmark = pytest.mark.thorough
GENERATOR, DISCRIMINATOR = "generator", "discriminator"


@pytest.fixture(scope="module")
def at_work():
    """(system, networks, batch, keys, the frames that the generator draws of it) in the stage with a discriminator."""
    config = narrow()
    system, state, _ = entered(config, "adversarial")
    batch = make_batch(config)
    rngs = Rngs(KEY, batch["example_id"])
    shared, _ = quick_jit(lambda params: system.draw(params, state.nets, batch, rngs, Context()))(
        {GENERATOR: state.nets[GENERATOR].params})
    return system, state.nets, batch, rngs, shared


def leaves(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_every_weight_of_the_generator_has_a_finite_gradient_and_only_what_a_norm_takes_away_has_none(at_work):
    system, nets, batch, rngs, _ = at_work

    @quick_jit
    @jax.grad
    def gradient(params):
        shared, _ = system.draw({GENERATOR: params}, nets, batch, rngs, Context())
        return system.deceive({GENERATOR: params}, nets, shared, batch, rngs, Context())[0]

    found = leaves(gradient(nets[GENERATOR].params))
    largest = max(np.abs(leaf).max() for leaf in found.values())
    assert all(np.isfinite(leaf).all() for leaf in found.values())
    still = {name for name, leaf in found.items() if np.abs(leaf).max() <= 1e-7 * largest}
    assert all(name.endswith("['bias']") for name in still), still


def test_the_discriminators_attribute_head_learns_from_true_frames_alone(at_work):
    system, nets, batch, rngs, shared = at_work

    @quick_jit
    @jax.grad
    def gradient(params, frames):
        drawn = shared | {"frames": frames}
        return system.discriminate({DISCRIMINATOR: params}, nets, drawn, batch, rngs, Context())[0]

    one, other = (leaves(gradient(nets[DISCRIMINATOR].params, frames)) for frames in (
        shared["frames"], shared["frames"][::-1] ** 2))
    assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in one.values())
    head = {name for name in one if "attribute" in name.lower()}
    assert head and all((one[name] == other[name]).all() for name in head)
    assert all((one[name] != other[name]).any() for name in one.keys() - head)


def test_frames_are_held_against_truth_by_vgg19_at_every_size(tmp_path, monkeypatch):
    """Eq. 9, with weights as they come out of `thjax weights convert`."""
    twin = randomise(vgg())
    converted = tmp_path / "vgg19.safetensors"
    assert cli.main(["weights", "convert", "vgg19", "--in", str(save(twin, tmp_path / "vgg19-dcbb9e9d.pth")), "--out",
                     str(converted)]) == 0
    monkeypatch.setattr("dirfa_generator_narrow.SIDE", 32)
    config = narrow(losses=dict(perceptual=3.0, vgg19=str(converted), pyramid=2, pixel=1.0, keypoint_prior=0.0))
    config = dataclasses.replace(config, data=dataclasses.replace(
        config.data, crop=dataclasses.replace(config.data.crop, height=32, width=32)))
    system, batch = systems.build(config), make_batch(config)
    nets, _ = load_donors(system, system.stages[0])
    rngs = Rngs(KEY, batch["example_id"])
    truth = inputs.draw_pair(batch, rngs).truth
    drawn = np.clip(truth + np.random.default_rng(1).normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)

    @jax.value_and_grad
    def perceptual(frames):
        loss, aux = system.reconstruct({}, nets, {"frames": frames}, batch, rngs, Context())
        return (loss - aux.metrics["l1"]) / 3

    value, gradient = quick_jit(perceptual)(drawn)
    ours, theirs = (torch.tensor(np.moveaxis(np.array(frames), -1, 1)) for frames in (drawn, truth))
    ours.requires_grad_()
    total = sum((a - b).abs().mean() for size in (1, 2) for a, b in zip(
        features(twin, ours, size), features(twin, theirs, size), strict=True))
    total.backward()
    assert float(value) == pytest.approx(total.item(), rel=1e-4)
    expected = np.moveaxis(ours.grad.numpy(), 1, -1)
    assert np.abs(gradient - expected).max() <= 1e-3 * np.abs(expected).max()


def features(twin, x, size):
    """relu1_1, relu2_1 ... relu5_1 of pictures [N, 3, H, W], made smaller by `size`."""
    x = torch.nn.functional.avg_pool2d(x, size)
    mean, deviation = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    x = (x - mean[:, None, None]) / deviation[:, None, None]
    for index, layer in enumerate(twin["features"][:30]):
        x = layer(x)
        if index in (1, 6, 11, 20, 29):
            yield x


def test_large_variants_are_rematerialised_and_that_changes_no_step():
    assert {name: variants.get_config(name).parallel.remat for name in variants.VARIANTS} == {
        "tiny": "none", "vox128": "all", "vox256": "all", "vox256_spade": "all"}
    config = narrow()
    system, state, step = entered(config, "adversarial")
    again = quick_jit(make_step(dataclasses.replace(system.stages[-1], remat=()), Context()))
    kept, recomputed = (leaves(take(state, make_batch(config), KEY)[0].nets) for take in (step, again))
    for name, start in leaves(state.nets).items():
        np.testing.assert_allclose(recomputed[name], kept[name], rtol=1e-3, atol=1e-5, err_msg=name)
        assert "kernel" not in name or (kept[name] != start).any()
