"""Rows that show what a mapper's figure is worth: motion from the sound by a line, or from no sound at all."""

from collections.abc import Iterator, Sequence

import jax
import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, FPS, SAMPLES_PER_FRAME
from thjax.audio.mel_magnitude import MelColumns
from thjax.evaluate.animation.clips import CHANNELS, MotionClip

MEL_BANDS, MEL_COLUMNS = 20, 20
"""What `linear` hears of a frame: 0.2 s around it, as a mapper does."""
LOUDNESS_REACH = 10
"""Frames on either side whose loudness `loudness` knows."""
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Ridge penalties that are tried, in units of the inputs' mean variance."""
HELD_OUT = 5
"""Every fifth training clip chooses the penalty."""
MARKOV_BINS = 500
FRAMES_AT_ONCE = 100


class Ridge:
    """A linear map from features to the 23 channels.

    Args:
        features: [n, F] of every training clip.
        vectors: [n, 23] of every training clip.
    """

    def __init__(self, features: Sequence[np.ndarray], vectors: Sequence[np.ndarray]):
        chosen = [index % HELD_OUT == 0 for index in range(len(features))]
        if len(features) < HELD_OUT:
            chosen = [False] * len(features)
        fitting = [index for index, held in enumerate(chosen) if not held]
        x, y = (np.concatenate([part[index] for index in fitting]) for part in (features, vectors))
        self._centre, self._offset = x.mean(axis=0), y.mean(axis=0)
        x, y = x - self._centre, y - self._offset
        gram, cross = x.T @ x, x.T @ y
        scale = np.trace(gram) / len(gram) or 1.0  # of a silent corpus nothing is heard
        solved = [np.linalg.solve(gram + penalty * scale * np.eye(len(gram)), cross) for penalty in PENALTIES]
        held = [index for index, out in enumerate(chosen) if out] or fitting
        costs = [sum(np.square((features[i] - self._centre) @ weights + self._offset - vectors[i]).sum(axis=0)
                     for i in held) for weights in solved]
        self._weights = np.stack([solved[best][:, channel] for channel, best in
                                  enumerate(np.argmin(costs, axis=0))], axis=1)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """[n, F] -> [n, 23]."""
        return (features - self._centre) @ self._weights + self._offset


class Controls:
    """Rows made of the training split.

    Args:
        training: its clips, or as many as are enough.
    """

    def __init__(self, training: Sequence[MotionClip]):
        clips = [training[number] for number in range(len(training))]
        # Frames without labels say nothing.
        vectors = [clip.vectors[clip.counts].astype(np.float64) for clip in clips]
        self._mel = MelColumns(MEL_BANDS, MEL_COLUMNS, FPS)
        self._columns = jax.jit(self._mel)
        self._linear = Ridge([self._heard(clip)[clip.counts] for clip in clips], vectors)
        self._loudness = Ridge([_loudness(clip)[clip.counts] for clip in clips], vectors)
        longest = max(clip.frames for clip in clips)
        total, count = np.zeros((longest, len(CHANNELS))), np.zeros((longest, 1))
        for clip in clips:
            total[: clip.frames] += np.where(clip.counts[:, None], clip.vectors, 0)
            count[: clip.frames] += clip.counts[:, None]
        self._profile = total / np.maximum(count, 1)
        self.values = np.concatenate(vectors)
        """[N, 23] everything that was seen."""
        self.deviation = np.maximum(self.values.std(axis=0), 1e-9)
        """[23] of it."""
        steps = [clip.counts[1:] & clip.counts[:-1] for clip in clips]
        before, after = (np.concatenate([clip.vectors[part][step] for clip, step in zip(clips, steps, strict=True)])
                         for part in (slice(None, -1), slice(1, None)))
        self._chain = Chain(before, after)

    def rows(self, clip: MotionClip, motions: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
        """(name, [S, T, 23]) of each control; S is `motions` where it draws, else 1."""
        rng = np.random.default_rng([seed, clip.frames])
        yield "linear", self._linear(self._heard(clip))[None]
        yield "loudness", self._loudness(_loudness(clip))[None]
        places = np.minimum(np.arange(clip.frames), len(self._profile) - 1)
        yield "time_profile", self._profile[places][None]
        drawn = rng.integers(0, len(self.values), (motions, clip.frames, len(CHANNELS)))
        yield "iid_noise", np.take_along_axis(self.values[None], drawn.reshape(1, -1, len(CHANNELS)), 1).reshape(
            drawn.shape)
        yield "markov", self._chain.draw(rng, motions, clip.frames)

    def _heard(self, clip: MotionClip) -> np.ndarray:
        """[T, 400] mel columns around every frame."""
        mel = self._mel
        samples = clip.audio[AUDIO_CONTEXT - mel.behind : len(clip.audio) - (AUDIO_CONTEXT - mel.ahead)]
        # Filled up, so that a few compiled programs serve clips of any length.
        missing = -clip.frames % FRAMES_AT_ONCE * SAMPLES_PER_FRAME
        return np.asarray(self._columns(np.pad(samples, (0, missing))[None])[0], np.float64)[: clip.frames]


class Chain:
    """A first-order Markov chain of every channel by itself: the next value is one that followed a value as near.

    Args:
        before, after: [N, 23] neighbouring values.
    """

    def __init__(self, before: np.ndarray, after: np.ndarray):
        self._low, high = before.min(axis=0), before.max(axis=0)
        self._step = np.maximum(high - self._low, 1e-9) / MARKOV_BINS
        bins = self._bins(before)
        self._order = np.argsort(bins, axis=0, kind="stable")
        ordered = np.take_along_axis(bins, self._order, axis=0)
        edges = np.arange(MARKOV_BINS + 1)
        self._starts = np.stack([np.searchsorted(column, edges) for column in ordered.T], axis=1)
        self._before, self._after = before, after

    def _bins(self, values: np.ndarray) -> np.ndarray:
        return np.clip((values - self._low) / self._step, 0, MARKOV_BINS - 1).astype(int)

    def draw(self, rng: np.random.Generator, motions: int, frames: int) -> np.ndarray:
        """[S, T, 23]."""
        channels = np.arange(len(CHANNELS))
        drawn = np.empty((motions, frames, len(CHANNELS)))
        drawn[:, 0] = self._before[rng.integers(0, len(self._before), drawn[:, 0].shape), channels]
        for frame in range(1, frames):
            bins = self._bins(drawn[:, frame - 1])
            first, end = self._starts[bins, channels], self._starts[bins + 1, channels]
            # An empty bin goes on with the next value above it.
            first = np.minimum(first, len(self._before) - 1)
            place = first + (rng.random(first.shape) * np.maximum(end - first, 1)).astype(int)
            drawn[:, frame] = self._after[self._order[place, channels], channels]
        return drawn


def _loudness(clip: MotionClip) -> np.ndarray:
    """[T, 21] log loudness of the frames around every frame."""
    spoken = clip.audio[AUDIO_CONTEXT - LOUDNESS_REACH // 2 * SAMPLES_PER_FRAME :]
    count = clip.frames + 2 * (LOUDNESS_REACH // 2)
    windows = spoken[: count * SAMPLES_PER_FRAME].reshape(count, SAMPLES_PER_FRAME).astype(np.float64)
    level = np.log(np.sqrt((windows**2).mean(axis=1)) + 1)
    return np.lib.stride_tricks.sliding_window_view(level, 2 * (LOUDNESS_REACH // 2) + 1)
