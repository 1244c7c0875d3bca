"""dirfa's generator against its torch twin, its geometry against the camera, its pairs and its stages."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dirfa_generator_narrow import KEY, KINDS, entered, make_batch, narrow  # noqa: E402
from dirfa_generator_twin import Discriminator, Generator  # noqa: E402
from dirfa_generator_twin_layers import WideConv3d  # noqa: E402
from dirfa_generator_weights import (  # noqa: E402
    as_ours,
    for_torch,
    inputs_for,
    of_twin,
    randomise,
    spectral_as_ours,
)

from configs import dirfa_generator as variants  # noqa: E402
from tests.blocks.compare import assert_close  # noqa: E402
from tests.quick import quick_jit  # noqa: E402
from thjax import systems  # noqa: E402
from thjax.blocks.feature_layers import Pass  # noqa: E402
from thjax.checkpoint.load import abstract_state  # noqa: E402
from thjax.core.rngs import Rngs  # noqa: E402
from thjax.systems.dirfa_generator import inputs  # noqa: E402

# ---- networks against torch


@pytest.fixture
def torch_in_float64():
    """Constants that the twin makes for itself, too."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", [
    kind if kind == "residual" else pytest.param(kind, marks=pytest.mark.thorough) for kind in KINDS])
def test_frames_and_gradients_are_the_torch_twins(kind, torch_in_float64):
    """In float64: norms of few values magnify the rounding of f32 on the way back."""
    frames, gradients = of_both(narrow(KINDS[kind]), pairs=2)
    assert frames["ours"].dtype == np.float64
    np.testing.assert_allclose(frames["ours"], frames["twin"], atol=1e-8)
    assert largest_difference(gradients) <= 1e-6


@pytest.mark.full_size
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("variant", ["tiny", "vox128", "vox256"])
def test_of_full_size_too(variant, torch_in_float64):
    """Five minutes and 10 GiB, a step of .ci/run: `pytest -n 0 -m full_size tests/systems/test_dirfa_generator.py`."""
    config = dataclasses.replace(variants.get_config(variant), precision="f32")
    frames, gradients = of_both(config, pairs=1, compiled=jax.jit)
    assert frames["ours"].dtype == np.float64
    np.testing.assert_allclose(frames["ours"], frames["twin"], atol=1e-8)
    assert largest_difference(gradients) <= 1e-6


def of_both(config, pairs, compiled=quick_jit):
    """Frames [N, H, W, 3], and the gradients of a random weighting of them by every parameter, ours and the twin's."""
    with jax.enable_x64(True):
        network = systems.build(config).networks["generator"]
        given = tuple(part.astype("f8") for part in inputs_for(config, n=pairs))
        shapes = jax.eval_shape(network.init, KEY)
        twin = randomise(Generator(config.generator)).double().train()
        variables = jax.tree.map(lambda leaf: leaf.astype("f8"), of_twin(twin, shapes))
        params, others = variables.pop("params"), variables
        ahead = np.random.default_rng(5).standard_normal(given[0].shape)

        @compiled
        def run(params):
            def draw(params):
                variables = {"params": params, **others}
                return network.module.apply(variables, *given, Pass(train=True), mutable=list(others))[0].frames

            frames, pull = jax.vjp(draw, params)
            return frames, pull(ahead)[0]

        frames, gradients = jax.device_get(run(params))
    theirs = twin(*for_torch(*given))
    theirs.backward(torch.tensor(np.moveaxis(ahead, -1, 1).copy()))
    return ({"ours": frames, "twin": np.moveaxis(theirs.detach().numpy(), 1, -1)},
            {"ours": gradients, "twin": as_ours(twin, shapes["params"], gradient=True)})


def test_the_twins_wide_convolution_is_torchs(torch_in_float64):
    planes, whole = WideConv3d(3, 4, 7, padding=3), torch.nn.Conv3d(3, 4, 7, padding=3)
    whole.load_state_dict(planes.state_dict())
    given, ahead = torch.randn(2, 3, 5, 9, 8), torch.randn(2, 4, 5, 9, 8)
    found = []
    for layer in (planes, whole):
        x = given.clone().requires_grad_()
        y = layer(x)
        y.backward(ahead)
        found.append([y.detach(), x.grad, layer.weight.grad, layer.bias.grad])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def largest_difference(gradients):
    """Of any parameter's gradient, over the largest that the twin has."""
    ours = dict(jax.tree_util.tree_leaves_with_path(gradients["ours"]))
    twins = jax.tree_util.tree_leaves_with_path(gradients["twin"])
    assert len(ours) == len(twins)
    largest = max(np.abs(leaf).max() for _, leaf in twins)
    return np.max([np.abs(ours[path] - leaf).max() for path, leaf in twins]) / largest  # NaN stays NaN


def test_the_discriminators_answers_and_gradients_are_the_torch_twins():
    config = narrow()
    network, (picture, *_) = systems.build(config).networks["discriminator"], inputs_for(config)
    shapes = jax.eval_shape(network.init, KEY)
    twin = randomise(Discriminator(config.discriminator)).train()
    variables = of_twin(twin, shapes)

    def judged(params):
        (logits, seen), new = network.module.apply(
            {"params": params, "spectral": variables["spectral"]}, picture, True, mutable=["spectral"])
        return jnp.square(logits).sum() + jnp.square(seen).sum(), (logits, seen, new)

    gradients, answers = quick_jit(jax.grad(judged, has_aux=True))(variables["params"])
    logits, seen = twin(*for_torch(picture))
    (logits.square().sum() + seen.square().sum()).backward()
    assert_close(answers[:2], (logits.detach().numpy(), seen.detach().numpy()))
    assert_close(answers[2]["spectral"], spectral_as_ours(twin, shapes["spectral"]))
    expected = as_ours(twin, shapes["params"], gradient=True)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(theirs).max() + 1e-5 * largest


