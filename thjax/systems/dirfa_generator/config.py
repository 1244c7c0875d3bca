"""Configuration of dirfa's generation network. Defaults are face-vid2vid's at 256 x 256, which wu2023 builds on;
configs/dirfa_generator.py holds the variants."""

import dataclasses
from typing import Literal

from data_pipelines.schema import FPS
from thjax.blocks.norm import NormKind
from thjax.blocks.volume_decoder import DecoderKind
from thjax.core.config import RunConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.optim import OptimizerConfig

FIELDS = ("frames", "au", "pose")
LEAST_APART = 0.5
"""Seconds between the two frames of a pair: nearer ones teach to copy."""


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """Keypoints, feature volume, dense motion and decoder: one network."""

    keypoints: int = 15
    """K, points in space that carry the motion."""
    detector_channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Of the detector's halving layers."""
    detector_volume: int = 1024
    """Channels of the detector's volume where the picture becomes one."""
    detector_shrink: int = 4
    """The detector sees the picture smaller by this factor."""
    deformation: tuple[int, ...] = (128, 128)
    """Hidden layers from action units to the points' displacement."""
    channels: tuple[int, ...] = (64, 128, 256)
    """Of the appearance encoder: a 7 x 7 layer, then halving ones."""
    depth: int = 16
    """Positions of the volumes along the line of sight."""
    volume_channels: int = 32
    """Channels of the feature volume."""
    volume_blocks: int = 6
    """Residual blocks of the feature volume."""
    motion_channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Of the hourglass that estimates the motion."""
    motion_kernel: int = 7
    """Of the layers that mix the keypoints' motions and see occlusion; odd."""
    motion_shrink: Literal[1, 2] = 1
    """2 estimates the motion at half the volume's height and width."""
    decoder: DecoderKind = "plain"
    """`plain`: residual blocks. `spade`: blocks modulated by the warped features, for quality."""
    decoder_features: int = 256
    """Channels of the warped features."""
    decoder_units: bool = False
    """Action units also scale and shift the warped features, place by place of the face: lips and lids need not wait
    for keypoints."""
    decoder_blocks: int = 6
    """Residual blocks of the decoder."""
    decoder_channels: tuple[int, ...] = (128, 64)
    """Of the decoder's doubling layers."""
    spade_features: int = 512
    """Channels of the blocks of the decoder `spade`."""
    output: Literal["image", "residual"] = "image"
    """`image`: sigmoid of the decoder. `residual`: sigmoid(g * decoder + logit(the photograph, warped)), g learnt."""
    norm: NormKind = "batch"
    """Normalisation behind the convolutions."""
    norm_momentum: float = 0.9
    """Share of the old running statistics kept at a step."""

    def __post_init__(self):
        for name in ("keypoints", "detector_volume", "detector_shrink", "depth", "volume_channels", "decoder_features",
                     "spade_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"generator.{name} {getattr(self, name)} must be at least 1")
        if self.motion_kernel % 2 == 0:
            raise ValueError(f"generator.motion_kernel {self.motion_kernel} must be odd")
        if len(self.channels) - 1 != len(self.decoder_channels):
            raise ValueError(
                f"generator.channels {self.channels} halve the picture {len(self.channels) - 1} times and "
                f"generator.decoder_channels {self.decoder_channels} double it {len(self.decoder_channels)} times; "
                "give as many of both"
            )


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
    """Judges patches of single frames, and reads Z off them."""

    channels: tuple[int, ...] = (64, 128, 256, 512)
    """Of the convolutions, each but the last halving."""
    spectral: bool = True
    """Divide kernels by their largest singular value."""


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the generator's losses; the adversarial term has its own in `adversarial`."""

    pixel: float = 0.0
    """Of the mean L1 over pixels in [0, 1]; the paper has none."""
    squared: float = 0.0
    """Of the mean squared error over pixels in [0, 1], which is what PSNR counts; the paper has none."""
    parts: float = 0.0
    """Of the mean squared error inside the boxes of mouth and eyes, each box by itself; needs the field `landmarks`. An
    eighth of the picture, in which nearly all shows that action units move; the paper has none."""
    perceptual: float = 10.0
    """lambda_rec, of the L1 between features of VGG-19 (eq. 9), or of `judge`; 0 leaves the network out."""
    vgg19: str = ""
    """Folder of VGG-19's weights, made by `thjax weights convert vgg19`."""
    judge: str = ""
    """The judge of faces that looks where `vgg19` names nothing: `face_loss`, which ships, or another file of `thjax
    judges train face_loss`; needs the field `landmarks`. Its layers are compared, and what it reads of expression and
    blinks."""
    pyramid: int = 4
    """Sizes of the picture that VGG-19 sees, each half the one before."""
    adversarial: float = 1.0
    """Of what the discriminator says of generated frames (eq. 8 with the labels put right)."""
    attributes: float = 1.0
    """lambda_attr, of the squared error of Z read off a frame, in deviations of the corpus (eq. 10)."""
    keypoint_prior: float = 10.0
    """Of face-vid2vid's prior: keypoints apart, and of mean depth 0.33."""
    agreement: float = 0.0
    """Of the difference between the canonical keypoints of both frames of a pair, face-vid2vid's equivariance."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in ("vgg19", "judge") and value < 0:
                raise ValueError(f"losses.{field.name} {value} must be 0 or more")
        if self.perceptual and not self.vgg19 and not self.judge:
            raise ValueError(
                "losses.perceptual compares features of VGG-19 and losses.vgg19 names no weights: convert the public "
                "file with `thjax weights convert vgg19` and give its folder; or set losses.judge face_loss; or set "
                "losses.perceptual 0 and losses.pixel above 0"
            )
        if self.judge.removesuffix(".safetensors").endswith("_metric"):
            raise ValueError(f"losses.judge {self.judge!r} is there to measure, and what trained by it could not be "
                             "measured by it; use face_loss")
        if not self.pixel and not self.squared and not self.perceptual:
            raise ValueError("losses.pixel, losses.squared and losses.perceptual are all 0: nothing asks for the true "
                             "frame")
        if self.pyramid < 1:
            raise ValueError(f"losses.pyramid {self.pyramid} must be at least 1")


@dataclasses.dataclass(frozen=True)
class OptimizersConfig:
    """Adam for both networks; face-vid2vid's values."""

    generator: OptimizerConfig = OptimizerConfig(learning_rate=2e-4)
    discriminator: OptimizerConfig = OptimizerConfig(learning_rate=2e-4)
    ema: float = 0.999
    """Decay of the generator's averaged weights; 0 keeps none."""

    def __post_init__(self):
        if not 0 <= self.ema < 1:
            raise ValueError(f"optimizers.ema {self.ema} must lie in [0, 1)")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long the run is."""

    reconstruction_steps: int = 0
    """Steps of the stage `reconstruction`, without discriminator, before the stage `adversarial`; 0 leaves it out."""
    steps: int = 0
    """Steps of the stage `adversarial`; 0 counts `epochs` instead."""
    epochs: float = 0.0
    """Epochs of the stage `adversarial` at most."""

    def __post_init__(self):
        for name in ("reconstruction_steps", "steps", "epochs"):
            if getattr(self, name) < 0:
                raise ValueError(f"schedule.{name} {getattr(self, name)} must be 0 or more")
        if not self.reconstruction_steps and not self.steps and not self.epochs:
            raise ValueError("schedule: the run has no end; set reconstruction_steps, steps or epochs")


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A run of dirfa's generation network (wu2023, section 3.3)."""

    system: str = "dirfa_generator"
    # Frames as stored: one fixed square a clip. Aligning every frame would take the head's motion out of it.
    data: DataSpec = DataSpec(
        fields=FIELDS, window=4, stride=13, batch=16, crop=CropSpec("none", height=256, width=256),
    )
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    losses: LossConfig = LossConfig(perceptual=0.0, pixel=10.0)
    optimizers: OptimizersConfig = OptimizersConfig()
    schedule: ScheduleConfig = ScheduleConfig(epochs=100)

    def __post_init__(self):
        super().__post_init__()
        if missing := [name for name in FIELDS if name not in self.data.fields]:
            raise ValueError(f"data.fields {self.data.fields} lacks {missing}, which dirfa_generator needs")
        if self.losses.perceptual and not self.losses.vgg19 and "landmarks" not in self.data.fields:
            raise ValueError(f"losses.judge {self.losses.judge!r} looks at faces upright, and data.fields "
                             f"{self.data.fields} lacks 'landmarks'; add it")
        if self.losses.parts and "landmarks" not in self.data.fields:
            raise ValueError(f"losses.parts {self.losses.parts} looks where landmarks are, and data.fields "
                             f"{self.data.fields} lacks 'landmarks'; add it, or set losses.parts 0")
        if self.data.window < 2 or self.data.stride < LEAST_APART * FPS:
            raise ValueError(
                f"data.window {self.data.window}, data.stride {self.data.stride}: a pair needs two frames at least "
                f"{LEAST_APART} s apart; use a window of 2 or more and a stride of {int(LEAST_APART * FPS) + 1} or more"
            )
        if self.data.crop.recipe == "canonical":
            raise ValueError("data.crop.recipe 'canonical' aligns every frame, which hides how the head moves; use "
                             "'none' or 'centre'")
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Every halving must come out even, or the way back up has another size."""
        g, size = self.generator, (self.data.crop.height, self.data.crop.width)
        halvings = {
            "channels": len(g.channels) - 1 + len(g.motion_channels) + (g.motion_shrink == 2),
            "detector_channels": len(g.detector_channels),
        }
        shrunk = {"channels": 1, "detector_channels": g.detector_shrink}
        for name, count in halvings.items():
            factor = shrunk[name] * 2**count
            if size[0] != size[1] or size[0] % factor:
                raise ValueError(
                    f"frames of {size[0]} x {size[1]}: generator.{name} and what follows need a square whose side is a "
                    f"multiple of {factor}; use fewer layers or another crop"
                )
