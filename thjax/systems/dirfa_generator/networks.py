"""The generator and the discriminator, assembled from blocks. Facts and departures: README.md of this folder."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import struct

from thjax.blocks.dense_motion import DenseMotion
from thjax.blocks.feature_layers import ConvNorm, Pass, ResidualBlock, halved, same_conv
from thjax.blocks.keypoints3d import KeypointDetector, to_volume
from thjax.blocks.norm import NormSpec
from thjax.blocks.patch_discriminator import PatchDiscriminator
from thjax.blocks.volume_decoder import Flatten, PlainDecoder, SpadeDecoder
from thjax.blocks.warp3d import coordinate_grid, warp3d
from thjax.systems.dirfa_generator.config import Config, GeneratorConfig
from thjax.systems.dirfa_generator.geometry import CHANNELS, TRANSLATION, UNITS, USUAL, in_picture, on_face

PICTURE_RANGE = 0.98
"""Share of the photograph's range that a residual output copies: the logit of full white or black is infinite."""
RESIDUAL_GAIN = 0.3
SMALL = nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal")


class Source(struct.PyTreeNode):
    """What all frames take from the photograph.

    Attributes:
        picture: [B, H, W, 3] in [0, 1].
        z: [B, 23] of the photograph, see `geometry.CHANNELS`.
        volume: [B, D, h, w, C] features.
        canonical: [B, K, 3] keypoints of the head at rest.
        points: [B, K, 3] keypoints as the photograph shows them.
    """

    picture: jax.Array
    z: jax.Array
    volume: jax.Array
    canonical: jax.Array
    points: jax.Array


class Drawn(struct.PyTreeNode):
    """Frames and what they were drawn by.

    Attributes:
        frames: [B, H, W, 3] in (0, 1).
        points: [B, K, 3] keypoints of the frames.
    """

    frames: jax.Array
    points: jax.Array


class AppearanceEncoder(nn.Module):
    """A picture -> a feature volume (Wang, Mallya, Liu 2021)."""

    config: GeneratorConfig
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, picture: jax.Array, how: Pass = Pass()) -> jax.Array:
        """[B, H, W, 3] in [0, 1] -> [B, D, H / 2^n, W / 2^n, C]."""
        c, common = self.config, dict(norm=self.norm, dtype=self.dtype)
        x = ConvNorm(c.channels[0], 7, **common, name="first")(picture.astype(self.dtype), how)
        for i, features in enumerate(c.channels[1:]):
            x = halved(ConvNorm(features, 3, **common, name=f"down_{i}")(x, how))
        x = to_volume(same_conv(x, c.volume_channels * c.depth, 1, self.dtype, "to_volume"), c.depth)
        for i in range(c.volume_blocks):
            x = ResidualBlock(**common, name=f"block_{i}")(x, how)
        return x


class Deformation(nn.Module):
    """Action units -> how keypoints of the head at rest are displaced by its expression."""

    keypoints: int
    hidden: tuple[int, ...]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, units: jax.Array) -> jax.Array:
        """[B, 17], 0 to 5 -> [B, K, 3] f32."""
        x = (units / USUAL).astype(self.dtype)
        for i, features in enumerate(self.hidden):
            x = nn.relu(nn.Dense(features, dtype=self.dtype, param_dtype=float, name=f"hidden_{i}")(x))
        x = nn.Dense(3 * self.keypoints, dtype=self.dtype, param_dtype=float, kernel_init=SMALL, name="shift")(x)
        return x.reshape(-1, self.keypoints, 3).astype(units.dtype)


class UnitsOnFace(nn.Module):
    """Action units scale and shift a map of features (FiLM, Perez et al. 2018), each place of the face by itself.

    What scales and shifts is drawn on a square of the face (`geometry.on_face`), which the frame's pose lays into the
    picture: an eye's lids are then told by parameters of their own, wherever the head is.

    Attributes:
        side: cells along the square's side.
        hidden: features that all cells are told of the action units.
        dtype: of the computation.
    """

    side: int = 16
    hidden: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, z: jax.Array) -> jax.Array:
        """[B, H, W, C] and Z [B, 23] of the frame -> [B, H, W, C]; outside the square as it was."""
        common = dict(dtype=self.dtype, param_dtype=float)
        hidden = nn.relu(nn.Dense(self.hidden, **common, name="hidden")((z[:, UNITS] / USUAL).astype(self.dtype)))
        cells = nn.Dense(self.side**2 * 2 * x.shape[-1], kernel_init=SMALL, **common, name="scale_and_shift")(hidden)
        square = cells.reshape(len(x), 1, self.side, self.side, -1)
        scale, shift = jnp.split(warp3d(square, on_face(z, *x.shape[1:3])), 2, -1)
        return x * (1 + scale) + shift


