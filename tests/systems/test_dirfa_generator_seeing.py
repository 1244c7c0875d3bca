"""What the judge of faces sees of frames in training: the same views as in measuring, and a gradient."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from dirfa_generator_narrow import KEY, make_batch, narrow

from configs import judges as recipes
from data_pipelines.crops import CANONICAL
from tests.quick import quick_jit
from thjax import systems
from thjax.core.context import Context
from thjax.core.errors import UserError
from thjax.core.rngs import Rngs
from thjax.engine import NetState
from thjax.judges import face, shipped
from thjax.judges.face_alignment import FACE_BOX, FACE_SIDE, reader_views
from thjax.judges.regions import MOUTH_BOX, MOUTH_SIDE
from thjax.systems.dirfa_generator import inputs, seeing
from thjax.train.donors import load_donors

STABLE = list(seeing.STABLE_LANDMARKS)


def faces(side=64, count=3):
    """Smooth pictures uint8, and landmarks of faces that are turned, moved and of several sizes."""
    rng = np.random.default_rng(0)
    noise = scipy.ndimage.gaussian_filter(rng.normal(size=(count, side, side, 3)), (0, 3, 3, 0))
    pictures = np.uint8(128 + 100 * noise / np.abs(noise).max())
    points = np.full((count, 68, 2), np.nan, np.float32)
    for row in range(count):
        turn, size = rng.uniform(-0.4, 0.4), rng.uniform(0.5, 0.6) * side
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        points[row, STABLE] = (CANONICAL - CANONICAL.mean(0)) * size @ rotation.T + side / 2 + rng.uniform(-3, 3, 2)
    return pictures, points


def judge():
    """A judge whose answers are not trained."""
    module = face.Network(seeing.JUDGE_SIZES)
    variables = quick_jit(module.init)(KEY, *seeing.judge_inputs())
    return module, NetState(params=variables["params"], variables={"batch_stats": variables["batch_stats"]})


def test_views_are_those_that_the_judge_measures_on():
    pictures, points = faces()
    face_view, mouth_view, _ = reader_views(pictures, points[:, STABLE])
    for view, box, side in ((face_view, FACE_BOX, FACE_SIDE), (mouth_view, MOUTH_BOX, MOUTH_SIDE)):
        ours = seeing.upright(jnp.asarray(pictures, jnp.float32), jnp.asarray(points[:, STABLE]), box, side)
        assert np.abs(np.asarray(ours) - view).max() < 1.0 and view.std() > 10


def test_sizes_are_those_of_the_recipe():
    assert recipes.face_loss().network == seeing.JUDGE_SIZES


def test_a_face_is_seen_to_change_and_the_gradient_leads_back():
    module, net = judge()
    pictures, points = faces()
    truth = pictures.astype(np.float32) / 255
    points[2] = np.nan  # nobody was found

    @quick_jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def unlike(drawn):
        look = seeing.face_look(module, net, points)
        ours, theirs = look(drawn), look(truth)
        return sum(abs(ours[layer] - theirs[layer]).mean() for layer in ours), ours

    (value, layers), _ = unlike(truth)
    assert value == pytest.approx(0, abs=1e-4) and len(layers) == 4 + 1 + 3 + 1 + 2  # of both towers, two readings
    assert all(len(layer) == 3 for layer in layers.values())
    (value, _), gradient = unlike(np.clip(truth + 0.2 * (np.indices((64, 64))[0] > 40)[..., None], 0, 1))
    assert value > 0.01 and np.isfinite(gradient).all() and np.abs(gradient[:2]).max() > 0


def test_the_loss_counts_faces_that_were_found():
    config = narrow(losses=dict(perceptual=3.0, judge="face_loss"))
    config = dataclasses.replace(config, losses=dataclasses.replace(config.losses, pixel=1.0, keypoint_prior=0.0))
    batch, (_, net) = make_batch(config), judge()
    batch["landmarks"] = np.broadcast_to(faces(16, 3)[1][:, None], (3, 4, 68, 2))
    rngs = Rngs(KEY, batch["example_id"])
    truth = inputs.draw_pair(batch, rngs).truth
    system = systems.build(config)

    @quick_jit
    def of(drawn, valid):
        given = batch | {"valid": valid}
        loss, aux = system.reconstruct({}, {seeing.FACE_JUDGE: net}, {"frames": drawn}, given, rngs, Context())
        return loss, aux.metrics

    drawn = truth.at[0].set(1 - truth[0])
    loss, metrics = of(drawn, np.ones((3, 4), np.float32))
    assert float(loss) == pytest.approx(float(metrics["l1"]) + 3 * float(metrics["perceptual"]), rel=1e-5)
    assert metrics["perceptual"] > 0.01
    without = np.ones((3, 4), np.float32)
    without[0] = 0
    assert float(of(drawn, without)[1]["perceptual"]) == pytest.approx(0, abs=1e-4)


def test_a_face_that_was_not_found_leaves_the_gradient_whole():
    """The loader's landmarks of nobody are zeros."""
    config = narrow(losses=dict(perceptual=3.0, judge="face_loss", parts=5.0, keypoint_prior=0.0))
    batch, (_, net) = make_batch(config), judge()
    batch["landmarks"] = np.broadcast_to(faces(16, 3)[1][:, None], (3, 4, 68, 2)).copy()
    batch["landmarks"][0], batch["valid"][0] = 0, 0
    rngs, system = Rngs(KEY, batch["example_id"]), systems.build(config)

    @quick_jit
    @jax.value_and_grad
    def of(drawn):
        return system.reconstruct({}, {seeing.FACE_JUDGE: net}, {"frames": drawn}, batch, rngs, Context())[0]

    loss, gradient = of(np.random.default_rng(1).uniform(0, 1, (3, 16, 16, 3)).astype("f4"))
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    assert not gradient[0].any() and gradient[1].any()


def test_a_judge_comes_from_its_file_as_training_wrote_it(tmp_path):
    _, net = judge()
    path = tmp_path / "mine.safetensors"
    shipped.save(path, {"params": net.params, **net.variables}, {"name": "face_loss"})
    system = systems.build(narrow(losses=dict(perceptual=3.0, judge=str(path))))
    donors, origins = load_donors(system, system.stages[0])
    assert origins[seeing.FACE_JUDGE]["path"] == str(path)
    for ours, theirs in zip(jax.tree.leaves(donors[seeing.FACE_JUDGE]), jax.tree.leaves(net), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    quick_jit(system.networks["discriminator"].init)(KEY)  # made while shapes were traced, it would be of tracers
    with pytest.raises(UserError, match="nothing.safetensors has none"):
        lost = systems.build(narrow(losses=dict(perceptual=3.0, judge="nothing.safetensors")))
        load_donors(lost, lost.stages[0])
