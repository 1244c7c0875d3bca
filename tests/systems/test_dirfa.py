"""dirfa's mapper against its torch twin; its loss, its stage, its variants."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from dirfa_narrow import KEY, KINDS, built, entered, make_batch, narrow, random_weights
from dirfa_twin import TwinMapper, convert, nats, randomise, slope

from configs import dirfa as variants
from tests.quick import quick_jit
from thjax import systems
from thjax.blocks.attention import alibi_slopes
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.systems.dirfa import heads, inputs
from thjax.systems.dirfa.animation import CHANNELS
from thjax.systems.dirfa.config import SIZES, MapperConfig, ScheduleConfig, mapper_of_size
from thjax.systems.dirfa.losses import smoothed_log_likelihood

PARAMETERS = {"s": 6_840_428, "m": 26_028_652, "l": 95_732_844, "xl": 316_682_860}


def close(ours, theirs, share=1e-4):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= share * np.abs(theirs).max()


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("kind", list(KINDS))
def test_loss_and_gradients_equal_the_torch_twin(kind):
    config = narrow(KINDS[kind], dict(lip_readout=0.5))
    system, batch = built(config), make_batch(config)
    twin = randomise(TwinMapper(config.mapper, readout=True))
    module, params = system.networks["mapper"].module, convert(twin)
    lesson = quick_jit(lambda b: inputs.make_lesson(config, system.quantiser, b, 3))(batch)
    features = quick_jit(lambda a: inputs.batch_features(config.mapper, a))(batch["audio"])
    given = [lesson.history, features, lesson.first, lesson.attended]
    theirs, lips = twin(*(torch.from_numpy(np.array(x)) for x in given))
    close(quick_jit(lambda p: module.apply({"params": p}, *given)[0])(params), theirs.detach())

    loss = lambda p: system.teach({"mapper": p}, {}, {}, batch, Rngs(KEY, batch["example_id"]), Context())
    (value, aux), gradients = quick_jit(jax.value_and_grad(loss, has_aux=True))(params)
    unit = np.array(system.quantiser.unit(lesson.values))
    moments = [torch.from_numpy(x.astype(np.float32)) for x in system.quantiser.unit_moments()]
    scored = torch.from_numpy(np.array(lesson.scored))[..., None]
    if kind == "regression":
        cost = ((theirs[..., 0] - torch.from_numpy(unit)) / moments[1]) ** 2
    else:
        target = torch.from_numpy(np.array(system.quantiser.encode(lesson.values)))
        cost = nats(config.mapper, theirs, target)
    expected = (cost * scored).sum() / scored.sum() / 23
    which = [CHANNELS.index(name) for name in ("AU10", "AU14", "AU17", "AU20", "AU23", "AU25", "AU26")]
    wanted = ((torch.from_numpy(unit) - moments[0]) / moments[1])[..., which]
    expected = expected + 0.5 * ((lips - wanted) ** 2).mean()
    expected.backward()
    assert abs(float(value) - expected.item()) <= 1e-4 * abs(expected.item())
    wanted = dict(jax.tree_util.tree_leaves_with_path(convert(twin, gradients=True)))
    largest = max(np.abs(leaf).max() for leaf in wanted.values())
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.abs(leaf - wanted[path]).max() <= 1e-4 * np.abs(wanted[path]).max() + 1e-6 * largest, path
        assert np.isfinite(leaf).all() and np.abs(leaf).max() > 0, path


def test_the_mixture_fills_the_categories():
    said = jnp.asarray(np.random.default_rng(0).normal(size=(4, 23, 12)), jnp.float32)
    said = said.at[..., 4:8].set(said[..., 4:8] * 0.3 + 0.4).at[..., 8:].set(jnp.exp(said[..., 8:] - 3))
    chances = np.asarray(heads.probabilities("mixture", said, 40))
    np.testing.assert_allclose(chances.sum(-1), 1, atol=1e-5)
    for category in (0, 7, 20, 39):
        told = heads.log_likelihood("mixture", said, jnp.full((4, 23), category), 40)
        np.testing.assert_allclose(np.exp(told), chances[..., category], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("categories", [2, 12, 500])
def test_a_mixture_is_drawn_by_the_inverse_of_its_distribution(categories):
    said = np.random.default_rng(1).normal(size=(23, 12))
    said[:, 4:8], said[:, 8:] = said[:, 4:8] * 0.4 + 0.5, np.minimum(np.exp(said[:, 8:] - 2), 1)
    uniform = np.random.default_rng(1).uniform(0, 1, (400, 23))
    with jax.enable_x64(True):
        drawn = np.asarray(jax.vmap(lambda row: heads.draw_mixture(jnp.asarray(said), row, categories))(uniform))
        reached = np.cumsum(heads.probabilities("mixture", jnp.asarray(said), categories), axis=-1)
    # Values far outside the range count in the outermost categories.
    assert np.isin(drawn, (0, categories - 1)).mean() > 0.05
    np.testing.assert_array_equal(drawn, (reached[None, :, :-1] <= uniform[..., None]).sum(-1))


def test_far_tails_have_finite_likelihood_and_gradient():
    said = jnp.concatenate([jnp.zeros(4), jnp.full(4, 0.01), jnp.full(4, 0.0005)])[None]
    value, gradient = jax.value_and_grad(
        lambda said: heads.log_likelihood("mixture", said, jnp.array([499]), 500)[0])(said)
    assert np.isfinite(value) and value < -1e4 and np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_label_smoothing_gives_to_neighbours_and_keeps_the_ends():
    said = jnp.asarray(np.random.default_rng(0).normal(size=(23, 6)), jnp.float32)
    told = jax.nn.log_softmax(said)
    for category, shares in ((2, [0, 0.1, 0.8, 0.1, 0, 0]), (0, [0.9, 0.1, 0, 0, 0, 0])):
        ours = smoothed_log_likelihood(0.2, "categorical", said, jnp.full(23, category), 6)
        np.testing.assert_allclose(ours, told @ np.array(shares), rtol=1e-5)


@pytest.mark.parametrize("heads_", [1, 2, 3, 8, 12, 20])
def test_slopes_for_any_number_of_heads(heads_):
    np.testing.assert_allclose(alibi_slopes(heads_), [slope(i, heads_) for i in range(heads_)])
    assert len(set(alibi_slopes(heads_))) == heads_
    if heads_ == 8:
        np.testing.assert_allclose(alibi_slopes(8), 0.5 ** np.arange(1, 9))


# ---- stage and variants


def test_the_stage_learns():
    noise = dict(lip_noise=1.0, lip_readout=0.5, gain_db=3.0, history_noise=0.1, label_smoothing=0.1)
    config = narrow(KINDS["mixture"], noise)
    system, state, step = entered(config)
    batch, before = make_batch(config), state
    losses = []
    for _ in range(30):
        state, metrics = step(state, batch, KEY)
        losses.append(float(metrics.scalars["cross_entropy"]))
    assert losses[-1] < losses[0] - 0.2 and metrics.scalars["kept"]
    assert 0 <= metrics.scalars["clipped"] < 0.05
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), before.nets, state.nets)
    assert all(value > 0 for value in jax.tree.leaves(moved["mapper"].params))
    rngs = Rngs(KEY, jnp.asarray(batch["example_id"]))
    values = quick_jit(lambda nets: system.evaluators["likelihood"](nets, batch, rngs, Context()))(state.nets)
    values = values.per_example
    assert set(values) == {"cross_entropy", *(f"cross_entropy_{group}" for group in ("lips", "brows", "pose"))}
    assert all(value.shape == (3,) and np.isfinite(value).all() for value in values.values())
    assert np.abs(np.mean(values["cross_entropy"]) - losses[-1]) < 0.5


def test_a_clip_of_29_frames_teaches_the_same_in_a_window_of_100():
    """LRW's clips, masked to what there is of them."""
    config = narrow()
    system, params = built(config), random_weights(config)[1]["params"]
    short = make_batch(config, frames=29, starts=(True,))
    long = make_batch(config, seed=1, frames=100, starts=(True,))  # what lies behind the clip's end is anything
    for name in ("au", "pose", "valid"):
        long[name][:, :29] = short[name]
    long["valid"][:, 29:] = 0
    heard = 29 * 640 + 2 * 3200
    long["audio"][:, :heard] = short["audio"]
    long |= {name: short[name] for name in ("start_pose", "start_frame", "example_id")}

    @jax.value_and_grad
    def loss(params, batch):
        return system.teach({"mapper": params}, {}, {}, batch, Rngs(KEY, batch["example_id"]), Context())[0]

    (value, gradient), (expected, wanted) = (quick_jit(loss)(params, batch) for batch in (long, short))
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))
    for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(wanted), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-4 * largest


