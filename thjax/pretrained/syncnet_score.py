"""The public procedure around SyncNet: JPEG, windows, shifts, offset and confidence.

Source: joonson/syncnet_python, `SyncNetInstance.evaluate`. Face tracks are the caller's: whole frames at 224 px are the
preset of LRS evaluations, tracked crops that of the original.
"""

import dataclasses
import fractions
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import simplejpeg

from thjax.core.errors import UserError
from thjax.pretrained.speech_features import mfcc
from thjax.pretrained.syncnet import COLUMNS, FRAMES, SIDE, SyncNet

SHIFTS = 15
"""Shifts that are tried on each side, in frames."""
SAMPLES = 640
"""Samples per frame, 16 kHz at 25 frames per second."""
_STEP = 4
"""MFCC columns per frame."""
_BATCH = 20
_EPSILON = 1e-6
"""Added to every difference by torch's `pairwise_distance`."""


@dataclasses.dataclass(frozen=True)
class SyncScore:
    """What the public script prints.

    Attributes:
        offset: frames by which the video lags behind the audio; positive: video late.
        confidence: median less minimum of `distances`; higher is better.
        distance: minimum of `distances` (LSE-D); lower is better.
        distances: [2 shifts + 1] mean distances between window i of the video and window i + s of the audio,
            s = -shifts ... shifts.
        windows: over which they are means.
    """

    offset: int
    confidence: float
    distance: float
    distances: np.ndarray
    windows: int


def score(
    net: SyncNet, variables: Mapping[str, Any], frames: np.ndarray, audio: np.ndarray, lossless: bool = False,
    shifts: int = SHIFTS,
) -> SyncScore:
    """Judges one clip.

    Args:
        net, variables: from `thjax.pretrained.networks.load("syncnet", ...)`.
        frames: [T, 224, 224, 3] uint8 RGB, 25 per second.
        audio: [S] int16, 16 kHz.
        lossless: leaves the JPEG pass of the public script out.
        shifts: tried on each side.

    Raises:
        UserError: a clip of fewer than six frames or of other sizes; PyAV missing where JPEG needs it.
    """
    seen, heard = embed(net, variables, frames, audio, lossless)
    distances = shifted_distances(seen, heard, shifts)
    return from_distances(distances, len(seen))


def embed(
    net: SyncNet, variables: Mapping[str, Any], frames: np.ndarray, audio: np.ndarray, lossless: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """[N, 1024] of video and of audio, N = min(T, S // 640) - 5 as in the public script. Arguments as `score`."""
    if frames.ndim != 4 or frames.shape[1:] != (SIDE, SIDE, 3) or frames.dtype != np.uint8:
        raise UserError(f"frames {frames.shape} of {frames.dtype}: resize to [T, {SIDE}, {SIDE}, 3] uint8")
    count = min(len(frames), len(audio) // SAMPLES) - FRAMES
    if count < 1:
        raise UserError(f"{len(frames)} frames and {len(audio)} samples: SyncNet needs more than {FRAMES} frames "
                        f"and as many times {SAMPLES} samples; use longer clips")
    pictures = (frames if lossless else jpeg_pass(frames))[..., ::-1]
    columns = mfcc(audio).T
    windows = np.stack([columns[:, _STEP * i:_STEP * i + COLUMNS] for i in range(count)])
    heard = _batched(functools.partial(_audio, net, variables), lambda i: windows[i], count)
    seen = _batched(functools.partial(_video, net, variables), lambda i: pictures[i:i + FRAMES], count)
    return seen, heard


@functools.partial(jax.jit, static_argnums=0)
def _audio(net, variables, x):
    return net.apply(variables, x, method="audio")


@functools.partial(jax.jit, static_argnums=0)
def _video(net, variables, x):
    return net.apply(variables, x.astype(jnp.float32), method="video")


def _batched(call, window, count):
    """Windows in batches of one size, so that one program serves every clip; the last batch repeats its last window."""
    found = []
    for start in range(0, count, _BATCH):
        batch = np.stack([window(min(i, count - 1)) for i in range(start, start + _BATCH)])
        batch = batch if batch.dtype == np.uint8 else batch.astype(np.float32)
        found.append(np.asarray(call(batch)))
    return np.concatenate(found)[:count]


def shifted_distances(seen: np.ndarray, heard: np.ndarray, shifts: int = SHIFTS) -> np.ndarray:
    """[2 shifts + 1] means over i of |seen_i - heard_{i + s}|; beyond the clip `heard` is zero, as it is there.

    Args:
        seen, heard: [N, D] embeddings.
        shifts: tried on each side.

    Raises:
        ValueError: different numbers of windows.
    """
    if seen.shape != heard.shape:
        raise ValueError(f"embeddings of video {seen.shape} and audio {heard.shape} must have one shape")
    padded = np.pad(heard.astype(np.float64), ((shifts, shifts), (0, 0)))
    differences = (seen - padded[s:s + len(seen)] + _EPSILON for s in range(2 * shifts + 1))
    return np.array([np.linalg.norm(difference, axis=1).mean() for difference in differences])


def from_distances(distances: np.ndarray, windows: int) -> SyncScore:
    """Offset, confidence and minimum of a curve of `shifted_distances`."""
    best, least = int(np.argmin(distances)), float(np.min(distances))
    return SyncScore(len(distances) // 2 - best, float(np.median(distances)) - least, least, distances, windows)


def jpeg_pass(frames: np.ndarray) -> np.ndarray:
    """What is left of frames that ffmpeg has written as JPEG with its default settings, as the public script does.

    ffmpeg holds a stream of pictures to 200 kbit/s by default, so that quality depends on the clip and is low.

    Args:
        frames: [T, H, W, 3] uint8 RGB.

    Returns:
        As `frames`.

    Raises:
        UserError: PyAV is missing.
    """
    try:
        import av
    except ImportError as error:
        raise UserError("the JPEG pass of SyncNet's public script needs PyAV: pip install 'thjax[media]', or ask for "
                        "the lossless preset") from error
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuvj420p", 25, fractions.Fraction(1, 25)
    packets = []
    for i, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(format="yuvj420p")
        picture.pts = i
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    return np.stack([simplejpeg.decode_jpeg(bytes(packet), "RGB") for packet in packets])
