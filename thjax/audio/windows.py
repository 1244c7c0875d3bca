"""Overlapping windows of raw samples, one per video frame."""

import jax
import jax.numpy as jnp

SAMPLES_PER_FRAME = 640
CONTEXT = 3_200


def waveform_windows(
    audio: jax.Array, window: int = 2_560, samples_per_frame: int = SAMPLES_PER_FRAME, context: int = CONTEXT
) -> jax.Array:
    """Cuts the window centred on every frame (vougioukas2019: 0.16 s windows, one frame apart).

    Args:
        audio: [B, T * samples_per_frame + 2 * context] int16, or float in [-1, 1].
        window: samples of a window.
        samples_per_frame: samples from one frame to the next.
        context: samples before the first and after the last frame.

    Returns:
        [B, T, window] float in [-1, 1]; window t is centred on the middle of frame t.

    Raises:
        ValueError: audio that is no whole number of frames, a window that cannot be centred or exceeds the context.
    """
    samples = audio.shape[1] - 2 * context
    margin, odd = divmod(window - samples_per_frame, 2)
    if samples < samples_per_frame or samples % samples_per_frame:
        raise ValueError(f"audio {audio.shape} less {context} samples of context on both sides is no whole number of frames "
                         f"of {samples_per_frame} samples")
    if odd or window < 1 or margin > context:
        raise ValueError(f"window of {window} samples around a frame of {samples_per_frame}: the difference must be even and "
                         f"at most twice the context of {context}")
    frames, blocks = samples // samples_per_frame, -(-window // samples_per_frame)
    start = context - margin
    stop = start + (frames + blocks - 1) * samples_per_frame
    # Slices of whole blocks instead of a gather: every window is `blocks` neighbours of one reshaped array.
    audio = jnp.pad(audio, ((0, 0), (0, max(0, stop - audio.shape[1]))))[:, start:stop]
    audio = audio.reshape(audio.shape[0], frames + blocks - 1, samples_per_frame)
    windows = jnp.concatenate([audio[:, i : i + frames] for i in range(blocks)], -1)[..., :window]
    if jnp.issubdtype(audio.dtype, jnp.integer):
        return windows.astype(float) / (jnp.iinfo(audio.dtype).max + 1)
    return windows
