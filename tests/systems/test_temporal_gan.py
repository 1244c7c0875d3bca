"""The temporal GAN against its torch twin, and what its stages and masks promise."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from temporal_gan_narrow import KEY, SDA, close, compiled, make_batch, narrow, shaped
from temporal_gan_twin import TWINS, TrainStep, convert, frames_to_torch, randomise

from configs import temporal_gan as variants
from tests.quick import quick_jit
from thjax import systems
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import enter_stage, make_step
from thjax.metrics.mouth import mouth_mask
from thjax.systems.temporal_gan import inputs
from thjax.systems.temporal_gan.config import ScheduleConfig
from thjax.systems.temporal_gan.evaluators import mouth_box
from thjax.systems.temporal_gan.system import reconstruction_weights

# ---- networks against torch

TWINNED = {
    "demo": variants.get_config("demo"),
    "synthetic": dataclasses.replace(variants.get_config("synthetic"), precision="f32"),
    "static": narrow(dict(context_layers=0, noise_layers=0)),
    "fifty_kilohertz": narrow(SDA, dict(audio_channels=(2, 3, 4, 4, 3))),
}
PAIRS = [(name, net) for name in ("demo", "synthetic") for net in TWINS]
PAIRS += [("static", "generator"), ("fifty_kilohertz", "generator")]


@pytest.mark.parametrize("name, net", PAIRS)
def test_forward_equals_the_torch_twin(name, net):
    config, clips, frames = TWINNED[name], 2, 2
    rng, (h, w) = np.random.default_rng(3), (TWINNED[name].data.crop.height, TWINNED[name].data.crop.width)
    draw = lambda *shape: rng.uniform(-0.9, 0.9, shape).astype(np.float32)
    given = {
        "generator": (draw(clips, h, w, 3), draw(clips, frames, config.generator.audio_window),
                      draw(clips, frames, config.generator.noise)),
        "frame_discriminator": (draw(clips, frames, h, w, 3), draw(clips, h, w, 3)),
        "sequence_discriminator": (draw(clips, frames, h, w, 3), draw(clips, frames, config.generator.audio_window)),
    }[net]
    torch.manual_seed(0)
    twin = randomise(TWINS[net](config), 1, config.generator.norm_momentum if net == "generator" else 0.9)
    module, variables = systems.build(config).networks[net].module, convert(twin)
    theirs = [frames_to_torch(x) if x.ndim >= 4 else torch.from_numpy(x) for x in given]
    for train in (False, True) if name == "demo" else (True,):
        apply = quick_jit(lambda v, x, train=train: module.apply(v, *x, train=train, mutable=["batch_stats"]))
        made, updated = apply(variables, given)
        expected = twin.train(train)(*theirs).detach().numpy()
        close(made, np.moveaxis(expected, -3, -1) if net == "generator" else expected)
    # Running variances differ by design: torch keeps the unbiased one.
    after = paths(convert(twin).get("batch_stats", {}))
    for path, value in paths(updated.get("batch_stats", {})).items():
        assert path in after
        if path.endswith("mean"):
            close(value, after[path])


def test_step_equals_the_torch_twin():
    """Losses of three steps: every gradient, every optimizer and the order of the phases enter into them."""
    config = narrow(losses=dict(reconstruction=40.0))
    _, state, step = compiled(config, "adversarial")
    torch.manual_seed(1)
    twins = {name: randomise(twin(config), i) for i, (name, twin) in enumerate(TWINS.items())}
    nets = {}
    for name, twin in twins.items():
        variables = jax.tree.map(jnp.asarray, convert(twin))
        nets[name] = state.nets[name].replace(params=variables.pop("params"), variables=variables)
    state = state.replace(nets=nets)
    torch_step = TrainStep(config, twins)
    for index in range(3):
        batch = make_batch(config, seed=index)
        rngs = Rngs(jax.random.fold_in(KEY, index), jnp.asarray(batch["example_id"]))
        prepared = torch_step.place(prepare(config, batch, rngs))
        expected = {name: float(value) for name, value in torch_step(prepared).items()}
        state = state.replace(step=jnp.int32(index))
        state, metrics = step(state, batch, KEY)
        for name, value in expected.items():
            assert abs(float(metrics.scalars[name]) - value) <= 1e-3 * abs(value), (index, name)


def prepare(config, batch, rngs):
    """What the twin's step takes: our inputs, noise and sampled frames included."""
    frames = batch["valid"].shape[1]
    weights = reconstruction_weights(config, batch)
    return {
        "still": inputs.to_unit(batch["still"]), "frames": inputs.to_unit(batch["frames"]),
        "windows": inputs.batch_windows(config.generator, jnp.asarray(batch["audio"])),
        "noise": inputs.draw_noise(config.generator, rngs.stream("noise"), frames),
        "weights": jnp.broadcast_to(weights, (config.data.batch, frames, *weights.shape[-2:])),
        "chosen": inputs.choose_frames(
            rngs.stream("judged_frames"), batch["valid"], config.discriminators.frames_per_clip
        ),
    }


