"""Configuration of dirfa's mapping network. Defaults are the paper's where it speaks; variants: configs/dirfa.py."""

import dataclasses
from typing import Literal

from data_pipelines.schema import AUDIO_CONTEXT, FPS
from thjax.audio.mel_magnitude import MelColumns
from thjax.core.config import RunConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.optim import OptimizerConfig
from thjax.systems.dirfa.animation import CHANNELS
from thjax.systems.dirfa.heads import HeadKind

SIZES = {"s": (256, 4), "m": (512, 6), "l": (768, 12), "xl": (1024, 24)}
"""Width and layers; a head of attention has 64 channels."""
HEAD_WIDTH = 64


@dataclasses.dataclass(frozen=True)
class MapperConfig:
    """The mapping network: an autoregressive transformer over frames."""

    width: int = 512
    """Channels of a token."""
    layers: int = 6
    heads: int = 8
    """Attention heads; any number that divides the width."""
    reach: int = 50
    """tau: frames that a frame sees, itself included."""
    positions: Literal["alibi", "alibi_inside", "sinusoidal"] = "alibi"
    """`alibi`: the temporally biased mask, bias outside the scaling. `alibi_inside`: eq. 1 as printed, the bias divided
    by the root of the head's width. `sinusoidal`: no bias, positions added to the tokens."""
    history: Literal["table", "waves"] = "table"
    """How a token carries the frame before. `table`: a learnt vector per category. `waves`: the values themselves,
    their sines and cosines."""
    pose: Literal["absolute", "relative"] = "absolute"
    """`relative`: the pose is told and said from its own slow mean, and expected a little nearer to rest, see
    posture.py. The mean is of all poses before, so that a frame depends on more than `reach` of them."""
    table_features: int = 32
    """Of a category's vector, for `table`."""
    head: HeadKind = "categorical"
    """`categorical`: D free logits a channel. `mixture`: few normal components fill the D bins, which learns in
    minutes. `regression`: one value a channel, nothing to draw."""
    categories: int = 500
    """D, intervals of a channel."""
    components: int = 4
    """Of the mixture; half of them start at the frame before."""
    audio_bands: int = 20
    """Mel bands."""
    audio_columns: int = 20
    """Mel columns of 10 ms around the middle of a frame."""

    def __post_init__(self):
        for name in ("width", "layers", "heads", "reach", "table_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"mapper.{name} {getattr(self, name)} must be at least 1")
        for name in ("categories", "components"):
            if getattr(self, name) < 2:
                raise ValueError(f"mapper.{name} {getattr(self, name)} must be at least 2")
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"mapper.width {self.width} must be even and a multiple of mapper.heads {self.heads}")
        if self.head == "regression" and self.history == "table":
            raise ValueError("mapper.head 'regression' has no categories to look up; set mapper.history to 'waves'")
        if self.pose == "relative" and (self.head, self.history) != ("mixture", "waves"):
            raise ValueError(f"mapper.pose 'relative' moves locations and values: set mapper.head 'mixture' and "
                             f"mapper.history 'waves', not {self.head!r} and {self.history!r}")
        mel = self.mel
        if max(mel.behind, mel.ahead) > AUDIO_CONTEXT:
            raise ValueError(
                f"mapper.audio_columns {self.audio_columns} reach {max(mel.behind, mel.ahead)} samples beyond a frame; "
                f"records keep {AUDIO_CONTEXT}, use fewer columns"
            )

    @property
    def mel(self) -> MelColumns:
        """How audio becomes features."""
        return MelColumns(self.audio_bands, self.audio_columns, FPS)


