"""The sync expert: do these lips and this sound belong together?

Two encoders map five frames of a mouth and the 0.2 s of sound under them to unit vectors; their cosine, scaled and
shifted by two learnt numbers, is the logit of being in sync. After "Out of time" (Chung and Zisserman 2016) and
Wav2Lip's expert (Prajwal et al. 2020), trained as `thjax.judge_training.sync` says.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME
from thjax.audio.log_mel import HOP, MARGIN, log_mel
from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.core.errors import UserError
from thjax.judges import shipped
from thjax.judges.regions import MOUTH_SIDE, mouth_windows

FRAMES = 5
"""Frames of a window: 0.2 s."""
COLUMNS_PER_FRAME = SAMPLES_PER_FRAME // HOP
COLUMNS = FRAMES * COLUMNS_PER_FRAME
SIDE = 40
"""Pixels that the network sees, from the middle of a mouth window of 48: the rest is room for shifts in training."""
FIRST_SCALE = 5.0
"""Of the cosine, before training; from 1 the loss stays high for long."""
_KERNEL, _STRIDE, _PADDING = 4, 2, 1
_BATCH = 24
"""Windows that are embedded at once."""
_SPAN = _BATCH + FRAMES - 1
"""Frames under them."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Attributes:
        video_widths: channels of the convolutions over the mouth, each halves the picture.
        audio_widths: likewise over columns and bands.
        audio_hidden: of the layer between them and the embedding.
        embedding: D.
    """

    video_widths: tuple[int, ...] = (24, 48, 96)
    audio_widths: tuple[int, ...] = (24, 48)
    audio_hidden: int = 256
    embedding: int = 128

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            widths = value if isinstance(value, tuple) else (value,)
            if not widths or min(widths) < 1:
                raise ValueError(f"{field.name} {value} must be at least 1 everywhere, and one layer or more")
        if len(self.video_widths) > 3 or len(self.audio_widths) > 3:
            raise ValueError(f"{len(self.video_widths)} and {len(self.audio_widths)} convolutions: {SIDE} pixels and "
                             f"{COLUMNS} columns can be halved three times at most")


class Network(nn.Module):
    """Both encoders and the logit."""

    config: Config = Config()

    def setup(self):
        """Two encoders that share nothing."""
        sizes = self.config
        self.video_encoder = _Encoder(sizes.video_widths, (), sizes.embedding, name="video")
        self.audio_encoder = _Encoder(sizes.audio_widths, (sizes.audio_hidden,), sizes.embedding, name="audio")
        # One entry each: files of weights keep no arrays without axes.
        self.log_scale = self.param("log_scale", nn.initializers.constant(np.log(FIRST_SCALE)), (1,), jnp.float32)
        self.bias = self.param("bias", nn.initializers.zeros, (1,), jnp.float32)

    def __call__(self, frames: jax.Array, columns: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Both embeddings; see `video` and `audio`."""
        return self.video(frames, train), self.audio(columns, train)

    def video(self, frames: jax.Array, train: bool = False) -> jax.Array:
        """Grey mouths [N, 5, 40, 40] of any brightness and contrast -> [N, D] unit vectors."""
        # Per window, not per clip: what a window says must not depend on the rest of the clip.
        mean = frames.mean((1, 2, 3), keepdims=True)
        deviation = jnp.sqrt(jnp.square(frames - mean).mean((1, 2, 3), keepdims=True) + 1e-3)
        return self.video_encoder(((frames - mean) / deviation).transpose(0, 2, 3, 1), train)

    def audio(self, columns: jax.Array, train: bool = False) -> jax.Array:
        """`log_mel` columns [N, 20, 40] -> [N, D] unit vectors."""
        return self.audio_encoder(columns[..., None], train)

    def logit(self, cosine: jax.Array) -> jax.Array:
        """Logit of being in sync, of cosines of any shape."""
        return jnp.exp(self.log_scale[0]) * cosine + self.bias[0]


class _Encoder(nn.Module):
    widths: tuple[int, ...]
    hidden: tuple[int, ...]
    embedding: int

    @nn.compact
    def __call__(self, x, train):
        for i, width in enumerate(self.widths):
            x = Conv(width, _KERNEL, _STRIDE, _PADDING, bias=False, name=f"conv_{i}")(x)
            x = nn.relu(Norm(name=f"norm_{i}")(x, train=train))
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.hidden):
            x = nn.relu(nn.Dense(width, name=f"hidden_{i}")(x))
        x = nn.Dense(self.embedding, name="embedding")(x)
        return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), -1, keepdims=True) + 1e-12)


def middle(mouth: jax.Array) -> jax.Array:
    """The part [..., 40, 40] of mouth windows [..., 48, 48] that the network sees."""
    edge = (MOUTH_SIDE - SIDE) // 2
    return mouth[..., edge:edge + SIDE, edge:edge + SIDE]


def columns_of(audio: jax.Array) -> jax.Array:
    """Columns under a clip's frames, four each: samples [..., T * 640 + 6400] -> [..., 4 T, 40]."""
    return log_mel(audio[..., AUDIO_CONTEXT - MARGIN:audio.shape[-1] - AUDIO_CONTEXT + MARGIN])