# ---- stages


def paths(tree):
    return {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def without_gradient(name):
    """A bias in front of batch statistics is subtracted again: its gradient is rounding noise."""
    return "audio/conv_" in name and name.endswith("bias")


def test_gradients_are_finite_and_reach_every_trained_weight():
    config = narrow()
    system, state, _ = compiled(config, "adversarial")
    batch = make_batch(config)
    rngs = Rngs(KEY, jnp.asarray(batch["example_id"]))
    params = {name: net.params for name, net in state.nets.items()}

    @quick_jit
    def gradients(params):
        def judged(judges):
            shared, _ = system.make_frames(params, state.nets, batch, rngs, Context())
            return system.discriminate(judges, state.nets, shared, batch, rngs, Context())[0]

        def deceived(generator):
            nets = {n: net.replace(params=params[n]) for n, net in state.nets.items()}
            shared, _ = system.make_frames({"generator": generator}, nets, batch, rngs, Context())
            return system.deceive({}, nets, shared, batch, rngs, Context())[0]

        return jax.grad(judged)({n: p for n, p in params.items() if n != "generator"}), jax.grad(deceived)(
            params["generator"]
        )

    for name, gradient in paths(gradients(params)).items():
        assert np.isfinite(gradient).all(), name
        assert without_gradient(name) or np.abs(gradient).max() > 1e-9, name


def test_the_phases_train_what_they_should_and_leave_the_rest_alone():
    config = narrow()
    system, state, _ = compiled(config, "adversarial")
    judges, generator = {"frame_discriminator", "sequence_discriminator"}, {"generator"}
    stage = system.stages[-1]
    assert [{trained.net for trained in phase.trains} for phase in stage.phases] == [judges, generator]
    alone = dataclasses.replace(stage, phases=stage.phases[1:])
    after, _ = quick_jit(make_step(alone, Context()))(state, make_batch(config), KEY)
    for name in judges:
        jax.tree.map(np.testing.assert_array_equal, state.nets[name], after.nets[name])
    before = paths(state.nets["generator"].params)
    assert not [name for name, value in paths(after.nets["generator"].params).items()
                if np.array_equal(value, before[name])]


def test_the_generators_optimizer_goes_on_where_the_discriminators_join():
    system, state, step = compiled(narrow(), "reconstruction")
    for _ in range(3):
        state, _ = step(state, make_batch(narrow()), KEY)
    first, second = system.stages
    joined = quick_jit(functools.partial(enter_stage, system.networks, second, previous=first))(state, KEY)
    jax.tree.map(np.testing.assert_array_equal, joined.nets["generator"], state.nets["generator"])
    assert set(joined.nets) == {"generator", "frame_discriminator", "sequence_discriminator"}


def test_a_short_run_learns():
    config = narrow()
    _, state, step = compiled(config, "reconstruction")
    losses = []
    for _ in range(30):
        state, metrics = step(state, make_batch(config), KEY)
        losses.append(float(metrics.scalars["l1"]))
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]


