"""Motion: how much a clip trembles."""

import numpy as np


def jitter(frames: np.ndarray) -> float:
    """Mean absolute second difference of the pixels over time.

    Args:
        frames: [T, H, W, C] uint8, T at least 3.

    Returns:
        Grey levels, 0..510. Neither direction is better by itself: compare with the truth's own value. A frozen
        clip has 0, flicker and noise raise it.

    Raises:
        ValueError: fewer than three frames.
    """
    if len(frames) < 3:
        raise ValueError(f"jitter needs at least 3 frames, got {len(frames)}")
    x = frames.astype(np.float64)
    return float(np.abs(x[2:] - 2 * x[1:-1] + x[:-2]).mean())
