"""What the lip reader's two stages learn from: batches drawn from arrays in memory, and the errors of its front."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from data_pipelines.synthetic.visemes import frame_times
from thjax.judge_training.clips import Clips
from thjax.judge_training.mouths import Mouths
from thjax.judges.command_grammar import frame_classes
from thjax.judges.lips import CHANNEL_UNIT, CHANNELS, LANDMARK_UNIT, LIP_LANDMARKS, SIDE
from thjax.judges.regions import MOUTH_SIDE

ROOM = MOUTH_SIDE - SIDE
"""Largest offset of a crop within its window, pixels."""
SHAKE = 1
"""A clip's crop moves by up to this from frame to frame, pixels, as under a tracker."""
STRENGTHS = (0.3, 1.2)
"""Range of the strength at which errors of the front are laid over exact tracks."""
_COLUMNS = [EXPRESSION_INDEX[name] for name in CHANNELS]


@dataclasses.dataclass(frozen=True)
class Sentences:
    """N spoken commands.

    Attributes:
        coefficients: float32 `[N, T, 10]` in `CHANNEL_UNIT`, exact.
        classes: int32 `[N, T]` of `command_grammar`.
    """

    coefficients: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)

    def __add__(self, other: "Sentences") -> "Sentences":
        return Sentences(np.concatenate([self.coefficients, other.coefficients]),
                         np.concatenate([self.classes, other.classes]))


def sentences(clips: Clips) -> Sentences:
    """The exact tracks of clips, rendered or not, with the word of every frame."""
    moments = frame_times(clips.expression.shape[1])
    return Sentences(coefficients(clips.expression), frame_classes(clips.words, clips.word_times, moments))


def coefficients(expression: np.ndarray) -> np.ndarray:
    """What the mouth shows of expressions: `[..., 20]` -> float32 `[..., 10]` in `CHANNEL_UNIT`."""
    return (expression[..., _COLUMNS] / CHANNEL_UNIT).astype(np.float32)


def lip_targets(landmarks: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Lip landmarks of windows `[..., 68, 2]` in crops at `offsets` `[..., 2]` (x, y), in `LANDMARK_UNIT`."""
    return ((landmarks[..., LIP_LANDMARKS, :] - offsets[..., None, :] - SIDE / 2) / LANDMARK_UNIT).astype(np.float32)


def crop(windows: np.ndarray, index: tuple[np.ndarray, ...], offsets: np.ndarray) -> np.ndarray:
    """Crops of side 40 from windows `[..., 48, 48]`: those at `index`, each at its offset `[..., 2]` (x, y)."""
    views = np.lib.stride_tricks.sliding_window_view(windows, (SIDE, SIDE), axis=(-2, -1))
    return views[(*index, offsets[..., 1], offsets[..., 0])]


def face_batches(mouths: Mouths, size: int, steps: int, rng: np.random.Generator) -> Iterator[tuple]:
    """Single frames: crops `[B, 40, 40]` float32, coefficients `[B, 10]`, landmarks `[B, 20, 2]`.

    Brightness and contrast are those of all frames of the speaker, as in a clip.
    """
    edge = ROOM // 2
    middle = mouths.mouth[:, :, edge:edge + SIDE, edge:edge + SIDE]
    mean = middle.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32)
    spread = np.sqrt(middle.var(axis=(1, 2, 3), dtype=np.float64) + 1).astype(np.float32)
    targets = coefficients(mouths.expression)
    for _ in range(steps):
        speaker, frame = rng.integers(len(mouths), size=size), rng.integers(mouths.mouth.shape[1], size=size)
        offsets = rng.integers(0, ROOM + 1, (size, 2))
        pixels = crop(mouths.mouth, (speaker, frame), offsets).astype(np.float32)
        pixels = (pixels - mean[speaker, None, None]) / spread[speaker, None, None]
        yield pixels, targets[speaker, frame], lip_targets(mouths.landmarks[speaker, frame], offsets)


def track_batches(said: Sentences, size: int, steps: int, rng: np.random.Generator) -> Iterator[tuple]:
    """Exact tracks: coefficients `[B, T, 10]`, classes `[B, T]`."""
    for _ in range(steps):
        picks = rng.integers(len(said), size=size)
        yield said.coefficients[picks], said.classes[picks]


@dataclasses.dataclass(frozen=True)
class SightErrors:
    """How the front sees tracks of faces that it never met: a linear map, and what is left.

    Attributes:
        gain: float32 `[10, 10]`, exact to seen: what hardly shows is guessed from what does.
        bias: float32 `[10]`.
        rest: float32 `[R, T, 10]`, tracks of what the map does not explain.
    """

    gain: np.ndarray
    bias: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, seen: np.ndarray, exact: np.ndarray) -> "SightErrors":
        """From what the front saw `[C, N, T, 10]`, C times each clip, and the truth `[N, T, 10]`."""
        truth = np.broadcast_to(exact, seen.shape).reshape(-1, seen.shape[-1])
        inputs = np.concatenate([truth, np.ones((len(truth), 1), truth.dtype)], axis=1)
        # AU14 is a multiple of press, so of all solutions the smallest is asked for
        solution = np.linalg.lstsq(inputs, seen.reshape(truth.shape), rcond=1e-4)[0].astype(np.float32)
        gain, bias = solution[:-1], solution[-1]
        return cls(gain, bias, (seen - exact @ gain - bias).reshape(-1, *exact.shape[1:]))

    def over(self, exact: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Exact tracks `[B, T, 10]` as the front might have seen them."""
        clips, frames, _ = exact.shape
        rolled = (np.arange(frames) + rng.integers(frames, size=(clips, 1))) % frames
        rest = self.rest[rng.integers(len(self.rest), size=(clips, 1)), rolled]
        return exact @ self.gain + self.bias + rng.uniform(*STRENGTHS, (clips, 1, 1)).astype(np.float32) * rest


def seen_batches(seen: np.ndarray, clips: Sentences, tracks: Sentences, errors: SightErrors, size: int, steps: int,
                 rng: np.random.Generator) -> Iterator[tuple]:
    """Half what the front saw of clips, half tracks under its errors: coefficients `[B, T, 10]`, classes `[B, T]`."""
    for _ in range(steps):
        pick, track = rng.integers(len(clips), size=size // 2), rng.integers(len(tracks), size=size - size // 2)
        looks = seen[rng.integers(len(seen), size=size // 2), pick]
        yield (np.concatenate([looks, errors.over(tracks.coefficients[track], rng)]),
               np.concatenate([clips.classes[pick], tracks.classes[track]]))


def clip_offsets(clips: int, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Where crops lie in their windows, (x, y): anywhere, and shaking a little from frame to frame; `[N, T, 2]`."""
    place = rng.integers(SHAKE, ROOM + 1 - SHAKE, (clips, 1, 2))
    return place + rng.integers(-SHAKE, SHAKE + 1, (clips, frames, 2)) * rng.integers(0, 2, (clips, 1, 1))
