"""What a generator driven by animation vectors is to those that use it: it draws frames and hears nothing."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class FaceAnimator(Protocol):
    """Puts the motion of a mapper (`motion_sampler.CHANNELS`) on a photograph."""

    frame_size: tuple[int, int]
    """(H, W) of a frame, pixels."""

    def encode(self, picture: np.ndarray, z: np.ndarray) -> Any:
        """The photograph [H, W, 3] uint8 with its own labels [23], translation in mm of the stored crop; once."""

    def frames(self, source: Any, vectors: Sequence[np.ndarray], rest: np.ndarray) -> np.ndarray:
        """Frames [n, H, W, 3] uint8 of vectors [n, 23]; `rest` [3] is their translation where the photograph's is."""
