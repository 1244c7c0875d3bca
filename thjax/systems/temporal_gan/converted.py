"""Configs of generators that were trained elsewhere and converted by `thjax weights convert`."""

from collections.abc import Mapping
from typing import Any

from thjax.core.data_spec import CropSpec, DataSpec
from thjax.systems.temporal_gan.config import Config, DiscriminatorConfig, GeneratorConfig


def from_sda(sizes: Mapping[str, Any]) -> Config:
    """The config of a public checkpoint of speech-driven animation; see `thjax.pretrained.sda.Sizes`.

    The generator alone: the public files hold no discriminators.
    """
    crop = CropSpec("canonical", sizes["height"], sizes["width"])
    return Config(
        variant="sda",
        data=DataSpec(fields=("frames", "still", "audio", "landmarks"), window=75, batch=16, mirror=True, crop=crop),
        generator=GeneratorConfig(
            audio_rate=sizes["audio_rate"], audio_window=sizes["audio_window"],
            audio_channels=tuple(sizes["audio_channels"]), audio_code=sizes["audio_code"], context=sizes["context"],
            noise=sizes["noise"], noise_layers=sizes["noise_layers"], identity=sizes["identity"],
            channels=tuple(sizes["channels"]),
        ),
        discriminators=DiscriminatorConfig(frame=False, sequence=False),
        # Reading 50 million weights costs as much as drawing several frames; 0.2 s of delay buys twice the speed.
        chunk_frames=5,
    )


LAYOUTS = {"sda": from_sda}
