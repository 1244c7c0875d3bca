"""dirfa's generator made narrow, and what its tests do with it."""

import functools

import jax
import numpy as np

from data_pipelines import statistics
from tests.quick import quick_jit
from thjax import systems
from thjax.core.context import Context
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import enter_stage, make_step
from thjax.optim import OptimizerConfig
from thjax.systems.dirfa_generator.config import (
    FIELDS,
    Config,
    DiscriminatorConfig,
    GeneratorConfig,
    LossConfig,
    OptimizersConfig,
    ScheduleConfig,
)

KEY = jax.random.key(0)
SIDE = 16
NARROW = dict(
    keypoints=3, detector_channels=(4, 6), detector_volume=4, detector_shrink=2, deformation=(5,), channels=(4, 6),
    depth=3, volume_channels=4, volume_blocks=1, motion_channels=(4, 6), motion_kernel=3, motion_shrink=1,
    decoder_features=6, decoder_blocks=1, decoder_channels=(4,), spade_features=8,
)
KINDS = {
    "plain": {},
    "residual": dict(output="residual", motion_shrink=2, detector_shrink=1, decoder_units=True),
    "spade": dict(decoder="spade"),
}


def narrow(generator=None, losses=None, **fields) -> Config:
    """The real topology, made small."""
    fields_of = (*FIELDS, "landmarks") if losses and "judge" in losses else FIELDS
    defaults = dict(
        data=DataSpec(fields=fields_of, window=4, stride=13, batch=3, crop=CropSpec("none", SIDE, SIDE)),
        optimizers=OptimizersConfig(*(OptimizerConfig(learning_rate=2e-3, b1=0.9) for _ in range(2))),
        schedule=ScheduleConfig(reconstruction_steps=2, steps=2),
        discriminator=DiscriminatorConfig(channels=(4, 6)),
    )
    weights = dict(pixel=10.0, perceptual=0.0, adversarial=0.1, attributes=0.1, keypoint_prior=0.1)
    return Config(**(defaults | fields), generator=GeneratorConfig(**(NARROW | (generator or {}))),
                  losses=LossConfig(**(weights | (losses or {}))))


def make_batch(config: Config, seed: int = 0) -> dict:
    """Pictures of noise, labels of heads before a camera."""
    rng, b, t = np.random.default_rng(seed), config.data.batch, config.data.window
    pose = rng.normal(0, 1, (b, t, 6)) * [5, 5, 9, 0.05, 0.05, 0.05] + [0, 0, 800, 0, 0, 0]
    return {
        "example_id": np.arange(b, dtype=np.uint32), "valid": np.ones((b, t), np.float32),
        "frames": rng.integers(0, 256, (b, t, SIDE, SIDE, 3), dtype=np.uint8),
        "au": rng.uniform(0, 5, (b, t, 17)).astype(np.float32), "pose": pose.astype(np.float32),
    }


def built(config: Config):
    """The system, told the statistics of a few clips."""
    batch, parts = make_batch(config, 9), []
    for au, pose in zip(batch["au"], batch["pose"], strict=True):
        record = {"face_ok": np.ones(len(au)), "segment": 0, "n": len(au), "au": au, "pose": pose}
        parts.append(statistics.of_clip([record]))
    system = systems.build(config)
    system.statistics(parts)
    return system


def entered(config: Config, until: str):
    """(system, state at the start of a stage, its compiled step)."""
    system, state, previous = built(config), None, None
    for stage in system.stages:
        enter = functools.partial(enter_stage, system.networks, stage, previous=previous)
        state = quick_jit(lambda state, enter=enter: enter(state, KEY))(state)
        if stage.name == until:
            return system, state, quick_jit(make_step(stage, Context()))
        previous = stage
    raise AssertionError(until)
