"""Grey from colour."""

import numpy as np

# ITU-R BT.601 luma in 16-bit fixed point, as Pillow's mode "L" has it; OpenCV's differs by at most one level.
LUMA = np.array([19595, 38470, 7471], np.int64)


def grey(frames: np.ndarray) -> np.ndarray:
    """[T, H, W] luma of frames [T, H, W, 3] RGB or [T, H, W, 1]; uint8 stays uint8, the rest becomes float64.

    Raises:
        ValueError: frames have neither one nor three channels.
    """
    if frames.ndim != 4 or frames.shape[-1] not in (1, 3):
        raise ValueError(f"grey needs frames [T, H, W, 3] in RGB or [T, H, W, 1], got {frames.shape}")
    if frames.shape[-1] == 1:
        plane = frames[..., 0]
        return plane if plane.dtype == np.uint8 else plane.astype(np.float64)
    if frames.dtype == np.uint8:
        return ((frames @ LUMA + (1 << 15)) >> 16).astype(np.uint8)
    return frames.astype(np.float64) @ (LUMA / (1 << 16))