@pytest.mark.parametrize("size", SIZES)
def test_sizes_have_the_parameters_of_the_description(size):
    config = dataclasses.replace(variants.get_config("synthetic"), mapper=mapper_of_size(size))
    shapes = jax.eval_shape(systems.build(config).networks["mapper"].init, KEY)["params"]
    with torch.device("meta"):
        twin = TwinMapper(config.mapper)
    assert count(shapes) == PARAMETERS[size] == sum(p.numel() for p in twin.parameters())
    assert (config.mapper.width, config.mapper.layers) == SIZES[size]


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_every_variant_has_its_stage_and_shapes(variant):
    config = variants.get_config(variant)
    system = systems.build(config)
    network, mapper = system.networks["mapper"], config.mapper
    b, t, once = 2, 3, jnp.ones((2, 3), bool)
    said, _ = jax.eval_shape(network.module.apply, jax.eval_shape(network.init, KEY), jnp.zeros((b, t, 23)),
                             jnp.zeros((b, t, 400)), once, once)
    assert said.shape == (b, t, 23, heads.numbers(mapper.head, mapper.categories, mapper.components))
    assert [stage.name for stage in system.stages] == ["mapping"] and config.variant == variant
    assert set(config.data.fields) == {"audio", "au", "pose", "start_pose", "start_frame"}
    assert mapper.reach == 50 and (config.losses.history_noise, config.losses.label_smoothing) == (0, 0)


