"""Configuration of the toy system."""

import dataclasses

from thjax.core.config import RunConfig
from thjax.core.data_spec import CropSpec, DataSpec


@dataclasses.dataclass(frozen=True)
class ToyConfig:
    """Networks and schedule."""

    width: int = 8
    """Channels of the hidden layers."""
    rate: float = 1e-3
    """Learning rate."""
    landmark_steps: int = 0
    """Steps of the pixel-free stage; 0 leaves it out."""
    steps: int = 12
    """Steps of the adversarial stage at most."""
    patience: float = 0.0
    """Epochs without a better `l1`; 0 switches this off."""

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"toy.width {self.width} must be at least 1")


@dataclasses.dataclass(frozen=True)
class Config(RunConfig):
    """A run of the toy system."""

    system: str = "toy"
    data: DataSpec = DataSpec(
        fields=("frames", "still", "audio", "landmarks"),
        window=3,
        batch=4,
        mirror=True,
        crop=CropSpec("none", height=16, width=16),
    )
    toy: ToyConfig = ToyConfig()