def mapper_of_size(size: str, **changes) -> MapperConfig:
    """The mapper of a size: s, m, l or xl.

    Raises:
        ValueError: the size is unknown.
    """
    if size not in SIZES:
        raise ValueError(f"size {size!r} is unknown; use {', '.join(SIZES)}")
    width, layers = SIZES[size]
    return MapperConfig(**({"width": width, "layers": layers, "heads": width // HEAD_WIDTH} | changes))


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The mapper's loss, and what training does to its inputs."""

    unscored: int = 50
    """Frames at the start of a window that is not a clip's start: they are history and not scored."""
    label_smoothing: float = 0.0
    """Share of the target's mass that goes to its two neighbours."""
    history_noise: float = 0.0
    """Share of the history's categories, frame by frame and channel by channel, replaced by any other; 0 is the
    paper's teacher forcing."""
    lip_noise: float = 0.0
    """Gaussian noise on the lips' history, in deviations of the corpus: a window's level is uniform from 0 to this."""
    mood_noise: float = 0.0
    """The same on the history of brows, cheeks and smile. They move in step when told truth, and each by itself
    when drawn, unless `sampling.together` binds them; a mapper that never saw them apart makes them differ more."""
    lip_readout: float = 0.0
    """Weight of the squared error of lips read linearly off the audio alone; 0 leaves the readout out."""
    gain_db: float = 0.0
    """A window's audio is louder or softer by up to this much."""
    tilt_db: float = 0.0
    """A window's spectrum is tilted by up to this much between its lowest and its highest band."""
    band_shift: float = 0.0
    """A window's spectrum is moved along the mel scale by up to this many bands."""
    noise_floor: float = 0.0
    """Quieter sound is raised to a level drawn for a window, from 0 to this share of the scale of 100 dB."""

    def __post_init__(self):
        for name in ("unscored", "lip_noise", "mood_noise", "lip_readout", "gain_db", "tilt_db", "band_shift"):
            if getattr(self, name) < 0:
                raise ValueError(f"losses.{name} {getattr(self, name)} must be 0 or more")
        for name in ("label_smoothing", "history_noise", "noise_floor"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"losses.{name} {getattr(self, name)} must lie in [0, 1)")


@dataclasses.dataclass(frozen=True)
class SamplingConfig:
    """How frames are drawn."""

    temperature: float = 1.0
    """Divides the logits."""
    top_k: tuple[int, ...] = (0,)
    """Most probable categories kept; one number for all channels, or 23 in their order; 0 keeps all."""
    nucleus: tuple[float, ...] = (1.0,)
    """Probability kept, the most probable categories first; one number for all channels, or 23; 1 keeps all."""
    together: tuple[str, ...] = ()
    """Groups of channels, each as AU01+AU02, drawn by one uniform number, which leaves each one's distribution as
    it is. All others are drawn independently, as in the paper."""
    context: Literal["band", "strict"] = "band"
    """`band`: every layer sees `mapper.reach` frames of the layer below, from a ring, as in training. `strict`: eq. 3
    to the letter, the last `mapper.reach` frames are computed anew for every frame."""

    def __post_init__(self):
        if self.temperature <= 0:
            raise ValueError(f"sampling.temperature {self.temperature} must be above 0; for the most "
                             "probable categories set top_k to 1")
        for name in ("top_k", "nucleus"):
            if len(getattr(self, name)) not in (1, len(CHANNELS)):
                raise ValueError(f"sampling.{name} has {len(getattr(self, name))} numbers; give 1 or {len(CHANNELS)}")
        if min(self.top_k) < 0:
            raise ValueError(f"sampling.top_k {self.top_k} must be 0 or more")
        if not all(0 < share <= 1 for share in self.nucleus):
            raise ValueError(f"sampling.nucleus {self.nucleus} must lie in (0, 1]")
        grouped = [name for group in self.together for name in group.split("+")]
        if unknown := sorted(set(grouped) - set(CHANNELS)):
            raise ValueError(f"sampling.together names {', '.join(unknown)}; channels are {', '.join(CHANNELS)}")
        if twice := sorted({name for name in grouped if grouped.count(name) > 1}):
            raise ValueError(f"sampling.together names {', '.join(twice)} twice; a channel is in one group at most")


@dataclasses.dataclass(frozen=True)
class OptimizersConfig:
    """Adam for the mapper."""

    mapper: OptimizerConfig = OptimizerConfig(
        learning_rate=1e-4, b1=0.9, b2=0.98, warmup_steps=4000, clip_norm=1.0
    )
    ema: float = 0.999
    """Decay of the averaged weights; 0 keeps none."""

    def __post_init__(self):
        if not 0 <= self.ema < 1:
            raise ValueError(f"optimizers.ema {self.ema} must lie in [0, 1)")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long the run is."""

    steps: int = 0
    """Steps of the stage `mapping`; 0 counts `epochs` instead."""
    epochs: float = 0.0
    """Epochs of the stage `mapping` at most."""
    patience: float = 0.0
    """Epochs without a better validation that end the stage; 0 switches this off."""

    def __post_init__(self):
        for name in ("steps", "epochs", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"schedule.{name} {getattr(self, name)} must be 0 or more")
        if not self.steps and not self.epochs:
            raise ValueError("schedule.steps and schedule.epochs are both 0: the run has no end; set one of them")


FIELDS = ("audio", "au", "pose", "start_pose", "start_frame")


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A run of dirfa's mapping network (wu2023)."""

    system: str = "dirfa"
    # A pixel-free run crops nothing.
    data: DataSpec = DataSpec(fields=FIELDS, window=106, batch=64, crop=CropSpec("none", height=64, width=64))
    mapper: MapperConfig = MapperConfig()
    losses: LossConfig = LossConfig()
    optimizers: OptimizersConfig = OptimizersConfig()
    schedule: ScheduleConfig = ScheduleConfig(epochs=100)
    sampling: SamplingConfig = SamplingConfig()
    chunk_frames: int = 5
    """Frames that the sampler makes at a time."""

    def __post_init__(self):
        super().__post_init__()
        if missing := [name for name in FIELDS if name not in self.data.fields]:
            raise ValueError(f"data.fields {self.data.fields} lacks {missing}, which dirfa needs")
        if self.data.stride != 1 or self.data.mirror:
            raise ValueError("data.stride must be 1 and data.mirror False: dirfa learns labels at 25 frames per second "
                             "and mirrors none")
        if self.data.window and self.losses.unscored >= self.data.window:
            raise ValueError(f"losses.unscored {self.losses.unscored} leaves no frame of data.window "
                             f"{self.data.window} to score; use fewer, or a longer window")
        if self.chunk_frames < 1:
            raise ValueError(f"chunk_frames {self.chunk_frames} must be at least 1")
        if self.mapper.head == "regression" and (self.losses.label_smoothing or self.losses.history_noise):
            raise ValueError("losses.label_smoothing and losses.history_noise need categories, which mapper.head "
                             "'regression' has not; set both to 0")
