"""dirfa's mapper made narrow, and what its tests do with it."""

import dataclasses
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
from thjax.systems.dirfa.animation import Quantiser
from thjax.systems.dirfa.config import (
    FIELDS,
    Config,
    LossConfig,
    MapperConfig,
    OptimizersConfig,
    SamplingConfig,
    ScheduleConfig,
)

KEY = jax.random.key(0)
NARROW = dict(width=24, layers=2, heads=3, reach=5, table_features=3, categories=20, audio_bands=4, audio_columns=4)
KINDS = {
    "categorical": {},
    "mixture": dict(head="mixture", history="waves", positions="alibi_inside"),
    "relative": dict(head="mixture", history="waves", pose="relative"),
    "regression": dict(head="regression", history="waves", positions="sinusoidal"),
}


def narrow(mapper=None, losses=None, sampling=None, **fields) -> Config:
    """The real topology, made small."""
    defaults = dict(
        data=DataSpec(fields=FIELDS, window=8, batch=3, crop=CropSpec("none", 16, 16)),
        optimizers=OptimizersConfig(mapper=OptimizerConfig(learning_rate=1e-3, b1=0.9)),
        schedule=ScheduleConfig(steps=3), chunk_frames=2,
    )
    return Config(
        **(defaults | fields), mapper=MapperConfig(**(NARROW | (mapper or {}))),
        losses=LossConfig(**(dict(unscored=3) | (losses or {}))), sampling=SamplingConfig(**(sampling or {})),
    )


def make_batch(config: Config, seed: int = 0, frames: int | None = None, starts=(True, False, True)) -> dict:
    """Labels that move and sound that does not care; the second window lies in the middle of its clip."""
    rng, b, t = np.random.default_rng(seed), config.data.batch, frames or config.data.window
    audio = rng.normal(0, 3000, (b, t * 640 + 6400)).astype(np.int16)
    starts = np.resize(starts, b)
    audio[:, :3200] *= ~starts[:, None]
    pose = rng.normal(0, 1, (b, t, 6)).cumsum(1) * [1, 1, 1, 0.02, 0.02, 0.02] + [0, 0, 600, 0, 0, 0]
    return {
        "example_id": np.arange(b, dtype=np.uint32), "valid": np.ones((b, t), np.float32), "audio": audio,
        "au": rng.uniform(0, 5, (b, t, 17)).astype(np.float32), "pose": pose.astype(np.float32),
        "start_pose": pose[:, 0].astype(np.float32), "start_frame": np.where(starts, 0, 40).astype(np.int32),
    }


def shard_statistics(config: Config, batches: int = 2) -> list[dict]:
    """What a corpus of such batches would say of itself."""
    parts = []
    for seed in range(batches):
        batch = make_batch(config, seed)
        for au, pose in zip(batch["au"], batch["pose"], strict=True):
            record = {"face_ok": np.ones(len(au)), "segment": 0, "n": len(au), "au": au, "pose": pose}
            parts.append(statistics.of_clip([record]))
    return parts


def built(config: Config):
    """The system, told its statistics."""
    system = systems.build(config)
    system.statistics(shard_statistics(config))
    return system


def quantiser_of(config: Config) -> Quantiser:
    return built(config).quantiser


@functools.cache
def entered(config: Config):
    """(system, state at the start of its stage, compiled step)."""
    system = built(config)
    stage = system.stages[0]
    state = quick_jit(functools.partial(enter_stage, system.networks, stage, None))(KEY)
    return system, state, quick_jit(make_step(stage, Context()))


def random_weights(config: Config, seed: int = 1, scale: float = 0.5):
    """Variables of the mapper drawn large enough that everything in it matters."""
    network = systems.build(config).networks["mapper"]
    shapes = jax.eval_shape(network.init, KEY)
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = jax.tree_util.keystr(path)
        if leaf.ndim == 1 or "begin" in name:
            return (1.0 * ("scale" in name) + 0.3 * rng.normal(size=leaf.shape)).astype(np.float32)
        whole = any(word in name for word in ("table", "follow", "first", "centre", "anchor"))
        gain = 1.0 if whole else leaf.shape[0] ** -0.5
        return (scale * 2 * gain * rng.normal(size=leaf.shape)).astype(np.float32)

    return network.module, jax.tree_util.tree_map_with_path(draw, shapes)


def changed(config: Config, **sections) -> Config:
    """The config with fields of its sections changed."""
    return dataclasses.replace(
        config, **{name: dataclasses.replace(getattr(config, name), **values) for name, values in sections.items()}
    )
