"""Configuration of the temporal GAN. Defaults are the paper's; configs/temporal_gan.py holds the variants."""

import dataclasses
from typing import Literal

from data_pipelines.schema import AUDIO_CONTEXT, FPS, SAMPLE_RATE
from thjax.audio.waveform import Windows
from thjax.blocks.encoders import waveform_layers
from thjax.blocks.norm import NormKind
from thjax.core.config import RunConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.optim import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """Waveform encoder, context GRU, identity encoder, noise GRU and U-Net decoder: one network."""

    audio_rate: int = 16_000
    """Samples per second that the waveform encoder hears; audio of 16 kHz is resampled on the device."""
    audio_window: int = 2_560
    """Samples of a window at `audio_rate`, centred on the frame: 0.16 s."""
    audio_channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    """Channels of the strided 1-D convolutions of the waveform encoder; their number follows from the window."""
    audio_code: int = 256
    """Features of a window's code."""
    context: int = 256
    """Features of the context GRU."""
    context_layers: int = 2
    """Layers of the context GRU; 0 leaves it out and a frame sees its own window alone."""
    noise: int = 10
    """Features of the noise, drawn per frame; 0 leaves it out."""
    noise_layers: int = 1
    """Layers of the noise GRU; 0 feeds the draws to the decoder as they are."""
    noise_std: float = 0.33
    """Standard deviation of the draws."""
    identity: int = 50
    """Features of the still's code."""
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels of the identity encoder from the finest level down; the decoder mirrors them."""
    output: Literal["image", "residual"] = "image"
    """`image`: tanh of the decoder. `residual`: tanh(g * decoder + arctanh(0.98 * still)), g learnt."""
    residual_gain: float = 0.3
    """Start of g."""
    norm: NormKind = "batch"
    """Normalisation behind the convolutions."""
    norm_momentum: float = 0.9
    """Share of the old running statistics kept at a step (torch's 0.1 is 0.9 here)."""

    def __post_init__(self):
        for name in ("context_layers", "noise", "noise_layers"):
            if getattr(self, name) < 0:
                raise ValueError(f"generator.{name} {getattr(self, name)} must be 0 or more")
        for name in ("audio_code", "context", "identity"):
            if getattr(self, name) < 1:
                raise ValueError(f"generator.{name} {getattr(self, name)} must be at least 1")
        if len(self.channels) < 2:
            raise ValueError(f"generator.channels {self.channels} needs at least two levels")


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
    """The frame discriminator, conditioned on the still, and the sequence discriminator, conditioned on the audio."""

    frame: bool = True
    """Judge single frames."""
    frame_channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels of the frame discriminator from the finest level down."""
    frames_per_clip: int = 1
    """Frames of a clip that the frame discriminator sees, drawn uniformly from the valid ones."""
    sequence: bool = True
    """Judge whole windows."""
    sequence_channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Channels of the image encoder from the finest level down."""
    audio_channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    """Channels of the waveform encoder's strided convolutions."""
    code: int = 128
    """Features of a frame's code, and of a window's code."""
    context: int = 256
    """Features of the GRU over both codes."""
    context_layers: int = 2
    hidden: int = 128
    """Features of the classifier's hidden layer."""
    norm: NormKind = "batch"
    """Normalisation behind all convolutions but the first."""

    def __post_init__(self):
        for name in ("frames_per_clip", "code", "context", "context_layers", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"discriminators.{name} {getattr(self, name)} must be at least 1")


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the generator's losses."""

    reconstruction: float = 400.0
    """Weight of the mean L1 over pixels in [-1, 1], against 1 for each adversarial term."""
    reconstruction_map: Literal["lower_half", "mouth", "whole"] = "lower_half"
    """Pixels that the L1 counts; every map has mean one over the image. `mouth` needs landmarks."""
    mouth_weight: float = 4.0
    """Weight of the Gaussian on the mouth against the flat part of the `mouth` map."""

    def __post_init__(self):
        if self.reconstruction < 0 or self.mouth_weight < 0:
            raise ValueError("losses: weights must not be negative")


LOSE_A_TENTH = dict(decay="exponential", decay_factor=0.9, decay_after_epochs=20)
"""One reading of the paper's "decay after epoch 20 with a rate of 10 %": times 0.9 every epoch."""
FALL_TO_A_TENTH = dict(decay="drop", decay_factor=0.1, decay_after_epochs=20)
"""The other reading: times 0.1, once."""


@dataclasses.dataclass(frozen=True)
class OptimizersConfig:
    """Adam for every network, each with its own rate and decay."""

    generator: OptimizerConfig = OptimizerConfig(learning_rate=2e-4, **LOSE_A_TENTH)
    frame_discriminator: OptimizerConfig = OptimizerConfig(learning_rate=1e-3, **LOSE_A_TENTH)
    sequence_discriminator: OptimizerConfig = OptimizerConfig(learning_rate=5e-5)
    ema: float = 0.999
    """Decay of the generator's averaged weights; 0 keeps none."""

    def __post_init__(self):
        if not 0 <= self.ema < 1:
            raise ValueError(f"optimizers.ema {self.ema} must lie in [0, 1)")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long the run is."""

    reconstruction_steps: int = 0
    """Steps of the stage `reconstruction`, without discriminators, before the stage `adversarial`; 0 leaves it out."""
    steps: int = 0
    """Steps of the stage `adversarial`; 0 counts `epochs` instead."""
    epochs: float = 0.0
    """Epochs of the stage `adversarial` at most."""
    patience: float = 10.0
    """Epochs without a better reconstruction on validation that end the stage; 0 switches this off."""
    batches_per_epoch: int = 0
    """Steps of an epoch, which epoch-wise decays need; 0 lets `thjax train` fill it in from the manifest."""

    def __post_init__(self):
        for name in ("reconstruction_steps", "steps", "epochs", "patience", "batches_per_epoch"):
            if getattr(self, name) < 0:
                raise ValueError(f"schedule.{name} {getattr(self, name)} must be 0 or more")
        if not self.steps and not self.epochs:
            raise ValueError("schedule.steps and schedule.epochs are both 0: the run has no end; set one of them")


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A run of the temporal GAN (vougioukas2019)."""

    system: str = "temporal_gan"
    data: DataSpec = DataSpec(
        fields=("frames", "still", "audio", "landmarks"), window=75, batch=16, mirror=True,
        crop=CropSpec(recipe="canonical", height=128, width=96),
    )
    generator: GeneratorConfig = GeneratorConfig()
    discriminators: DiscriminatorConfig = DiscriminatorConfig()
    losses: LossConfig = LossConfig()
    optimizers: OptimizersConfig = OptimizersConfig()
    schedule: ScheduleConfig = ScheduleConfig(epochs=100)
    paper_batch: int = 16
    """Clips that share statistics where a `norm` is `paper_batch`."""
    chunk_frames: int = 2
    """Frames that the sampler makes at a time."""

    def __post_init__(self):
        super().__post_init__()
        size = (self.data.crop.height, self.data.crop.width)
        _check_levels("generator.channels", self.generator.channels, size)
        if self.discriminators.frame:
            _check_levels("discriminators.frame_channels", self.discriminators.frame_channels, size)
        if self.discriminators.sequence:
            _check_levels("discriminators.sequence_channels", self.discriminators.sequence_channels, size)
        if missing := [name for name in ("frames", "still", "audio") if name not in self.data.fields]:
            raise ValueError(f"data.fields {self.data.fields} lacks {missing}, which the temporal GAN needs")
        if self.losses.reconstruction_map == "mouth" and "landmarks" not in self.data.fields:
            raise ValueError("losses.reconstruction_map 'mouth' needs 'landmarks' in data.fields; add it")
        self._check_audio()
        for name in ("chunk_frames", "paper_batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if self.schedule.reconstruction_steps and not (self.discriminators.frame or self.discriminators.sequence):
            raise ValueError("schedule.reconstruction_steps counts steps before the discriminators, and there are none")

    def _check_audio(self) -> None:
        g = self.generator
        reach = max(windows_of(g).behind, windows_of(g).ahead)
        if reach > AUDIO_CONTEXT:
            raise ValueError(
                f"generator.audio_window {g.audio_window} at {g.audio_rate} Hz reaches {reach} samples beyond a frame; "
                f"records keep {AUDIO_CONTEXT}, use a shorter window"
            )
        waveform_layers(g.audio_rate, g.audio_window, g.audio_code, g.audio_channels)
        if self.discriminators.sequence:
            waveform_layers(g.audio_rate, g.audio_window, self.discriminators.code, self.discriminators.audio_channels)

    def with_batches_per_epoch(self, batches: int) -> "Config":
        """This config with the length of an epoch filled in, as `thjax train` reads it from the manifest."""
        if self.schedule.batches_per_epoch:
            return self
        return dataclasses.replace(self, schedule=dataclasses.replace(self.schedule, batches_per_epoch=batches))


def windows_of(config: GeneratorConfig) -> Windows:
    """How the generator's windows are cut from 16 kHz audio."""
    return Windows(config.audio_window, config.audio_rate, SAMPLE_RATE, FPS)


def _check_levels(name: str, channels: tuple[int, ...], size: tuple[int, int]) -> None:
    """Every level halves the image, so its size must divide."""
    factor = 2 ** len(channels)
    if not channels or min(channels) < 1:
        raise ValueError(f"{name} {channels} must name at least one level of at least one channel")
    if size[0] % factor or size[1] % factor:
        raise ValueError(
            f"{name} has {len(channels)} levels, each halving the image, but {size[0]} x {size[1]} pixels do not "
            f"divide by {factor}; use fewer levels, or a crop whose height and width are multiples of {factor}"
        )
