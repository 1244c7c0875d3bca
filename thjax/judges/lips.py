"""The lip reader: which command of GRID's grammar do the lips say.

A cascade, because exact labels exist: a front that sees one frame at a time learns from the frames of many faces; a
reader of its tracks learns from sentences, which cost nearly nothing where nobody renders them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv import Conv
from thjax.blocks.dropout import Dropout
from thjax.blocks.norm import Norm
from thjax.core.errors import UserError
from thjax.judges import shipped
from thjax.judges.command_grammar import CLASSES, decode
from thjax.judges.regions import MOUTH_SIDE, mouth_windows

CHANNELS = ("AU10", "AU12", "AU14", "AU17", "AU20", "AU25", "AU26", "pucker", "press", "funnel")
"""Coefficients of expression that the mouth shows."""
CHANNEL_UNIT = 0.15
"""What the networks count coefficients in; about their standard deviation."""
LIP_LANDMARKS = slice(48, 68)
LANDMARK_UNIT = 3.0
"""Pixels of a mouth window, likewise."""
SIDE = 40
"""Pixels of the part of a mouth window that is looked at; training moves it about."""
FRAMES = 75
"""Clips are padded to a multiple of this, GRID's length, so that no other length compiles anything."""
FEWEST_FRAMES = 6
_KERNEL = 5


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes.

    Attributes:
        front: features of the convolutions that see one frame; each halves its side.
        hidden: features of a frame from which its coefficients are read.
        width: of the reader.
        dilations: of the reader's convolutions over time.
        dropout: in the reader.
    """

    front: tuple[int, ...] = (24, 48, 96)
    hidden: int = 128
    width: int = 96
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.2


class Front(nn.Module):
    """One frame to coefficients of expression and landmarks of the lips; fields as in `Config`."""

    features: tuple[int, ...]
    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Looks at frames.

        Args:
            x: [N, 40, 40] of `standardise`.
            train: whether norms use the statistics of this batch.

        Returns:
            [N, 10] coefficients in `CHANNEL_UNIT`; [N, 20, 2] landmarks from the centre in `LANDMARK_UNIT`, which only
            training asks for.
        """
        x = x[..., None]
        for layer, features in enumerate(self.features):
            x = Conv(features, 4, 2, 1, bias=False, name=f"conv_{layer}")(x)
            x = nn.relu(Norm(name=f"norm_{layer}")(x, train=train))
        hidden = nn.relu(nn.Dense(self.hidden, name="hidden")(x.reshape(len(x), -1)))
        landmarks = nn.Dense(40, name="landmarks")(hidden).reshape(-1, 20, 2)
        return nn.Dense(len(CHANNELS), name="coefficients")(hidden), landmarks


class Reader(nn.Module):
    """Tracks to words: dilated convolutions over time; fields as in `Config`."""

    width: int
    dilations: tuple[int, ...]
    dropout: float

    @nn.compact
    def __call__(self, coefficients: jax.Array, valid: jax.Array, keys: jax.Array | None = None) -> jax.Array:
        """Reads.

        Args:
            coefficients: [N, T, 10] in `CHANNEL_UNIT`.
            valid: [N, T], zero for frames that pad a clip.
            keys: [N] of dropout; None (inference) drops nothing.

        Returns:
            [N, T, 52] logits, classes of `command_grammar`.
        """
        inside = valid[..., None].astype(jnp.float32)
        x = nn.Dense(self.width, name="coefficients")(coefficients)
        for layer, dilation in enumerate(self.dilations):
            y = nn.Dense(self.width, name=f"conv_{layer}")(_neighbours(x * inside, dilation))
            y = nn.relu(nn.LayerNorm(name=f"norm_{layer}")(y))
            x = x + Dropout(self.dropout)(y, None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(
                keys, layer))
        return nn.Dense(CLASSES, name="words")(nn.LayerNorm(name="norm")(x))


def _neighbours(x: jax.Array, dilation: int) -> jax.Array:
    """[N, T, C] -> [N, T, 5 C]: each frame beside those one and two dilations away, zeros outside."""
    reach = _KERNEL // 2 * dilation
    padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
    return jnp.concatenate([padded[:, tap * dilation:tap * dilation + x.shape[1]] for tap in range(_KERNEL)], axis=-1)


