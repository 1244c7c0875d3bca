"""Many clips at once through a sampler: the same `chunk` that generates one video, over a batch of carries."""

from collections.abc import Sequence

import jax
import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME
from thjax.engine import GenerateRequest, Sampler
from thjax.evaluate import devices

CLIPS_AT_ONCE = 12
"""Or the next number that divides over the devices."""


class Synthesiser:
    """Generates clips of one length; its program is compiled once.

    Args:
        sampler: of a trained system whose weights lie everywhere, see `devices.everywhere`.
        frames: T, frames of a clip.
    """

    def __init__(self, sampler: Sampler, frames: int):
        self._sampler, self._frames = sampler, frames
        self._chunk = jax.jit(jax.vmap(sampler.chunk))

    def __call__(self, stills: np.ndarray, audio: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Generates N clips.

        Args:
            stills: [N, H, W, 3] uint8.
            audio: [N, T * 640 + 6400] int16, 3,200 samples of context on each side.
            seeds: N, of each clip's noise.

        Returns:
            [N, T, H, W, 3] uint8, before `finish`.
        """
        results, at_once = [], devices.rows_for(CLIPS_AT_ONCE)
        for start in range(0, len(stills), at_once):
            # The last part is filled up, so that one compiled program serves all of them.
            count = min(at_once, len(stills) - start)
            rows = np.minimum(np.arange(start, start + at_once), len(stills) - 1)
            carries = [self._sampler.plan(GenerateRequest(still=stills[i], seed=int(seeds[i]))) for i in rows]
            carry = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *carries)
            carry = devices.cut(carry)
            pieces = []
            for piece in chunks_of(self._sampler, audio[rows], self._frames):
                carry, made = self._chunk(carry, devices.cut(piece))
                pieces.append(made)
            joined = np.concatenate([np.asarray(piece) for piece in pieces], axis=1)
            results.append(joined[:count, : self._frames])
        return np.concatenate(results)


def chunks_of(sampler: Sampler, audio: np.ndarray, frames: int):
    """Yields [N, lookbehind + chunk * 640 + lookahead] int16 pieces that cover `frames` frames, zeros past the end."""
    length = sampler.chunk_frames * SAMPLES_PER_FRAME
    first = AUDIO_CONTEXT - sampler.lookbehind
    count = -(-frames // sampler.chunk_frames)
    padded = np.pad(audio, ((0, 0), (max(0, -first), length + max(0, sampler.lookahead - AUDIO_CONTEXT))))
    for index in range(count):
        start = max(0, first) + index * length
        yield padded[:, start : start + sampler.lookbehind + length + sampler.lookahead]
