"""dirfa: a transformer draws action units and head pose from speech, one of many plausible motions.

Paper: Wu, Yu, Zhan, Zhang, Zhang, Lu, "Audio-Driven Talking Face Generation with Diverse yet Realistic Facial
Animations", 2023 (wu2023). The mapping network; paper against ours:
thjax/systems/dirfa/README.md.

    thjax train dirfa:VARIANT --data DIR --out DIR

| variant | what it is | expected result | hours |
|---|---|---|---|
| `demo` | narrow, mixture head; embedded corpus, one CPU core | lips: opening r 0.89, width r 0.88 | 0.35 |
| `synthetic` | size `s`, the paper's head on the embedded corpus, one GPU | not measured yet | - |
| `lrw` | size `m` on LRW's clips of 29 frames | not measured yet | - |
| `voxceleb2` | size `m` on VoxCeleb2 | not measured yet | - |
| `demo_no_prob` | `demo` with continuous values | lips: r 0.86 and 0.79; brows keep 0.6 of the variance | 0.35 |
| `demo_no_tbm` | `demo` with sinusoidal positions | lips in talks: width r 0.89, past 100 frames 0.77 | 0.35 |
| `ablation_no_prob` | `synthetic` without categories: a regression | not measured yet | - |
| `ablation_no_tbm` | `synthetic` without the temporally biased mask: sinusoidal positions | not measured yet | - |
| `ablation_d10` ... `ablation_d750` | `synthetic` with D = 10, 100, 250, 500, 750 categories | not measured yet | - |
"""

import dataclasses
import functools

from configs import variant_of
from thjax.core.config import TrainConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.optim import OptimizerConfig
from thjax.systems.dirfa.config import (
    FIELDS,
    Config,
    LossConfig,
    MapperConfig,
    OptimizersConfig,
    SamplingConfig,
    ScheduleConfig,
    mapper_of_size,
)

PIXEL_FREE = CropSpec("none", height=64, width=64)


def demo() -> Config:
    """Minutes on one CPU core. Every departure from the paper is listed in the system's README."""
    steps = 8000
    return Config(
        data=DataSpec(fields=FIELDS, window=100, batch=8, crop=PIXEL_FREE),
        mapper=MapperConfig(width=160, layers=3, heads=4, history="waves", head="mixture", pose="relative"),
        losses=LossConfig(unscored=25, lip_noise=1.0, mood_noise=0.03, lip_readout=1.0, gain_db=6.0, tilt_db=10.0,
                          band_shift=1.0, noise_floor=0.3),
        sampling=SamplingConfig(together=("AU01+AU02+AU05", "AU04+AU07", "AU06+AU12")),
        optimizers=OptimizersConfig(
            mapper=OptimizerConfig(learning_rate=2.5e-3, b1=0.9, b2=0.98, warmup_steps=100, decay="cosine",
                                   decay_steps=steps, clip_norm=1.0),
            ema=0.98,
        ),
        schedule=ScheduleConfig(steps=steps),
        train=TrainConfig(evaluate_every=1000, evaluate_clips=64, checkpoint_every=1000, log_every=200),
    )


def synthetic() -> Config:
    """Size `s` with the paper's free logits, on records of the embedded corpus."""
    return Config(
        data=DataSpec(fields=FIELDS, window=75, batch=64, crop=PIXEL_FREE),
        mapper=mapper_of_size("s"), losses=LossConfig(unscored=25, gain_db=6.0), schedule=ScheduleConfig(epochs=200),
    )


def lrw() -> Config:
    """Whole clips of LRW: 29 frames, fewer than tau."""
    return Config(
        data=DataSpec(fields=FIELDS, window=29, batch=64, crop=PIXEL_FREE),
        mapper=mapper_of_size("m"), losses=LossConfig(unscored=0, gain_db=6.0),
        schedule=ScheduleConfig(epochs=100, patience=10),
    )


def voxceleb2() -> Config:
    """Records of VoxCeleb2, 75 to 106 frames."""
    return Config(
        data=DataSpec(fields=FIELDS, window=106, batch=64, crop=PIXEL_FREE),
        mapper=mapper_of_size("m"), losses=LossConfig(unscored=50, gain_db=6.0),
        schedule=ScheduleConfig(epochs=50, patience=5),
    )


def ablation_no_prob() -> Config:
    """Continuous values instead of categories: the paper's "w/o Prob"."""
    return _with_mapper(synthetic(), head="regression", history="waves")


def ablation_no_tbm() -> Config:
    """Plain causal mask within the same band, sinusoidal positions: the paper's "w/o TBM"."""
    return _with_mapper(synthetic(), positions="sinusoidal")


def demo_no_prob() -> Config:
    """`demo` with continuous values, and the pose as it stands: only a mixture's locations move with its slow mean."""
    return _with_mapper(demo(), head="regression", pose="absolute")


def demo_no_tbm() -> Config:
    """`demo` with sinusoidal positions."""
    return _with_mapper(demo(), positions="sinusoidal")


def _with_mapper(base: Config, **changes) -> Config:
    return dataclasses.replace(base, mapper=dataclasses.replace(base.mapper, **changes))


def _with_categories(categories: int) -> Config:
    return _with_mapper(synthetic(), categories=categories)


_MAKERS = {maker.__name__: maker for maker in (demo, synthetic, lrw, voxceleb2, ablation_no_prob, ablation_no_tbm,
                                               demo_no_prob, demo_no_tbm)}
_MAKERS |= {f"ablation_d{d}": functools.partial(_with_categories, d) for d in (10, 100, 250, 500, 750)}
VARIANTS = tuple(_MAKERS)


def get_config(variant: str) -> Config:
    """The config of a variant.

    Raises:
        ValueError: the variant is unknown; lists the known ones.
    """
    return variant_of("dirfa", _MAKERS, variant)
