"""dirfa's generator made narrow, with all its losses, on eight devices. Run by test_executors.py in float64.

The boxes of mouth and eyes and the judge of faces look at landmarks of which some were not found: what counts is over
the whole batch, whichever device holds it. The judge itself computes in float32: metrics that it has a part in are as
close as that allows.
"""

import jax
import numpy as np
import pytest

from tests.engine.compare import assert_float32_close, assert_float64_close, assert_same_bits
from tests.parallel.stages import plain_sgd, wide
from tests.systems.dirfa_generator_narrow import KEY, built, make_batch, narrow
from thjax.core.config import ParallelConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import NetState, enter_stage
from thjax.parallel import compile_step
from thjax.systems.dirfa_generator.config import FIELDS, ScheduleConfig
from thjax.systems.dirfa_generator.seeing import FACE_JUDGE

STEPS, BATCH, SIDE = 2, 8, 16
UNSEEN = ("l1", "parts", "keypoint_prior", "deceived", "attributes_drawn", "discriminator_loss", "attributes_seen")
"""Metrics in which the judge of faces has no part."""
CONFIG = narrow(
    generator=dict(decoder_units=True),
    losses=dict(perceptual=0.5, judge=FACE_JUDGE, parts=5.0),
    data=DataSpec(fields=(*FIELDS, "landmarks"), window=4, stride=13, batch=BATCH, crop=CropSpec("none", SIDE, SIDE)),
    schedule=ScheduleConfig(reconstruction_steps=0, steps=STEPS),
)


def batch(number):
    """Pictures of noise with faces somewhere; nobody is found in the second, and the third's frames are not valid."""
    made, rng = make_batch(CONFIG, number), np.random.default_rng(number)
    made["landmarks"] = rng.uniform(2, SIDE - 2, (BATCH, 4, 68, 2)).astype(np.float32)
    made["landmarks"][1] = 0
    made["valid"][1:3] = 0
    return made


@pytest.fixture(scope="module")
def trained():
    """{(executor, devices): (nets, averages, metrics)} after two steps of SGD, which hides no factor in a gradient.

    The judge of faces stays what it was.
    """
    system = built(CONFIG)
    stage = plain_sgd(*system.stages)
    judge = jax.jit(system.networks[FACE_JUDGE].init)(KEY)
    donors = {FACE_JUDGE: NetState(params=judge["params"], variables={"batch_stats": judge["batch_stats"]})}
    start = jax.tree.map(wide, jax.jit(lambda key: enter_stage(system.networks, stage, None, key, donors))(KEY))
    results = {}
    for executor, devices in (("jit", 1), ("jit", 8), ("shard_map", 8), ("pmap", 8)):
        compiled = compile_step(stage, ParallelConfig(executor, devices))
        state = compiled.place_state(start)
        for number in range(STEPS):
            state, metrics = compiled.step(state, compiled.place_batch(batch(number)), KEY)
        assert compiled.compilations == 1 and bool(metrics.scalars["kept"])
        results[executor, devices] = jax.device_get((state.nets, state.ema, metrics))
    frozen = start.nets[FACE_JUDGE], *(nets[FACE_JUDGE] for nets, _, _ in results.values())
    for after in frozen[1:]:
        assert_same_bits(after, frozen[0])
    return results


def test_all_losses_count(trained):
    _, _, metrics = trained["jit", 1]
    assert all(metrics.scalars[name] > 1e-4 for name in ("parts", "perceptual", "deceived"))


@pytest.mark.parametrize("executor", ["jit", "shard_map", "pmap"])
def test_eight_devices_equal_one(executor, trained):
    (nets, averages, metrics), expected = trained[executor, 8], trained["jit", 1]
    assert_float64_close((nets, averages), expected[:2])
    assert_float64_close(*({name: found.scalars[name] for name in UNSEEN} for found in (metrics, expected[2])))
    assert_float32_close(metrics, expected[2])


def test_shard_map_equals_pmap_to_the_bit(trained):
    assert_same_bits(trained["shard_map", 8], trained["pmap", 8])
