"""The judge of faces: landmarks, action units, head pose, expression, blinks and lip gap of single frames.

A finder sees the whole frame and tells where the eyes and the nose are; a reader sees the face and the mouth upright,
twice, the second time aligned by its own first answer. Each frame is read alone, so that no motion is smoothed away.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines import schema
from data_pipelines.crops import inverse_affine, transform_points
from data_pipelines.synthetic.expression import AU_SCALE, EXPRESSION_NAMES
from thjax.blocks.conv import Conv
from thjax.blocks.norm import Norm
from thjax.core.errors import UserError
from thjax.judges import shipped
from thjax.judges.face_alignment import (
    FACE_SIDE,
    FINDER_SIDE,
    STABLE,
    angle_of,
    finder_affine,
    finder_view,
    place_in_space,
    points_through,
    reader_views,
    scale_of,
    turned,
)
from thjax.judges.regions import MOUTH_SIDE

SMALLEST = 48
"""Pixels of the shortest side that the judge reads."""
FRAMES_AT_ONCE = 25
LOOKS = 2
"""How often the reader looks; each time aligned by what it saw before."""
TRUST = 0.5
"""Probability that an upright face is seen, above which a frame counts as found."""
OUTER_EYES = (36, 45)
INNER_LIPS = ((61, 67), (62, 66), (63, 65))

_EXPRESSIONS = len(EXPRESSION_NAMES)
_UNITS = {"landmarks": 4.0, "expression": 0.15, "rotation": 0.1, "origin": 4.0, "log_scale": 0.1, "blink": 1.0,
          "face": 1.0}
"""What one unit of the last layer means: pixels of the face's square, coefficients, rad, log, logits."""
_SIZES = {"landmarks": 2 * schema.LANDMARKS, "expression": _EXPRESSIONS, "rotation": 3, "origin": 2, "log_scale": 1,
          "blink": 1, "face": 1}
_FINDER_UNIT = 4.0


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the networks; every convolution halves the picture.

    Attributes:
        finder: features of its convolutions.
        face: the same of the reader's tower for the face.
        mouth: the same for the mouth.
        hidden: features behind each tower.
    """

    finder: tuple[int, ...] = (12, 24, 48)
    face: tuple[int, ...] = (16, 32, 64, 128)
    mouth: tuple[int, ...] = (32, 64, 128)
    hidden: int = 128


@dataclasses.dataclass(frozen=True)
class Track:
    """What the judge reads of a clip of T frames; where `found` is False the other values mean nothing.

    Attributes:
        landmarks: float32 `[T, 68, 2]` x, y in pixels of the given frames, pixel centres at +0.5, iBUG order.
        au: float32 `[T, 17]`, 0 to 5, order `schema.AU_INTENSITY`.
        pose: float32 `[T, 6]`, order `schema.POSE`, mm and rad. Rotations are as the picture shows them, turned crops
            included. Translations hold for whole frames of the embedded corpus; of a crop, whose zoom nobody knows,
            they are those of a whole frame that looks alike.
        expression: float32 `[T, 20]`, 0 to 1, order `EXPRESSION_NAMES`.
        blink: float32 `[T]`, probability that the lids are more than half closed.
        lip_gap: float32 `[T]`, mean distance of the three inner-lip pairs over the distance of the outer eye corners.
        found: bool `[T]`, whether the reader trusts that it sees a face.
        trust: float32 `[T]`, that probability.
    """

    landmarks: np.ndarray
    au: np.ndarray
    pose: np.ndarray
    expression: np.ndarray
    blink: np.ndarray
    lip_gap: np.ndarray
    found: np.ndarray
    trust: np.ndarray


class _Tower(nn.Module):
    """Pictures [N, S, S, 3], 0 to 255 -> [N, hidden]; each is brought to mean 0 and deviation 1."""

    widths: tuple[int, ...]
    hidden: int

    @nn.compact
    def __call__(self, x, train):
        x = x - x.mean((1, 2), keepdims=True)
        x = x / (jnp.sqrt(jnp.square(x).mean((1, 2, 3), keepdims=True)) + 4.0)
        for width in self.widths:
            x = Conv(width, 4, 2, 1, bias=False)(x)
            x = nn.relu(Norm()(x, train=train))
        x = nn.Dense(self.hidden, use_bias=False)(x.reshape(len(x), -1))
        return nn.relu(Norm()(x, train=train))


class Network(nn.Module):
    """Finder and reader, which share nothing but the training step."""

    config: Config

    def setup(self):
        """Towers and heads."""
        self.finder_tower = _Tower(self.config.finder, self.config.hidden)
        self.face_tower = _Tower(self.config.face, self.config.hidden)
        self.mouth_tower = _Tower(self.config.mouth, self.config.hidden)
        self.finder_head = nn.Dense(2 * len(STABLE), kernel_init=_small)
        self.reader_head = nn.Dense(sum(_SIZES.values()), kernel_init=_small)

    def __call__(self, whole: jax.Array, face: jax.Array, mouth: jax.Array,
                 train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`find` and `read` at once, for training."""
        return self.find(whole, train), self.read(face, mouth, train)

    def find(self, whole: jax.Array, train: bool = False) -> jax.Array:
        """[N, 48, 48, 3], 0 to 255 -> stable points [N, 5, 2], pixels of that square."""
        hidden = self.finder_tower(whole, train)
        return self.finder_head(hidden).reshape(-1, len(STABLE), 2) * _FINDER_UNIT

    def read(self, face: jax.Array, mouth: jax.Array, train: bool = False) -> dict[str, jax.Array]:
        """Face [N, 64, 64, 3] and mouth [N, 48, 48, 3], 0 to 255 -> what they show.

        Returns:
            landmarks [N, 68, 2] and origin [N, 2] of the head in pixels of the face's square, expression [N, 20],
            rotation [N, 3] rad, log_scale [N] of pixels a mm, and the logits blink [N] and face [N].
        """
        hidden = jnp.concatenate([self.face_tower(face, train), self.mouth_tower(mouth, train)], axis=-1)
        out, answers, start = self.reader_head(hidden), {}, 0
        for name, size in _SIZES.items():
            answers[name] = out[:, start : start + size] * _UNITS[name]
            start += size
        answers["landmarks"] = answers["landmarks"].reshape(-1, schema.LANDMARKS, 2)
        return answers | {name: answers[name][:, 0] for name in ("log_scale", "blink", "face")}