class Judge:
    """A trained sync expert.

    Attributes:
        label: stands for the network in names of metrics.
        variables: flax collections `params` and `batch_stats`.
        config: sizes of the network.
    """

    label = "synthetic"

    def __init__(self, variables: Mapping[str, Any], config: Config):
        self.variables, self.config = variables, config

    @classmethod
    def load(cls, name: str = "sync_metric") -> "Judge":
        """A judge that ships with the package.

        Raises:
            UserError: no such judge ships.
        """
        variables, header = shipped.load(name)
        network = {key: tuple(value) if isinstance(value, list) else value for key, value in header["network"].items()}
        return cls(variables, Config(**network))

    def embed(self, frames: np.ndarray, landmarks: np.ndarray, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What lips and sound say, window by window.

        Args:
            frames: uint8 [T, H, W, 3] RGB, 25 per second, at least 5 frames and 48 pixels.
            landmarks: [T, 68, 2] pixels of `frames`, finite.
            audio: int16 [T * 640 + 6400], 16 kHz, 3,200 samples of context on each side.

        Returns:
            Video and audio, each float32 [N, D] unit vectors, N = T - 4; row i is the window of frames i ... i + 4.

        Raises:
            UserError: arrays of other shapes or types, or a clip of fewer than five frames.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or min(frames.shape[1:3]) < MOUTH_SIDE:
            raise UserError(f"frames {frames.shape} of {frames.dtype}: the sync expert takes uint8 [T, H, W, 3] of at "
                            f"least {MOUTH_SIDE} pixels; enlarge smaller ones")
        if landmarks.shape != (len(frames), 68, 2) or not np.isfinite(landmarks).all():
            raise UserError(f"landmarks {landmarks.shape} for {len(frames)} frames: the sync expert takes finite "
                            f"[{len(frames)}, 68, 2]; leave frames without a face out of the clip")
        _check(len(frames), audio)
        return self.embed_mouth(mouth_windows(frames, landmarks), audio)

    def embed_mouth(self, mouth: np.ndarray, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`embed` from mouth windows [T, 48, 48], any real type, as `thjax.judges.regions.mouth_windows` cuts them."""
        _check(len(mouth), audio)
        parts = []
        for start in range(0, len(mouth) - FRAMES + 1, _BATCH):
            sound = audio[AUDIO_CONTEXT + start * SAMPLES_PER_FRAME - MARGIN:][:_SPAN * SAMPLES_PER_FRAME + 2 * MARGIN]
            picture = mouth[start:start + _SPAN].astype(np.float32)
            parts.append(_embed(self.config, self.variables, _filled(picture, _SPAN),
                                _filled(sound, _SPAN * SAMPLES_PER_FRAME + 2 * MARGIN)))
        video, heard = (np.concatenate(side)[:len(mouth) - FRAMES + 1] for side in zip(*parts, strict=True))
        return video, heard

    def probability(self, video: np.ndarray, audio: np.ndarray) -> np.ndarray:
        """The expert's own probability of being in sync, calibrated where half of all windows inside speech are.

        Args:
            video, audio: [..., D] of `embed`, paired row by row; they broadcast.

        Returns:
            float32 [...], 0 to 1.

        Raises:
            UserError: embeddings of another network.
        """
        return 1 / (1 + np.exp(-self.logit(video, audio)))

    def logit(self, video: np.ndarray, audio: np.ndarray) -> np.ndarray:
        """Logit of `probability`; arguments and errors alike."""
        if {video.shape[-1], audio.shape[-1]} != {self.config.embedding}:
            raise UserError(f"embeddings {video.shape} and {audio.shape}: this expert has {self.config.embedding} "
                            "numbers in each; pass what its own `embed` returned")
        params = self.variables["params"]
        scale, bias = (np.asarray(params[name], np.float32)[0] for name in ("log_scale", "bias"))
        return np.exp(scale) * np.sum(video * audio, -1, dtype=np.float32) + bias


@functools.partial(jax.jit, static_argnums=0)
def _embed(config, variables, mouth, audio):
    """The 24 windows that start in the first frames of [28, 48, 48] mouths, and of the samples under them."""
    starts = np.arange(_BATCH)[:, None]
    columns = log_mel(audio)[starts * COLUMNS_PER_FRAME + np.arange(COLUMNS)]
    frames = middle(mouth)[starts + np.arange(FRAMES)]
    return Network(config).apply(variables, frames, columns)


def _check(frames: int, audio: np.ndarray) -> None:
    if frames < FRAMES:
        raise UserError(f"a clip of {frames} frames: the sync expert hears and sees {FRAMES} at a time; use longer "
                        "clips")
    samples = frames * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT
    if audio.dtype != np.int16 or audio.shape != (samples,):
        raise UserError(f"audio {audio.shape} of {audio.dtype} for {frames} frames: give int16 [{samples}], "
                        f"{SAMPLES_PER_FRAME} samples a frame and {AUDIO_CONTEXT} of context on each side")


def _filled(array: np.ndarray, length: int) -> np.ndarray:
    """[length, ...], zeros behind what there is."""
    return np.pad(array, ((0, length - len(array)), *((0, 0),) * (array.ndim - 1)))
