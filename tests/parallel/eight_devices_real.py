"""A real topology made narrow, all its depth and networks, on eight devices. Run by test_executors.py in f64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.temporal_gan import FIELDS
from tests.engine.compare import assert_float64_close, assert_same_bits
from tests.engine.toys import toy_batch
from tests.parallel.stages import plain_sgd
from thjax import systems
from thjax.core.config import ParallelConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import enter_stage
from thjax.parallel import compile_step
from thjax.systems.temporal_gan.config import Config, DiscriminatorConfig, GeneratorConfig, ScheduleConfig

KEY = jax.random.key(5)
AUDIO = (2, 2, 3, 3, 4, 4)
LEVELS = (2, 3, 3, 4, 4)
STEPS = 2


def narrow() -> Config:
    """The paper's sizes in all but the channels: 128 x 96, five levels, raw waveform, two-layer GRUs, batch norm."""
    return Config(
        data=DataSpec(fields=FIELDS, window=3, batch=8, crop=CropSpec("canonical", 128, 96)),
        generator=GeneratorConfig(audio_channels=AUDIO, audio_code=5, context=6, noise=3, identity=4, channels=LEVELS),
        discriminators=DiscriminatorConfig(
            frame_channels=LEVELS, sequence_channels=LEVELS, audio_channels=AUDIO, code=4, context=5, hidden=4
        ),
        schedule=ScheduleConfig(steps=STEPS, patience=0, batches_per_epoch=1),
    )


@pytest.fixture(scope="module")
def trained():
    """{(executor, devices): (nets, metrics)} after two steps of plain SGD, which hides no factor in a gradient."""
    system = systems.build(narrow())
    stage = plain_sgd(system.stages[-1])
    start = jax.tree.map(np.asarray, jax.jit(lambda key: enter_stage(system.networks, stage, None, key))(KEY))
    assert set(start.nets) == {"generator", "frame_discriminator", "sequence_discriminator"}
    results = {}
    for executor, devices in (("jit", 1), ("jit", 8), ("shard_map", 8), ("pmap", 8)):
        compiled = compile_step(stage, ParallelConfig(executor, devices))
        state = compiled.place_state(start)
        for number in range(STEPS):
            batch = toy_batch(stage.data, number * stage.data.batch)
            state, metrics = compiled.step(state, compiled.place_batch(batch), KEY)
        assert compiled.compilations == 1 and bool(metrics.scalars["kept"])
        results[executor, devices] = (state.nets, state.ema), metrics
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), start.nets, results["jit", 1][0][0])
    assert min(jax.tree.leaves({name: net.params for name, net in moved.items()})) > 0  # every tensor has learned
    return results


def test_everything_is_float64(trained):
    assert {leaf.dtype for leaf in jax.tree.leaves(trained["jit", 1][0])} == {jnp.dtype("float64")}


@pytest.mark.parametrize("executor", ["jit", "shard_map", "pmap"])
def test_eight_devices_equal_one(executor, trained):
    for result, expected in zip(trained[executor, 8], trained["jit", 1], strict=True):
        assert_float64_close(result, expected)


def test_shard_map_equals_pmap_to_the_bit(trained):
    assert_same_bits(trained["shard_map", 8], trained["pmap", 8])
