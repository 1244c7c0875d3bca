"""Sound, pictures and video files. PyAV (extra `media`) is imported when first needed: training needs none."""

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data_pipelines import sound
from data_pipelines.mp4 import FragmentedMp4, pyav, write_mp4, write_parts
from data_pipelines.schema import SAMPLE_RATE, DataError

__all__ = [
    "FragmentedMp4", "Probe", "check_image", "existing_file", "probe", "pyav", "read_audio", "read_image",
    "video_frames", "write_mp4", "write_parts",
]

SILENCE = 32
"""Peak, of 32,768, up to which sound counts as silent: -60 dB of full scale."""
MIN_IMAGE = 32
"""Least rows and columns of an image, in pixels: below it there is no face to see."""
_GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")


def existing_file(path: str | os.PathLike, kind: str) -> Path:
    """The path of a file that is there and not empty.

    Raises:
        DataError: missing, a directory, unreadable or empty.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such {kind} file")
    if not path.is_file():
        raise DataError(f"{path}: not a file; give one {kind} file")
    if not os.access(path, os.R_OK):
        raise DataError(f"{path}: this {kind} file may not be read; check its permissions")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: this {kind} file is empty (0 bytes)")
    return path


def read_audio(path: str | os.PathLike, on_disk: bool = False) -> np.ndarray:
    """Speech of any file that ffmpeg reads; uncompressed WAV needs no PyAV and gives the same samples without it.

    Args:
        path: a sound or video file; of several sound streams the first.
        on_disk: keep the samples in an unnamed temporary file that is mapped into memory, so that the length of
            the speech does not matter.

    Returns:
        [S] int16, 16 kHz, mono (the mean of the channels).

    Raises:
        DataError: missing, empty, damaged, without sound, or silent, that is with a peak of at most `SILENCE`.
    """
    path = existing_file(path, "audio")
    with tempfile.TemporaryFile() as spool:
        parts, total, peak = [], 0, 0
        for block in _audio_blocks(path):
            total += block.size
            peak = max(peak, int(np.abs(block.astype(np.int32)).max(initial=0)))
            if on_disk:
                spool.write(block.tobytes())
            else:
                parts.append(block)
        if total == 0:
            raise DataError(f"{path}: holds no sound (0 samples)")
        if peak <= SILENCE:
            raise DataError(
                f"{path}: is silent, its peak is {peak} of 32768 and speech needs more than {SILENCE}; "
                "check the recording and its channel"
            )
        if not on_disk:
            return np.concatenate(parts)
        spool.flush()
        return np.memmap(spool, np.int16, "r", shape=(total,))


def _audio_blocks(path: Path) -> Iterator[np.ndarray]:
    """int16 blocks at 16 kHz; WAV takes the way without PyAV always, so that a result does not depend on extras."""
    wav = sound.open_wav(path) if sound.is_wav(path) else None
    if wav is not None:
        yield from sound.wav_blocks(wav)
        return
    av = pyav(f"{path}: sound that is not an uncompressed WAV file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DataError(f"{path}: has no sound stream")
            resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            for frame in container.decode(container.streams.audio[0]):
                for part in resampler.resample(frame):
                    yield part.to_ndarray().reshape(-1)
            for part in resampler.resample(None):
                yield part.to_ndarray().reshape(-1)
    except (av.error.FFmpegError, ValueError) as error:
        reason = f"ffmpeg cannot decode it as sound ({_reason(error)})"
        raise DataError(f"{path}: {reason}; convert or export it again") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """A colour picture of any format that Pillow reads, turned upright by its EXIF tag, transparency over white.

    Returns:
        [H, W, 3] uint8 RGB, H and W at least `MIN_IMAGE`.

    Raises:
        DataError: missing, empty, damaged, not an image, grey, or smaller than `MIN_IMAGE` pixels on a side.
    """
    path = existing_file(path, "image")
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not an image of a known format; use PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: a damaged image ({error}); export it again") from error
    if image.mode in _GREY_MODES:
        raise DataError(f"{path}: a grey image (mode {image.mode}); the networks know colour only, give an RGB picture")
    if image.mode in ("RGBA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return check_image(np.asarray(image.convert("RGB")), str(path))


def check_image(image: np.ndarray, name: str = "image") -> np.ndarray:
    """The image itself, if it is one that a face can be seen on.

    Raises:
        DataError: not [H, W, 3] uint8, or smaller than `MIN_IMAGE` pixels on a side.
    """
    image = np.asarray(image)
    if image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in (1, 2)):
        raise DataError(f"{name}: a grey image, shape {image.shape}; the networks know colour only, give [H, W, 3] RGB")
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise DataError(f"{name}: {image.dtype} of shape {image.shape}; give uint8 [H, W, 3] RGB")
    if min(image.shape[:2]) < MIN_IMAGE:
        raise DataError(
            f"{name}: {image.shape[1]} x {image.shape[0]} pixels; a face needs at least {MIN_IMAGE} x {MIN_IMAGE}"
        )
    return image


@dataclasses.dataclass(frozen=True)
class Probe:
    """What a video file holds, counted by decoding it, not as its header claims.

    Attributes:
        frames: decoded frames; 0 without video.
        fps: average frames per second.
        height: rows in pixels.
        width: columns in pixels.
        audio_rate: samples per second; 0 without sound.
        audio_samples: decoded samples per channel.
        codecs: names of the streams' codecs in order.
        metadata: tags of the container.
    """

    frames: int
    fps: float
    height: int
    width: int
    audio_rate: int
    audio_samples: int
    codecs: tuple[str, ...]
    metadata: dict[str, str]


def probe(path: str | os.PathLike) -> Probe:
    """Decodes a file once and says what is in it.

    Raises:
        DataError: missing, empty, not readable by ffmpeg, or without picture and sound.
    """
    path = existing_file(path, "media")
    with opened(path) as container:
        video, audio = container.streams.video, container.streams.audio
        if not video and not audio:
            raise DataError(f"{path}: has neither picture nor sound; give a video or an audio file")
        frames = samples = 0
        for frame in container.decode(*video[:1], *audio[:1]):
            if hasattr(frame, "samples"):
                samples += frame.samples
            else:
                frames += 1
        return Probe(
            frames=frames, fps=float(video[0].average_rate or 0) if video else 0.0,
            height=video[0].height if video else 0, width=video[0].width if video else 0,
            audio_rate=audio[0].rate if audio else 0, audio_samples=samples,
            codecs=tuple(stream.codec_context.name for stream in container.streams),
            metadata=dict(container.metadata),
        )


def video_frames(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """The frames of a video file in order, one at a time: [H, W, 3] uint8 RGB.

    Raises:
        DataError: missing, empty, not readable by ffmpeg or without video.
    """
    path = existing_file(path, "video")
    with opened(path) as container:
        if not container.streams.video:
            raise DataError(f"{path}: has no video stream")
        for frame in container.decode(container.streams.video[0]):
            yield frame.to_ndarray(format="rgb24")


@contextlib.contextmanager
def opened(path: Path):
    """A PyAV container; whatever ffmpeg cannot read is a DataError."""
    av = pyav(f"{path}: reading video")
    try:
        with av.open(str(path)) as container:
            yield container
    except av.error.FFmpegError as error:
        raise DataError(f"{path}: ffmpeg cannot decode it ({_reason(error)}); convert or export it again") from error
