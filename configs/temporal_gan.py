"""Temporal GAN: a raw waveform and one still become a talking head.

Paper: Vougioukas, Petridis, Pantic, "End-to-End Speech-Driven Realistic Facial Animation with Temporal GANs",
CVPR Workshops 2019 (vougioukas2019). Paper against ours, layer by layer: thjax/systems/temporal_gan/README.md.

    thjax train temporal_gan:VARIANT --data DIR --out DIR

| variant | what it is | expected result | hours |
|---|---|---|---|
| `demo` | 64x48, narrow, residual from the still; embedded corpus, two CPU cores | see benchmarks/learning | 0.06 |
| `synthetic` | the paper's sizes on the embedded corpus, one GPU | not measured yet | - |
| `grid` | the paper's GRID run | the paper: 27.98 dB PSNR, 0.844 SSIM, 25.4 % WER | - |
| `tcd_timit` | the paper's TCD-TIMIT run | the paper: 23.54 dB PSNR, 0.697 SSIM | - |
| `voxceleb2` | the same networks on a corpus that the paper did not use | none published | - |
| `ablation_static` | the paper's baseline: a window of audio, no memory | the paper on GRID: 27.39 dB, 37.2 % WER | - |
| `ablation_no_sequence` | without the sequence discriminator | none published | - |
| `decay_to_tenth` | `synthetic` with the other reading of the paper's "10 %" | none published | - |
"""

import dataclasses

from configs import variant_of
from thjax.core.config import TrainConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.optim import OptimizerConfig
from thjax.systems.temporal_gan.config import (
    FALL_TO_A_TENTH,
    Config,
    DiscriminatorConfig,
    GeneratorConfig,
    LossConfig,
    OptimizersConfig,
    ScheduleConfig,
)

FIELDS = ("frames", "still", "audio", "landmarks")


def demo() -> Config:
    """Minutes on two CPU cores. Every departure from the paper is listed in the system's README."""
    return Config(
        data=DataSpec(
            fields=FIELDS, window=12, batch=4, mirror=True, crop=CropSpec("canonical", height=64, width=48),
        ),
        generator=GeneratorConfig(
            audio_channels=(16, 32, 64, 64, 128, 128), audio_code=128, context=128, channels=(24, 48, 96, 192),
            output="residual", norm_momentum=0.99,
        ),
        discriminators=DiscriminatorConfig(
            frame_channels=(32, 64, 128, 256), frames_per_clip=4, sequence_channels=(24, 48, 96, 128),
            audio_channels=(8, 16, 32, 32, 64, 64), code=64, context=64, hidden=64, norm="none",
        ),
        losses=LossConfig(reconstruction_map="mouth"),
        optimizers=OptimizersConfig(
            generator=OptimizerConfig(learning_rate=2e-3, warmup_steps=50, decay="cosine", decay_steps=2000),
            frame_discriminator=OptimizerConfig(learning_rate=2e-4),
            sequence_discriminator=OptimizerConfig(learning_rate=1e-4),
            ema=0.995,
        ),
        schedule=ScheduleConfig(reconstruction_steps=1200, steps=800, patience=0),
        train=TrainConfig(evaluate_every=500, evaluate_clips=8, checkpoint_every=500),
    )


def synthetic() -> Config:
    """The paper's sizes on the embedded corpus: 75 frames of 128 x 96, 16 clips a step."""
    return Config(schedule=ScheduleConfig(epochs=100), precision="bf16")


def grid() -> Config:
    """The paper's GRID run: 33 speakers, 1,000 phrases each, speakers split 50 : 20 : 30."""
    return Config(schedule=ScheduleConfig(epochs=100))


def tcd_timit() -> Config:
    """The paper's TCD-TIMIT run: 59 speakers, about 100 sentences each."""
    return Config(schedule=ScheduleConfig(epochs=200))


def voxceleb2() -> Config:
    """The same networks on faces in the wild; statistics stay those of the paper's batch however large ours is."""
    base = Config(schedule=ScheduleConfig(epochs=20))
    return dataclasses.replace(
        base,
        data=dataclasses.replace(base.data, batch=64),
        generator=dataclasses.replace(base.generator, norm="paper_batch"),
        discriminators=dataclasses.replace(base.discriminators, norm="paper_batch"),
    )


def ablation_static() -> Config:
    """The paper's baseline (section 3.3): a sliding window of audio, no GRU, L1 and the frame discriminator."""
    base = synthetic()
    return dataclasses.replace(
        base,
        generator=dataclasses.replace(base.generator, context_layers=0, noise_layers=0),
        discriminators=dataclasses.replace(base.discriminators, sequence=False),
    )


def ablation_no_sequence() -> Config:
    """The paper's generator, trained by the frame discriminator and the L1 alone."""
    base = synthetic()
    return dataclasses.replace(base, discriminators=dataclasses.replace(base.discriminators, sequence=False))


def decay_to_tenth() -> Config:
    """The other reading of "decay after epoch 20 with a rate of 10 %": once, to a tenth."""
    base = synthetic()
    optimizers = OptimizersConfig(
        generator=OptimizerConfig(learning_rate=2e-4, **FALL_TO_A_TENTH),
        frame_discriminator=OptimizerConfig(learning_rate=1e-3, **FALL_TO_A_TENTH),
    )
    return dataclasses.replace(base, optimizers=optimizers)


_MAKERS = {maker.__name__: maker for maker in (
    demo, synthetic, grid, tcd_timit, voxceleb2, ablation_static, ablation_no_sequence, decay_to_tenth)}
VARIANTS = tuple(_MAKERS)


def get_config(variant: str) -> Config:
    """The config of a variant.

    Raises:
        ValueError: the variant is unknown; lists the known ones.
    """
    return variant_of("temporal_gan", _MAKERS, variant)
