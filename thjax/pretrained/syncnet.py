"""SyncNet (Chung and Zisserman, "Out of time", 2016), as its public weights `syncnet_v2.model` have it.

Two towers map 0.2 s of speech and of video to 1,024 numbers each; their distance is small where they belong together.
`thjax.pretrained.syncnet_score` is the public procedure around it.
"""

from pathlib import Path

import flax.linen as nn
import jax
import numpy as np

from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.pretrained import torch_files
from thjax.pretrained.rules import Rule, conv_rules, norm_rules, params, rule, unread

FRAMES = 5
"""Frames of a window."""
SIDE = 224
"""Pixels of a frame's side."""
MFCC = 13
COLUMNS = 20
"""Columns of a window of speech, 10 ms each."""
CODE = 1024
_HIDDEN = 512

_AUDIO = (("0", 64, (3, 3)), ("4", 192, (3, 3)), ("8", 384, (3, 3)), ("11", 256, (3, 3)), ("14", 256, (3, 3)),
          ("18", 512, (5, 4)))
_VIDEO = (("0", 96, (7, 7)), ("4", 256, (5, 5)), ("8", 256, (3, 3)), ("11", 256, (3, 3)), ("14", 256, (3, 3)),
          ("18", 512, (6, 6)))
"""Index of the layer in the public sequence, features, kernel."""


class SyncNet(nn.Module):
    """Both towers; every layer but the last of each has a bias, a batch norm and ReLU."""

    def setup(self):
        """Names follow the public sequences."""
        self.audio_tower, self.video_tower = _AudioTower(name="audio"), _VideoTower(name="video")

    def __call__(self, mfcc: jax.Array, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Both embeddings; see `audio` and `video`."""
        return self.audio(mfcc), self.video(frames)

    def audio(self, mfcc: jax.Array) -> jax.Array:
        """[N, 13, 20] cepstral coefficients of int16 samples, time last -> [N, 1024].

        Raises:
            ValueError: windows of another shape.
        """
        if mfcc.shape[1:] != (MFCC, COLUMNS):
            raise ValueError(f"windows of speech {mfcc.shape}: SyncNet takes [N, {MFCC}, {COLUMNS}]")
        return self.audio_tower(mfcc[..., None])

    def video(self, frames: jax.Array) -> jax.Array:
        """[N, 5, 224, 224, 3] in BGR, 0 to 255 -> [N, 1024].

        Raises:
            ValueError: windows of another shape.
        """
        if frames.shape[1:] != (FRAMES, SIDE, SIDE, 3):
            raise ValueError(f"windows of video {frames.shape}: SyncNet takes [N, {FRAMES}, {SIDE}, {SIDE}, 3]")
        return self.video_tower(frames)


class _AudioTower(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = _layer(x, *_AUDIO[0], padding=1)
        x = _layer(x, *_AUDIO[1], padding=1)
        x = nn.max_pool(x, (3, 3), (1, 2))
        for layer in _AUDIO[2:5]:
            x = _layer(x, *layer, padding=1)
        x = nn.max_pool(x, (3, 3), (2, 2))
        return _head(_layer(x, *_AUDIO[5]))


class _VideoTower(nn.Module):
    @nn.compact
    def __call__(self, x):
        # The first kernel spans all five frames, so that time is one more axis of channels and nothing is 3-D.
        n, frames, height, width, colours = x.shape
        x = x.transpose(0, 2, 3, 1, 4).reshape(n, height, width, frames * colours)
        x = nn.max_pool(_layer(x, *_VIDEO[0], stride=2), (3, 3), (2, 2))
        x = nn.max_pool(_layer(x, *_VIDEO[1], stride=2, padding=1), (3, 3), (2, 2), ((1, 1), (1, 1)))
        for layer in _VIDEO[2:5]:
            x = _layer(x, *layer, padding=1)
        x = nn.max_pool(x, (3, 3), (2, 2))
        return _head(_layer(x, *_VIDEO[5]))


def _layer(x, index, features, kernel, stride=1, padding=0):
    x = Conv(features, kernel, stride, padding, name=f"conv_{index}")(x)
    return nn.relu(Norm(name=f"norm_{index}")(x))


def _head(x):
    x = nn.Dense(_HIDDEN, name="dense_0")(x[:, 0, 0])
    return nn.Dense(CODE, name="dense_3")(nn.relu(Norm(name="dense_norm_0")(x)))


def network() -> SyncNet:
    """The public network."""
    return SyncNet()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of `syncnet_v2.model`."""
    return unread(torch_files.read_state(path))


def rules(net: SyncNet) -> list[Rule]:
    """Every tensor of `syncnet_v2.model`."""
    return [*_tower("aud", "audio", _AUDIO, 1, ()), *_tower("lip", "video", _VIDEO, 3, (1,))]


def _tower(theirs, ours, table, width, depth) -> list[Rule]:
    found = []
    for i, (index, features, kernel) in enumerate(table):
        source, norm = f"netcnn{theirs}.{index}", f"netcnn{theirs}.{int(index) + 1}"
        if depth:
            shape = (features, width, FRAMES if i == 0 else 1, *kernel)
            found.append(Rule(f"{source}.weight", shape, params((((ours, f"conv_{index}", "kernel"), _fold_time),))))
            found.append(rule(f"{source}.bias", shape[:1], (ours, f"conv_{index}", "bias")))
        else:
            found += conv_rules(source, (features, width, *kernel), (ours, f"conv_{index}"))
        found += norm_rules(norm, features, (ours, f"norm_{index}"))
        width = features
    return [*found, *conv_rules(f"netfc{theirs}.0", (_HIDDEN, width), (ours, "dense_0")),
            *norm_rules(f"netfc{theirs}.1", _HIDDEN, (ours, "dense_norm_0")),
            *conv_rules(f"netfc{theirs}.3", (CODE, _HIDDEN), (ours, "dense_3"))]


def _fold_time(w: np.ndarray) -> np.ndarray:
    """[out, in, t, h, w] -> [h, w, t * in, out]."""
    w = w.transpose(3, 4, 2, 1, 0)
    return w.reshape(*w.shape[:2], -1, w.shape[-1])
