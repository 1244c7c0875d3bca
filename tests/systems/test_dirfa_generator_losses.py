"""Losses of dirfa's generator against torch, by hand, and with the weights that the config gives them."""

import dataclasses

import numpy as np
import pytest
from dirfa_generator_narrow import KEY, make_batch, narrow

from tests.quick import quick_jit
from thjax import systems
from thjax.blocks.feature_layers import Pass
from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import NetState
from thjax.losses import keypoints, least_squares
from thjax.systems.dirfa_generator import inputs
from thjax.systems.dirfa_generator.config import FIELDS

torch = pytest.importorskip("torch")


def test_least_squares_against_torch_and_keypoint_prior_by_hand():
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 3, 4, 4)).astype("f4")
    mse, t = torch.nn.functional.mse_loss, torch.tensor
    mask = np.ones(3, "f4")
    theirs = 0.5 * mse(t(real), torch.ones(3, 4, 4)) + 0.5 * mse(t(fake), torch.zeros(3, 4, 4))
    ours = least_squares.discriminator_loss(real, fake, mask, Context())
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)
    theirs = 0.5 * mse(t(fake), torch.ones(3, 4, 4))
    assert float(least_squares.generator_loss(fake, mask, Context())) == pytest.approx(float(theirs), abs=1e-5)
    points = np.array([[[0, 0, -0.33], [0.2, 0, -0.33], [0.9, 0, -0.33]]], "f4")
    assert abs(keypoints.prior(points, mask[:1], Context()) - 2 * (0.1 - 0.04)) < 1e-6
    assert abs(keypoints.prior(points + [0, 0, 0.1], mask[:1], Context()) - 0.22) < 1e-6


def test_the_squared_error_is_what_its_weight_says():
    config = narrow(losses=dict(pixel=0.0, squared=7.0, keypoint_prior=0.0))
    batch = make_batch(config)
    rngs = Rngs(KEY, batch["example_id"])
    shared = {"frames": inputs.draw_pair(batch, rngs).truth + 0.5}
    loss, aux = systems.build(config).reconstruct({}, {}, shared, batch, rngs, Context())
    assert float(loss) == pytest.approx(7 * 0.25, rel=1e-5)
    assert float(aux.metrics["squared"]) == pytest.approx(0.25, rel=1e-5)


def test_boxes_hold_mouth_and_eyes_and_nothing_of_a_face_that_was_not_found():
    points = np.full((2, 68, 2), 30.0, np.float32)
    points[0, 48:68] = np.random.default_rng(0).uniform((20, 40), (30, 44), (20, 2))
    points[0, 48:50] = (20, 40), (30, 44)
    points[0, 17:22], points[0, 36:42] = (10, 10), (20, 14)
    points[0, 22:27], points[0, 42:48] = (34, 10), (44, 14)
    points[1] = np.nan
    masks = np.asarray(inputs.part_masks(points, 64, 56))
    assert masks.shape == (3, 2, 64, 56) and not masks[:, 1].any()
    for mask, (x, y) in zip(masks[:, 0], ((20, 40), (10, 10), (34, 10)), strict=True):
        true = np.zeros((64, 56))
        true[y - 2 : y + 6, x - 2 : x + 12] = 1  # a fifth of ten wider on every side
        np.testing.assert_array_equal(mask, true)


def test_an_error_at_the_mouth_counts_by_the_boxes_and_one_elsewhere_not():
    config = narrow(losses=dict(parts=5.0, keypoint_prior=0.0),
                    data=dataclasses.replace(narrow().data, fields=(*FIELDS, "landmarks")))
    batch = make_batch(config)
    batch["landmarks"] = np.full((3, 4, 68, 2), 3.0, np.float32)
    batch["landmarks"][:, :, 48] = (4, 8)
    batch["landmarks"][:, :, 49:68] = (9, 11)  # columns 3 to 9, rows 7 to 11
    rngs = Rngs(KEY, batch["example_id"])
    truth = inputs.draw_pair(batch, rngs).truth

    def of_parts(wrong):
        loss, aux = systems.build(config).reconstruct({}, {}, {"frames": truth + wrong}, batch, rngs, Context())
        assert float(loss) == pytest.approx(10 * float(aux.metrics["l1"]) + 5 * float(aux.metrics["parts"]), rel=1e-5)
        return float(aux.metrics["parts"])

    mouth = np.zeros((16, 16, 1), np.float32)
    mouth[7:12, 3:10] = 0.3
    assert of_parts(mouth) == pytest.approx(0.3**2 / 3, rel=1e-5)
    elsewhere = np.full((16, 16, 1), 0.3, np.float32) * (mouth == 0)
    elsewhere[3, 3] = elsewhere[2, 2] = elsewhere[2, 3] = elsewhere[3, 2] = 0  # the eyes, all in one place
    assert of_parts(elsewhere) == 0


def test_both_frames_of_a_pair_are_to_show_one_head():
    """`losses.agreement`: the canonical points that the detector finds in one and in the other."""
    points = np.zeros((2, 3, 3), "f4")
    others = points + np.array([0.3, 0.0, 0.0])
    assert keypoints.agreement(points, others, np.ones(2, "f4"), Context()) == pytest.approx(0.1)
    assert keypoints.agreement(points, others, np.zeros(2, "f4"), Context()) == 0

    config = narrow(losses=dict(pixel=1.0, agreement=3.0, keypoint_prior=0.0))
    batch, system = make_batch(config), systems.build(config)
    network, rngs = system.networks["generator"], Rngs(KEY, batch["example_id"])
    variables = quick_jit(network.init)(KEY)
    params, others = variables.pop("params"), variables
    pair = inputs.draw_pair(batch, rngs)
    net = NetState(params=params, variables=others)
    (loss, aux), (first, second) = quick_jit(lambda params: (
        system.reconstruct({"generator": params}, {"generator": net}, {"frames": pair.truth}, batch, rngs, Context()),
        [network.module.apply({"params": params, **others}, picture, Pass(pair.valid, train=True), method="canonical",
                              mutable=list(others))[0] for picture in (pair.picture, pair.truth)]))(params)
    apart = np.abs(first - second).mean()
    assert apart > 1e-4 and float(aux.metrics["agreement"]) == pytest.approx(apart, rel=1e-4)
    assert float(loss) == pytest.approx(3 * apart, rel=1e-4)