COUNTS = {
    "tiny": (2_075_795, 96_096), "vox128": (24_430_860, 697_208), "vox256": (95_066_060, 2_770_648),
    "vox256_spade": (142_960_524, 2_770_648),
}


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_every_variant_has_the_twins_weights(variant):
    config = variants.get_config(variant)
    system = systems.build(config)
    for name, twin, section, count in zip(
        ("generator", "discriminator"), (Generator, Discriminator), (config.generator, config.discriminator),
        COUNTS[variant], strict=True,
    ):
        with torch.device("meta"):
            theirs = sum(value.numel() for value in twin(section).parameters())
        shapes = jax.eval_shape(system.networks[name].init, KEY)["params"]
        assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == theirs == count


# ---- pairs


def test_pairs_are_two_different_frames_with_faces_and_follow_the_example():
    config = narrow()
    batch = make_batch(config)
    batch["valid"][0, 1], batch["valid"][1, :3], batch["valid"][2] = 0, 0, 0
    batch["au"][0, 1] = np.nan
    at_step = jax.jit(lambda batch, step: inputs.draw_pair(
        batch, Rngs(jax.random.fold_in(KEY, step), batch["example_id"])))
    places = set()
    for step in range(60):
        pair = at_step(batch, step)
        np.testing.assert_array_equal(pair.valid, [1, 0, 0])
        found = [[t for t in range(4) if np.array_equal(batch["frames"][0, t], inputs.to_pixels(shown[0]))][0]
                 for shown in (pair.picture, pair.truth)]
        np.testing.assert_array_equal(pair.z[0, :17], batch["au"][0, found[0]])
        np.testing.assert_array_equal(pair.driving[0, 17:], batch["pose"][0, found[1]])
        places.add(tuple(found))
    assert places == {(0, 2), (0, 3), (2, 0), (2, 3), (3, 0), (3, 2)}
    turned = {name: value[::-1] for name, value in batch.items()}
    again = at_step(turned, 59)
    np.testing.assert_array_equal(again.picture[2], pair.picture[0])


# ---- stages


def test_training_lowers_the_loss_and_each_phase_trains_its_own():
    config = narrow()
    system, state, step = entered(config, "adversarial")
    stage = system.stages[-1]
    assert [[trained.net for trained in phase.trains] for phase in stage.phases] == [["discriminator"], ["generator"]]
    batch, losses, start = make_batch(config), [], state
    # One colour a clip: what there is to learn in a few steps is to keep the photograph's.
    batch["frames"] = np.broadcast_to(batch["frames"][:, :1, :1, :1], batch["frames"].shape)
    for _ in range(30):
        state, metrics = step(state, batch, KEY)
        losses.append({name: float(value) for name, value in metrics.scalars.items()})
    assert all(np.isfinite(list(row.values())).all() for row in losses)
    mean = lambda name, part: np.mean([row[name] for row in losses[part]])
    assert mean("l1", slice(-5, None)) < 0.7 * mean("l1", slice(5))
    for name in ("generator", "discriminator"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(start.nets[name].params):
            after = state.nets[name].params
            for key in path:
                after = after[key.key]
            assert path[-1].key != "kernel" or np.abs(after - leaf).max() > 0, (name, path)


def test_a_run_that_resumes_in_its_first_stage_enters_the_second():
    """Networks made while shapes are traced, as resuming does, would be of tracers and fail from then on."""
    config = narrow()
    system = systems.build(config)
    assert abstract_state(system, config, "reconstruction").nets.keys() == {"generator"}
    assert quick_jit(system.networks["discriminator"].init)(KEY)["params"]


@pytest.mark.thorough
def test_pairs_without_faces_change_nothing():
    config = narrow()
    _, state, step = entered(config, "reconstruction")
    batch = make_batch(config)
    batch["valid"][:] = 0
    after, metrics = step(state, batch, KEY)
    assert float(metrics.scalars["l1"]) == 0
    assert np.isfinite(float(metrics.scalars["gradient_norm"]))


# ---- config


@pytest.mark.parametrize("change, message", [
    (dict(data=dict(stride=12)), "at least 0.5 s apart; use a window of 2 or more and a stride of 13 or more"),
    (dict(losses=dict(perceptual=10.0)), "losses.vgg19 names no weights: convert the public file"),
    (dict(losses=dict(pixel=0.0)), "nothing asks for the true frame"),
    (dict(losses=dict(perceptual=1.0, judge="face_loss")), "lacks 'landmarks'; add it"),
    (dict(losses=dict(parts=1.0)), "lacks 'landmarks'; add it, or set losses.parts 0"),
    (dict(losses=dict(judge="face_metric")), "'face_metric' is there to measure, .* use face_loss"),
    (dict(generator=dict(decoder_channels=(4, 4))), "halve the picture 1 times"),
    (dict(generator=dict(motion_channels=(4, 4, 4, 4))), r"square whose side is a multiple of 32"),
])
def test_configs_that_cannot_work_say_so(change, message):
    config = narrow()
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **{
            section: dataclasses.replace(getattr(config, section), **values) for section, values in change.items()
        })
