"""The judge of identity: whose face is this, as a unit vector; the cosine of two vectors says how alike two faces are.

Trained as a classifier of people with a margin (CosFace, Wang et al. 2018) by `thjax.judge_training.identity`; the
classes are thrown away and the embedding is kept.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.crops import CANONICAL, STABLE_LANDMARKS, similarity, warp
from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.judges import shipped

SIDE = 64
"""Pixels of a face's side, as the network sees it."""
FACE_BOX = (-7.0, 0.0, 62.0)
"""Left, top and side of the face in 64ths of the canonical crop's height: forehead to chin, ear to ear."""
SURROUNDINGS = 8.0
"""Deviation in pixels of what counts as around."""
DARK, CONTRAST = 12.0, 2.0
"""Added before the logarithm, so that noise in the dark stays small; and what brings the deviation near one."""
SMALLEST_FRAME = 48
BATCH = 64
"""Faces that are embedded at once."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Attributes:
        channels: features of the convolutions, each of which halves the picture.
        code: components of the embedding.
    """

    channels: tuple[int, ...] = (32, 64, 96, 128)
    code: int = 128


class Network(nn.Module):
    """Halves a face per layer (kernel 4, stride 2, norm, ReLU), then one dense layer with a norm."""

    config: Config

    @nn.compact
    def __call__(self, faces: jax.Array, train: bool = False) -> jax.Array:
        """`against_surroundings` [N, 64, 64, 3] -> [N, code] unit vectors. `train` uses the batch's own statistics."""
        x = faces
        for index, features in enumerate(self.config.channels):
            x = Conv(features, 4, 2, 1, bias=False, name=f"conv_{index}")(x)
            x = nn.relu(Norm(name=f"norm_{index}")(x, train=train))
        x = nn.Dense(self.config.code, use_bias=False, name="code")(x.reshape(len(x), -1))
        x = Norm(name="code_norm")(x, train=train)
        return x * jax.lax.rsqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-12)


def face_affine(landmarks: np.ndarray) -> np.ndarray:
    """Maps frames to faces, float32 `[N, 2, 3]`, from landmarks `[N, 68, 2]` in pixels: nose base and eye corners."""
    left, top, side = FACE_BOX
    template = (CANONICAL.astype(np.float64) * 64 - (left, top)) * (SIDE / side)
    return similarity(landmarks[:, STABLE_LANDMARKS], template)


def face_crops(frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Upright faces, uint8 `[N, 64, 64, 3]`, of frames uint8 `[N, H, W, 3]`; where a frame ends, its border repeats."""
    return warp(frames, face_affine(landmarks), (SIDE, SIDE))


def against_surroundings(faces: jax.Array) -> jax.Array:
    """Pixels 0 to 255 as the network takes them: logarithms less the mean grey logarithm around, float32.

    A smooth shade over a face multiplies, and goes; what stays is colour and local contrast.
    """
    logs = jnp.log(faces.astype(jnp.float32) + DARK)
    apart = np.subtract.outer(np.arange(SIDE), np.arange(SIDE))
    near = np.exp(-np.square(apart / SURROUNDINGS) / 2)
    near = jnp.asarray(near / near.sum(1, keepdims=True), jnp.float32)  # at a border fewer pixels count
    around = near @ logs.mean(-1) @ near.T
    return CONTRAST * (logs - around[..., None])


class Judge:
    """Embeds faces.

    Attributes:
        label: the network's part in the names of metrics.
        variables, config: of `Network`.
    """

    label = "synthetic"

    def __init__(self, variables: Mapping[str, Any], config: Config):
        self.variables, self.config = variables, config

    @classmethod
    def load(cls, name: str = "identity_metric") -> "Judge":
        """A judge that ships with the package.

        Raises:
            UserError: no such judge ships.
        """
        variables, header = shipped.load(name)
        sizes = header["network"]
        return cls(variables, Config(tuple(sizes["channels"]), sizes["code"]))

    def embed(self, frames: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Whose faces these are.

        Args:
            frames: uint8 `[N, H, W, 3]` RGB, H and W at least 48, one face each.
            landmarks: `[N, 68, 2]` pixels of `frames`, iBUG order, finite; 33, 36, 39, 42 and 45 are used.

        Returns:
            float32 `[N, D]` unit vectors, each the mean of what the network makes of a face and of its mirror image,
            so that a lamp or a turn to one side moves it less. The dot product of two is their cosine, 1 for the same
            picture; people who differ lie around 0.

        Raises:
            ValueError: frames or landmarks of another kind, or landmarks that are not finite.
        """
        _check(frames, landmarks)
        return self.embed_faces(face_crops(frames, landmarks))

    def embed_faces(self, faces: np.ndarray) -> np.ndarray:
        """As `embed`, of faces that are cropped already: uint8 `[N, 64, 64, 3]`, see `face_crops`."""
        parts = [np.empty((0, self.config.code), np.float32)]
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            padded = np.pad(part, [(0, BATCH - len(part)), (0, 0), (0, 0), (0, 0)])
            parts.append(np.asarray(_embed(self.config, self.variables, padded))[: len(part)])
        return np.concatenate(parts)


@functools.partial(jax.jit, static_argnums=0)
def _embed(config: Config, variables: Mapping[str, Any], faces: jax.Array) -> jax.Array:
    embed = lambda side: Network(config).apply(variables, against_surroundings(side))
    mean = embed(faces) + embed(faces[:, :, ::-1])
    return mean / jnp.linalg.norm(mean, axis=1, keepdims=True)


def _check(frames: np.ndarray, landmarks: np.ndarray) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames are {frames.dtype} {frames.shape}; the judge of identity takes uint8 [N, H, W, 3]")
    if min(frames.shape[1:3]) < SMALLEST_FRAME:
        raise ValueError(f"frames of {frames.shape[1]} x {frames.shape[2]} pixels are too small for the judge of "
                         f"identity; both sides must be at least {SMALLEST_FRAME}: enlarge them")
    if landmarks.shape != (len(frames), 68, 2):
        raise ValueError(f"landmarks {landmarks.shape} for frames {frames.shape}; give [{len(frames)}, 68, 2]")
    finite = np.isfinite(landmarks).all((1, 2))
    if not finite.all():
        raise ValueError(f"landmarks of {int((~finite).sum())} of {len(frames)} frames are not finite; leave frames "
                         "without a detected face out and count them")