_small = nn.initializers.variance_scaling(0.1, "fan_in", "truncated_normal")


def initial(config: Config, seed: int, typical: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Untrained variables that answer with the typical face.

    Args:
        config: sizes.
        seed: of the weights.
        typical: mean answers: `stable` [5, 2], and any of those that `Network.read` gives, without N.
    """
    pictures = [jnp.zeros((1, side, side, 3)) for side in (FINDER_SIDE, FACE_SIDE, MOUTH_SIDE)]
    variables = jax.device_get(jax.jit(Network(config).init)(jax.random.key(seed), *pictures))
    params = variables["params"]
    params["finder_head"]["bias"] = np.asarray(typical["stable"], np.float32).reshape(-1) / _FINDER_UNIT
    parts = [np.broadcast_to(np.reshape(typical.get(name, 0.0), -1), size) / _UNITS[name]
             for name, size in _SIZES.items()]
    params["reader_head"]["bias"] = np.concatenate(parts).astype(np.float32)
    return variables


def lip_gap(landmarks):
    """Gap of the inner lips over the distance of the outer eye corners: [..., 68, 2] -> [...]; numpy or jax."""
    space = landmarks.__array_namespace__()
    distance = lambda a, b: space.sqrt(space.sum((landmarks[..., a, :] - landmarks[..., b, :]) ** 2, axis=-1) + 1e-12)
    gaps = sum(distance(*pair) for pair in INNER_LIPS) / len(INNER_LIPS)
    return gaps / (distance(*OUTER_EYES) + 1e-6)


class Judge:
    """Reads faces of clips.

    Attributes:
        label: the network's part in the names of metrics.
    """

    label = "synthetic"

    def __init__(self, variables: Mapping[str, Any], config: Config):
        """Of trained variables, for example `initial`'s after `judge_training.face.train`."""
        self.config = config
        self._variables = jax.device_put({"params": variables["params"], "batch_stats": variables["batch_stats"]})
        network = Network(config)
        self._find = jax.jit(lambda *inputs: network.apply(*inputs, method="find"))
        self._read = jax.jit(lambda *inputs: network.apply(*inputs, method="read"))

    @classmethod
    def load(cls, name: str = "face_metric") -> "Judge":
        """A judge that ships with the package.

        Raises:
            UserError: no such judge ships.
        """
        variables, header = shipped.load(name)
        sizes = {key: tuple(value) if isinstance(value, list) else value for key, value in header["network"].items()}
        return cls(variables, Config(**sizes))

    def measure(self, frames: np.ndarray) -> Track:
        """Reads every frame of a clip.

        Args:
            frames: uint8 `[T, H, W, 3]` RGB, whole frames or crops around one face, sides of 48 pixels and more.

        Raises:
            UserError: frames of another type, shape or size.
        """
        frames = np.asarray(frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or not len(frames):
            raise UserError(f"frames are {frames.dtype} {list(frames.shape)}; the judge of faces reads uint8 "
                            "[T, H, W, 3] with at least one frame: convert and stack them first")
        height, width = frames.shape[1:3]
        if min(height, width) < SMALLEST:
            raise UserError(f"frames are {height} x {width}; the judge of faces reads sides of {SMALLEST} pixels and "
                            "more: give larger frames")
        frames = np.ascontiguousarray(frames)
        to_finder = np.broadcast_to(finder_affine(height, width), (len(frames), 2, 3))
        stable = transform_points(self._in_parts(self._find, finder_view(frames)), inverse_affine(to_finder))
        for _ in range(LOOKS):
            face, mouth, to_face = reader_views(frames, stable)
            seen = self._in_parts(self._read, face, mouth)
            landmarks = transform_points(seen["landmarks"], inverse_affine(to_face))
            stable = landmarks[:, STABLE]
        return _track(seen, landmarks, to_face, height, width)

    def _in_parts(self, function, *pictures):
        """Applies a jitted function to equal parts, the last one filled up."""
        count, parts = len(pictures[0]), []
        for start in range(0, count, FRAMES_AT_ONCE):
            rows = np.minimum(np.arange(start, start + FRAMES_AT_ONCE), count - 1)
            parts.append(function(self._variables, *(part[rows].astype(np.float32) for part in pictures)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *jax.device_get(parts))


def _track(seen, landmarks, to_face, height, width) -> Track:
    """What the reader saw in the face's square, in terms of the frame."""
    expression = np.clip(seen["expression"], 0, 1)
    origin = points_through(seen["origin"], inverse_affine(to_face))
    translation = place_in_space(origin, np.exp(seen["log_scale"]) / scale_of(to_face), height, width)
    pose = np.concatenate([translation, turned(seen["rotation"], -angle_of(to_face))], axis=1)
    trust = 1 / (1 + np.exp(-seen["face"]))
    return Track(
        landmarks=landmarks, au=AU_SCALE * expression[:, : len(schema.AU_INTENSITY)], pose=pose.astype(np.float32),
        expression=expression, blink=1 / (1 + np.exp(-seen["blink"])), lip_gap=lip_gap(landmarks), found=trust > TRUST,
        trust=trust,
    )