def test_padded_frames_change_nothing():
    config = narrow()
    _, state, step = compiled(config, "adversarial")
    batch, other = make_batch(config), make_batch(config, seed=9)
    batch["valid"][1, 3:] = 0
    changed = {name: value.copy() for name, value in batch.items()}
    for name in ("frames", "landmarks"):
        changed[name][1, 3:] = other[name][1, 3:]
    # The window of the last valid frame reaches 80 samples beyond it.
    heard = 3200 + 3 * 640 + 80
    changed["audio"][1, heard:] = other["audio"][1, heard:]
    (one, left), (two, right) = step(state, batch, KEY), step(state, changed, KEY)
    jax.tree.map(np.testing.assert_array_equal, (one, left.scalars), (two, right.scalars))
    changed["frames"][1, 2] = other["frames"][1, 2]
    assert step(state, changed, KEY)[1].scalars["l1"] != left.scalars["l1"]


# ---- ablations


def test_the_static_baseline_remembers_nothing():
    config = narrow(dict(context_layers=0, noise_layers=0), dict(sequence=False))
    system = systems.build(config)
    assert set(system.networks) == {"generator", "frame_discriminator"}
    network = system.networks["generator"]
    variables, apply = quick_jit(network.init)(KEY), quick_jit(network.module.apply)
    assert not {"context", "noise"} & set(variables["params"])
    rng = np.random.default_rng(0)
    still = rng.uniform(-1, 1, (1, 16, 12, 3)).astype(np.float32)
    windows = rng.uniform(-1, 1, (1, 4, 800)).astype(np.float32)
    noise = rng.standard_normal((1, 4, 3)).astype(np.float32)
    order = np.array([2, 0, 3, 1])
    made = apply(variables, still, windows, noise)
    shuffled = apply(variables, still, windows[:, order], noise[:, order])
    np.testing.assert_allclose(shuffled, made[:, order], atol=1e-6)


@pytest.mark.parametrize("judges", [dict(sequence=False), dict(frame=False), dict(sequence=False, frame=False)])
def test_a_discriminator_that_is_left_out_is_neither_built_nor_trained(judges):
    schedule = ScheduleConfig(steps=3, patience=0)
    config = narrow(discriminators=judges, schedule=schedule)
    system = systems.build(config)
    name = "reconstruction" if len(judges) == 2 else "adversarial"
    assert [stage.name for stage in system.stages] == [name]
    metrics = shaped(config, name)
    left = {f"{key}_discriminator" for key in ("frame", "sequence")} - {f"{key}_discriminator" for key in judges}
    assert {key.removesuffix("_accuracy") for key in metrics.scalars if key.endswith("_accuracy")} == left


# ---- evaluation


def test_the_evaluator_measures_what_the_metrics_room_measures():
    config = narrow()
    system, state, _ = compiled(config, "reconstruction")
    batch = make_batch(config)
    batch["valid"][0, 4:] = 0
    rngs = Rngs(KEY, jnp.asarray(batch["example_id"]))
    made = quick_jit(lambda nets: system.evaluators["reconstruction"](nets, batch, rngs, Context()))(state.nets)
    for i, counted in enumerate(batch["valid"] > 0):
        truth, frames = batch["frames"][i][counted], np.asarray(made.frames)[i][counted]
        np.testing.assert_allclose(made.per_example["psnr"][i], peak_signal_noise_ratio(truth, frames), rtol=1e-4)
        mask = mouth_mask(batch["landmarks"][i], 16, 12)
        np.testing.assert_array_equal(mouth_box(jnp.asarray(batch["landmarks"][i]), 16, 12), mask)
        error = np.mean((truth.astype(float) - frames)[mask[counted]] ** 2)
        np.testing.assert_allclose(made.per_example["mouth_psnr"][i], 10 * np.log10(255**2 / error), rtol=1e-4)
        l1 = np.abs(truth.astype(float) - frames).mean() / 127.5
        np.testing.assert_allclose(made.per_example["l1"][i], l1, atol=0.005)


def test_frames_are_judged_uniformly_among_the_valid_ones():
    valid = jnp.asarray([[1, 1, 0, 1, 0.0], [0, 0, 0, 0, 1.0]])
    chosen = np.asarray(inputs.choose_frames(jax.random.split(KEY, 2), valid, 3000))
    shares = np.bincount(chosen[0], minlength=5) / 3000
    np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 0, 1 / 3, 0], atol=0.04)
    assert (chosen[1] == 4).all()
