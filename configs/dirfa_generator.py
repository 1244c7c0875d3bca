"""dirfa's generation network: a photograph, action units and head pose become frames.

Paper: Wu, Yu, Zhan, Zhang, Zhang, Lu, "Audio-Driven Talking Face Generation with Diverse yet Realistic Facial
Animations", 2023 (wu2023), section 3.3, on the networks of Wang, Mallya, Liu 2021 (face-vid2vid). Paper against ours:
thjax/systems/dirfa_generator/README.md.

    thjax train dirfa_generator:VARIANT --data DIR --out DIR

| variant | what it is | expected result | hours |
|---|---|---|---|
| `tiny` | 64 px, narrow, residual from the warped photograph; embedded corpus, CPU | 7.8 dB above copying | 0.4 |
| `vox128` | 128 px, half as wide as face-vid2vid, one GPU | not measured yet | - |
| `vox256` | face-vid2vid's sizes at 256 px, VGG-19 left out until its weights are named | not measured yet | - |
| `vox256_spade` | `vox256` with the decoder of SPADE blocks | not measured yet | - |
"""

import dataclasses

from configs import variant_of
from thjax.core.config import ParallelConfig, TrainConfig
from thjax.core.data_spec import CropSpec, DataSpec
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

REMAT = ParallelConfig(remat="all")


def tiny() -> Config:
    """Minutes on two CPU cores. Every departure from the paper is listed in the system's README."""
    steps = 1200
    return Config(
        data=DataSpec(fields=(*FIELDS, "landmarks"), window=4, stride=13, batch=8,
                      crop=CropSpec("none", height=64, width=64)),
        generator=GeneratorConfig(
            keypoints=10, detector_channels=(16, 32, 48), detector_volume=32, detector_shrink=2, deformation=(64,),
            channels=(24, 32), depth=4, volume_channels=16, volume_blocks=1, motion_channels=(24, 48), motion_kernel=3,
            motion_shrink=2, decoder_features=48, decoder_units=True, decoder_blocks=2, decoder_channels=(24,),
            output="residual", norm_momentum=0.98,
        ),
        discriminator=DiscriminatorConfig(channels=(24, 48, 96)),
        losses=LossConfig(
            pixel=10.0, squared=200.0, parts=300.0, perceptual=0.4, judge="face_loss", adversarial=0.01,
            attributes=0.01, keypoint_prior=0.01,
        ),
        optimizers=OptimizersConfig(
            generator=OptimizerConfig(
                learning_rate=2e-3, b1=0.9, warmup_steps=50, decay="cosine", decay_steps=steps, clip_norm=1.0
            ),
            ema=0.99,
        ),
        schedule=ScheduleConfig(reconstruction_steps=1100, steps=100),
        train=TrainConfig(evaluate_every=400, checkpoint_every=400),
    )


def vox128() -> Config:
    """Half of face-vid2vid's widths on frames of 128 pixels."""
    return Config(
        data=DataSpec(fields=FIELDS, window=4, stride=13, order="speakers", batch=16,
                      crop=CropSpec("none", height=128, width=128)),
        generator=GeneratorConfig(
            detector_channels=(32, 64, 128, 256, 512), detector_volume=512, detector_shrink=2, channels=(32, 64, 128),
            volume_channels=16, motion_channels=(32, 64, 128, 256, 512), decoder_features=128,
            decoder_channels=(64, 32),
        ),
        discriminator=DiscriminatorConfig(channels=(32, 64, 128, 256)), parallel=REMAT,
    )


def vox256() -> Config:
    """face-vid2vid's sizes. Once VGG-19 is converted: --losses.vgg19 DIR --losses.perceptual 10 --losses.pixel 0."""
    paper = Config()
    return dataclasses.replace(paper, data=dataclasses.replace(paper.data, order="speakers"), parallel=REMAT,
                               precision="bf16")


def vox256_spade() -> Config:
    """`vox256` with face-vid2vid's decoder for quality."""
    base = vox256()
    generator = dataclasses.replace(base.generator, decoder="spade", decoder_channels=(256, 64))
    return dataclasses.replace(base, generator=generator)


_MAKERS = {maker.__name__: maker for maker in (tiny, vox128, vox256, vox256_spade)}
VARIANTS = tuple(_MAKERS)


def get_config(variant: str) -> Config:
    """The config of a variant.

    Raises:
        ValueError: the variant is unknown; lists the known ones.
    """
    return variant_of("dirfa_generator", _MAKERS, variant)
