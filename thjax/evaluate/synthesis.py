"""Many clips at once through a sampler: the same `chunk` that generates one video, over a batch of carries."""

import jax
import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME
from thjax.engine import GenerateRequest, Sampler

CLIPS_AT_ONCE = 12


def synthesise(sampler: Sampler, stills: np.ndarray, audio: np.ndarray, frames: int, seed: int) -> np.ndarray:
    """Generates N clips of the same length.

    Args:
        sampler: of a trained system.
        stills: [N, H, W, 3] uint8.
        audio: [N, frames * 640 + 6400] int16, 3,200 samples of context on each side.
        frames: T, frames of a clip.
        seed: clip i draws its noise from `seed + i`.

    Returns:
        [N, T, H, W, 3] uint8, before `finish`.
    """
    chunk = jax.jit(jax.vmap(sampler.chunk))
    results = []
    for start in range(0, len(stills), CLIPS_AT_ONCE):
        part = slice(start, start + CLIPS_AT_ONCE)
        # The last part is filled up, so that one compiled program serves all of them.
        count = len(stills[part])
        rows = np.minimum(np.arange(start, start + CLIPS_AT_ONCE), len(stills) - 1)
        carries = [sampler.plan(GenerateRequest(still=stills[i], seed=seed + int(i))) for i in rows]
        carry = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *carries)
        pieces = []
        for piece in chunks_of(sampler, audio[rows], frames):
            carry, made = chunk(carry, piece)
            pieces.append(made)
        results.append(np.concatenate([np.asarray(piece) for piece in pieces], axis=1)[:count, :frames])
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