class LipReader(nn.Module):
    """Mouth windows to words.

    Attributes:
        config: sizes.
    """

    config: Config

    def setup(self):
        """Both parts are also used alone."""
        config = self.config
        self.front = Front(config.front, config.hidden)
        self.reader = Reader(config.width, config.dilations, config.dropout)

    def __call__(self, windows: jax.Array, valid: jax.Array) -> jax.Array:
        """Mouth windows [N, T, 48, 48], grey, 0 to 255, and which frames are real [N, T] -> logits [N, T, 52]."""
        clips, frames = valid.shape
        edge = (MOUTH_SIDE - SIDE) // 2
        x = standardise(windows[:, :, edge:edge + SIDE, edge:edge + SIDE], valid)
        coefficients, _ = self.front(x.reshape(-1, SIDE, SIDE))
        return self.reader(coefficients.reshape(clips, frames, -1), valid)


def standardise(x: jax.Array, valid: jax.Array) -> jax.Array:
    """Zero mean and unit variance over the real frames of each clip: [N, T, H, W], [N, T] -> [N, T, H, W]."""
    weight = (valid / valid.sum(axis=1, keepdims=True))[:, :, None, None] / (x.shape[2] * x.shape[3])
    mean = (x * weight).sum(axis=(1, 2, 3), keepdims=True)
    variance = (jnp.square(x - mean) * weight).sum(axis=(1, 2, 3), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1.0)


class Judge:
    """Reads commands of GRID's grammar from the lips alone.

    Args:
        variables: flax collections of `LipReader`.
        config: its sizes.
    """

    label = "synthetic"
    """The network's part in metric names: it was trained on the embedded corpus."""

    def __init__(self, variables: Mapping[str, Any], config: Config):
        self.variables, self.config = variables, config
        network = LipReader(config)
        self._log_probabilities = jax.jit(
            lambda variables, windows, valid: jax.nn.log_softmax(
                network.apply(variables, windows.astype(jnp.float32), valid)))

    @classmethod
    def load(cls, name: str = "lips_metric") -> "Judge":
        """A judge that ships with the package.

        Raises:
            UserError: no such judge ships.
        """
        variables, header = shipped.load(name)
        sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in header["network"].items()}
        return cls(variables, Config(**sizes))

    def read(self, frames: np.ndarray, landmarks: np.ndarray) -> tuple[str, ...]:
        """What one clip says.

        Args:
            frames: uint8 `[T, H, W, 3]` RGB, 25 per second.
            landmarks: `[T, 68, 2]` pixels of `frames`, iBUG order.

        Returns:
            Six words.

        Raises:
            UserError: frames that are no uint8 RGB, or do not fit the landmarks; landmarks that are not finite; fewer
                than six frames.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise UserError(f"frames are {frames.dtype} {frames.shape}; the lip reader takes uint8 [T, H, W, 3]")
        if landmarks.shape != (len(frames), 68, 2) or not np.isfinite(landmarks).all():
            raise UserError(f"landmarks {landmarks.shape} for {len(frames)} frames; the lip reader takes finite "
                            "[T, 68, 2], one face in every frame; leave the clip out and count it")
        return self.read_windows(mouth_windows(frames, landmarks))

    def read_windows(self, mouth: np.ndarray) -> tuple[str, ...]:
        """What one clip says, from its mouth windows.

        Args:
            mouth: uint8 `[T, 48, 48]` of `regions.mouth_windows`, 25 per second.

        Returns:
            Six words.

        Raises:
            UserError: another shape or type, or fewer than six frames.
        """
        return decode(self.log_probabilities(mouth)[None])[0]

    def log_probabilities(self, mouth: np.ndarray) -> np.ndarray:
        """Of every word and silence in every frame of one clip: `[T, 48, 48]` -> float32 `[T, 52]`.

        Raises:
            UserError: as in `read_windows`.
        """
        if mouth.dtype != np.uint8 or mouth.shape[1:] != (MOUTH_SIDE, MOUTH_SIDE):
            raise UserError(f"mouth windows are {mouth.dtype} {mouth.shape}; the lip reader takes uint8 "
                            f"[T, {MOUTH_SIDE}, {MOUTH_SIDE}], from regions.mouth_windows")
        frames = len(mouth)
        if frames < FEWEST_FRAMES:
            raise UserError(f"{frames} frames cannot hold a command of {FEWEST_FRAMES} words; give longer clips")
        missing = -frames % FRAMES
        padded = np.pad(mouth, ((0, missing), (0, 0), (0, 0)))
        valid = np.arange(frames + missing) < frames
        return np.asarray(self._log_probabilities(self.variables, padded[None], valid[None]))[0, :frames]
