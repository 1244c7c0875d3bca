"""The temporal GAN made narrow, and what its tests do with it."""

import functools

import jax
import numpy as np

from configs import temporal_gan as variants
from tests.quick import quick_jit
from thjax import systems
from thjax.core.context import Context
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import enter_stage, make_step
from thjax.optim import OptimizerConfig
from thjax.systems.temporal_gan.config import (
    Config,
    DiscriminatorConfig,
    GeneratorConfig,
    LossConfig,
    OptimizersConfig,
    ScheduleConfig,
)

KEY = jax.random.key(0)
SDA = dict(audio_rate=50_000, audio_window=10_000, audio_channels=(2, 3, 4, 4, 3))


def narrow(generator=None, discriminators=None, losses=None, **fields) -> Config:
    """The real topology, made small: windows of 50 ms need fewer layers."""
    audio = (2, 3, 2)
    defaults = dict(
        data=DataSpec(
            fields=variants.FIELDS, window=5, batch=3, crop=CropSpec("canonical", height=16, width=12)
        ),
        optimizers=OptimizersConfig(
            *(OptimizerConfig(learning_rate=rate) for rate in (2e-3, 1e-3, 5e-4))
        ),
        schedule=ScheduleConfig(reconstruction_steps=3, steps=3, patience=0),
    )
    return Config(
        **(defaults | fields),
        generator=GeneratorConfig(**(dict(
            audio_window=800, audio_channels=audio, audio_code=6, context=5, noise=3, identity=4, channels=(4, 6),
        ) | (generator or {}))),
        discriminators=DiscriminatorConfig(**(dict(
            frame_channels=(4, 5), frames_per_clip=2, sequence_channels=(4, 5), audio_channels=audio, code=6,
            context=5, hidden=4,
        ) | (discriminators or {}))),
        losses=LossConfig(**(dict(reconstruction_map="mouth") | (losses or {}))),
    )


def make_batch(config: Config, seed: int = 0, frames: int | None = None) -> dict:
    rng, b, t = np.random.default_rng(seed), config.data.batch, frames or config.data.window
    h, w = config.data.crop.height, config.data.crop.width
    return {
        "example_id": np.arange(b, dtype=np.uint32),
        "valid": np.ones((b, t), np.float32),
        "frames": rng.integers(0, 256, (b, t, h, w, 3), dtype=np.uint8),
        "still": rng.integers(0, 256, (b, h, w, 3), dtype=np.uint8),
        "audio": rng.integers(-9000, 9000, (b, t * 640 + 6400), dtype=np.int16),
        "landmarks": rng.uniform(3, 12, (b, t, 68, 2)).astype(np.float32),
    }


def entered(system, until: str, run=lambda enter, state: quick_jit(enter)(state, KEY)):
    """The state at the start of a stage, and the stage."""
    state, previous = None, None
    for stage in system.stages:
        state = run(functools.partial(enter_stage, system.networks, stage, previous=previous), state)
        if stage.name == until:
            return state, stage
        previous = stage
    raise AssertionError(until)


def shaped(config, name: str):
    """Shapes of the metrics that a step of this stage reports; nothing is compiled."""
    state, stage = entered(systems.build(config), name, lambda enter, state: jax.eval_shape(enter, state, KEY))
    return jax.eval_shape(make_step(stage, Context()), state, make_batch(config), KEY)[1]


@functools.cache
def compiled(config: Config, name: str):
    """(system, state at the start of the stage, compiled step)."""
    system = systems.build(config)
    state, stage = entered(system, name)
    return system, state, quick_jit(make_step(stage, Context()))


def close(ours, twins, tolerance=1e-4):
    ours, twins = np.asarray(ours), np.asarray(twins)
    assert ours.shape == twins.shape
    assert np.abs(ours - twins).max() <= tolerance * max(np.abs(twins).max(), 1e-6)