def test_the_papers_numbers_stand_in_the_config():
    c = variants.get_config("voxceleb2")
    assert (c.mapper.categories, c.mapper.reach, c.mapper.audio_bands, c.mapper.head) == (500, 50, 20, "categorical")
    ablated = {name: variants.get_config(f"ablation_{name}").mapper for name in ("no_prob", "no_tbm", "d10", "d750")}
    assert (ablated["no_prob"].head, ablated["no_tbm"].positions) == ("regression", "sinusoidal")
    assert (ablated["d10"].categories, ablated["d750"].categories) == (10, 750)


@pytest.mark.parametrize("make, message", [
    (lambda: variants.get_config("dem"), "demo, synthetic, lrw"),
    (lambda: MapperConfig(width=100, heads=8), "multiple of mapper.heads 8"),
    (lambda: MapperConfig(head="regression"), "waves"),
    (lambda: MapperConfig(audio_columns=40), "use fewer columns"),
    (lambda: mapper_of_size("xs"), "use s, m, l, xl"),
    (lambda: ScheduleConfig(), "no end"),
    (lambda: narrow(losses=dict(unscored=8)), "leaves no frame"),
    (lambda: narrow(losses=dict(history_noise=1.0)), "history_noise 1.0"),
    (lambda: narrow(KINDS["regression"], losses=dict(label_smoothing=0.1)), "need categories"),
    (lambda: narrow(sampling=dict(temperature=0)), "top_k to 1"),
    (lambda: narrow(sampling=dict(top_k=(1, 2))), "give 1 or 23"),
    (lambda: narrow(sampling=dict(nucleus=(0.0,))), "lie in"),
])
def test_configs_that_cannot_work_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