class Generator(nn.Module):
    """A photograph with its Z, and the Z of a frame -> the frame (wu2023, section 3.3, on face-vid2vid's networks).

    Attributes:
        config: sizes.
        norm: behind the convolutions.
        dtype: of the computation; keypoints, places and frames are f32.
    """

    config: GeneratorConfig
    norm: NormSpec = NormSpec()
    dtype: Any = jnp.float32

    def setup(self):
        """Detector, deformation, appearance, motion, and the decoder that the config names."""
        c, common = self.config, dict(norm=self.norm, dtype=self.dtype)
        self.detector = KeypointDetector(
            c.keypoints, c.detector_channels, c.depth, c.detector_volume, c.detector_shrink, **common
        )
        self.deformation = Deformation(c.keypoints, c.deformation, self.dtype)
        self.appearance = AppearanceEncoder(c, **common)
        self.motion = DenseMotion(c.motion_channels, kernel=c.motion_kernel, shrink=c.motion_shrink, **common)
        self.flatten = Flatten(c.decoder_features, **common)
        if c.decoder_units:
            self.units = UnitsOnFace(dtype=self.dtype)
        if c.decoder == "spade":
            self.decoder = SpadeDecoder(c.spade_features, c.decoder_blocks, c.decoder_channels, self.dtype)
        else:
            self.decoder = PlainDecoder(c.decoder_blocks, c.decoder_channels, **common)
        if c.output == "residual":
            self.gain = self.param("gain", nn.initializers.constant(RESIDUAL_GAIN), (), float)

    def __call__(self, picture: jax.Array, source: jax.Array, driving: jax.Array, how: Pass = Pass()) -> Drawn:
        """Pictures [B, H, W, 3] in [0, 1], Z [B, 23] of them and of the frames wanted."""
        return self.draw(self.encode(picture, source, how), driving, how)

    def encode(self, picture: jax.Array, z: jax.Array, how: Pass = Pass()) -> Source:
        """The photograph, once for all frames. Arguments as in `__call__`."""
        canonical = self.detector(picture, how)
        points = self._place(canonical, z, z)
        return Source(picture, z, self.appearance(picture, how), canonical, points)

    def canonical(self, picture: jax.Array, how: Pass = Pass()) -> jax.Array:
        """Keypoints [B, K, 3] of the head at rest, as any picture of it should give."""
        return self.detector(picture, how)

    def draw(self, source: Source, z: jax.Array, how: Pass = Pass()) -> Drawn:
        """A frame of each source, at Z [B, 23]."""
        points = self._place(source.canonical, z, source.z)
        motion = self.motion(source.volume, source.points, points, how)
        warped = warp3d(source.volume, motion.places)
        features = self.flatten(warped, motion.occlusion.astype(self.dtype), how)
        if self.config.decoder_units:
            features = self.units(features, z)
        logits = self.decoder(features, how)
        logits = logits.astype(source.picture.dtype)
        if self.config.output == "residual":
            seen = warped_picture(source.picture, motion.places)
            seen = 0.5 + PICTURE_RANGE * (seen - 0.5)
            logits = self.gain * logits + jnp.log(seen) - jnp.log1p(-seen)
        return Drawn(nn.sigmoid(logits), points)

    def _place(self, canonical, z, source):
        return in_picture(canonical + self.deformation(z[:, UNITS]), z, source[:, TRANSLATION][:, 2])


def warped_picture(picture: jax.Array, places: jax.Array) -> jax.Array:
    """Pictures [B, H, W, 3] moved as volumes are on average along the line of sight; places [B, D, h, w, 3]."""
    own = coordinate_grid(places.shape[1:4], dtype=places.dtype)
    shift = (places - own)[..., :2].mean(1)
    shift = jax.image.resize(shift, (*picture.shape[:3], 2), "linear")
    flat = coordinate_grid(picture.shape[1:3], dtype=places.dtype) + shift
    flat = jnp.pad(flat, ((0, 0),) * 3 + ((0, 1),))
    return warp3d(picture[:, None], flat, padding="border")


def make_generator(config: Config, dtype: Any) -> Generator:
    """The generator that a config describes."""
    g = config.generator
    return Generator(config=g, norm=NormSpec(g.norm, momentum=g.norm_momentum), dtype=dtype)


def make_discriminator(config: Config, dtype: Any) -> PatchDiscriminator:
    """The discriminator that a config describes."""
    d = config.discriminator
    return PatchDiscriminator(d.channels, len(CHANNELS), d.spectral, dtype=dtype)
