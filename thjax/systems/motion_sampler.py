"""What a mapper is to those that generate and evaluate: a sampler of motion, which draws no pixel."""

from typing import Protocol, runtime_checkable

import jax
import numpy as np

from data_pipelines.schema import AU_INTENSITY, POSE
from thjax.engine import Batch, Sampler
from thjax.engine.system import Carry

CHANNELS = AU_INTENSITY + POSE
"""Of an animation vector: 17 intensities, 0 to 5; Tx Ty Tz in mm from the clip's start; Rx Ry Rz in rad."""


@runtime_checkable
class MotionSampler(Sampler, Protocol):
    """A mapper: a `Sampler` that draws no pixels but animation vectors. Its `plan` looks at no still."""

    channels: tuple[str, ...]
    """Names of a vector's numbers: `CHANNELS`."""
    categories: int
    """D, categories of a channel; 0 where channels are continuous."""

    def start(self, seed: int, motions: int = 1) -> Carry:
        """The carry of several motions of one audio. Motion s of a seed is the same however many are drawn."""
        ...

    def chunk(
        self, carry: Carry, audio: jax.Array, replace: np.ndarray | None = None
    ) -> tuple[Carry, jax.Array]:
        """Audio as in `Sampler` -> animation vectors [chunk_frames, S, 23] of S motions.

        `replace`, [chunk_frames, 23] f32: values in place of what is drawn, which the frames after are told; NaN for
        none.
        """
        ...

    def finish(self, carry: Carry | None, frames: np.ndarray) -> np.ndarray:
        """Animation vectors [n, S, 23] -> preview of the first motion, [n, H, W, 3] uint8. The carry is not read."""
        ...

    def score(self, batch: Batch) -> dict[str, jax.Array]:
        """How well the mapper foresees whole clips, teacher-forced: {metric: [B]}.

        `batch` holds `audio`, `au`, `pose`, `start_pose`, `start_frame` (0) and `valid` of clips from their starts.
        """
        ...

    def encode(self, vectors: np.ndarray) -> np.ndarray:
        """Animation vectors [..., 23] -> int32 categories [..., 23] of the nearest centroids."""
        ...
