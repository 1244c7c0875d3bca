"""Writes mp4: H.264 and AAC, whole or not at all into a file, or fragment by fragment into a pipe. Needs PyAV."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data_pipelines.schema import FPS, SAMPLE_RATE, DataError
from thjax.core import files

_AUDIO_BIT_RATE = 96_000
_BT601 = 6  # matrix of standard-definition video, which is what swscale converts RGB with


def pyav(purpose: str):
    """The PyAV module.

    Raises:
        DataError: it is not installed; says what for and which extra brings it.
    """
    try:
        import av
    except ImportError as error:
        raise DataError(f"{purpose} needs PyAV, which is not installed: pip install 'thjax[media]'") from error
    return av


class Mp4Writer:
    """Encodes frames and speech that arrive side by side; memory does not grow with their number.

    Args:
        file: a path, or an object with `write(bytes)` for a fragmented stream.
        fps: frames per second.
        audio: whether there is a sound track.
        metadata: tags, e.g. title and comment.
        fragmented: write one fragment per frame, so that a reader of a pipe sees every frame at once.

    Raises:
        DataError: PyAV is missing, or a frame is not [H, W, 3] uint8 of the first frame's size.
    """

    def __init__(self, file, *, fps: int = FPS, audio: bool = True, metadata: Mapping[str, str] | None = None,
                 fragmented: bool = False):
        av = pyav("writing mp4")
        self._av, self._fps, self._fragmented = av, fps, fragmented
        # `delay_moov` lets the header tell of AAC's priming; with `empty_moov` sound lags and the first frame is long.
        live = {"movflags": "delay_moov+default_base_moof", "frag_duration": str(1_000_000 // fps)}
        self._container = av.open(file, "w", format="mp4", options=live if fragmented else {"movflags": "faststart"})
        self._container.metadata.update(metadata or {})
        self._with_audio = audio
        self._video = self._audio = None
        self._shape: tuple[int, ...] = ()
        self._samples = 0
        self.frames = 0

    def _add_audio(self):
        stream = self._container.add_stream("aac", rate=SAMPLE_RATE)
        stream.codec_context.layout = "mono"
        stream.codec_context.bit_rate = _AUDIO_BIT_RATE
        return stream

    def _add_video(self, height: int, width: int):
        # With x264's macroblock tree the same frames are other bytes a few times in a hundred, and may not be.
        options = {"crf": "16", "preset": "fast", "mbtree": "0"}
        options |= {"tune": "zerolatency"} if self._fragmented else {}
        stream = self._container.add_stream("libx264", rate=self._fps, options=options)
        context = stream.codec_context
        context.width, context.height = width + width % 2, height + height % 2
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, self._fps)
        context.colorspace = _BT601
        context.thread_count = 1  # x264's bytes depend on the number of threads
        return stream

    def write(self, frames: np.ndarray, samples: np.ndarray | None = None) -> None:
        """Appends frames [n, H, W, 3] uint8 and the speech that sounds with them, [m] int16 at 16 kHz.

        They alternate frame by frame, so that the muxer never holds more than a moment of either.
        """
        for index, frame in enumerate(frames):
            self._write_frame(frame)
            if samples is not None:
                stop = None if index == len(frames) - 1 else (index + 1) * SAMPLE_RATE // self._fps
                self._write_audio(samples[index * SAMPLE_RATE // self._fps : stop])

    def _write_frame(self, frame: np.ndarray) -> None:
        """[H, W, 3] uint8; an odd last row or column is repeated, for H.264 halves colour."""
        if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
            raise DataError(f"frame {self.frames}: {frame.dtype} {frame.shape}; a frame is uint8 [H, W, 3]")
        if self._video is None:
            self._shape = frame.shape
            self._video = self._add_video(*frame.shape[:2])
            self._audio = self._add_audio() if self._with_audio else None
        if frame.shape != self._shape:
            raise DataError(f"frame {self.frames} has shape {frame.shape}, the ones before {self._shape}")
        if any(side % 2 for side in frame.shape[:2]):
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), "edge")
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=_BT601)
        picture.pts, picture.duration, picture.time_base = self.frames, 1, Fraction(1, self._fps)
        self.frames += 1
        self._container.mux(self._video.encode(picture))

    def _write_audio(self, samples: np.ndarray) -> None:
        if not samples.size:
            return
        sound = self._av.AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = SAMPLE_RATE, self._samples, Fraction(1, SAMPLE_RATE)
        self._samples += samples.size
        self._container.mux(self._audio.encode(sound))

    def close(self) -> None:
        """Flushes the encoders and ends the file."""
        for stream in (self._video, self._audio):
            if stream is not None and (stream is not self._audio or self._samples):
                self._container.mux(stream.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Lets go of the file without ending it properly, after an error."""
        with contextlib.suppress(self._av.error.FFmpegError, ValueError, OSError):
            self._container.close()


Part = tuple[np.ndarray, np.ndarray | None]
"""Frames [n, H, W, 3] uint8 and the speech that sounds with them, [m] int16 at 16 kHz."""


def write_mp4(path: str | os.PathLike, frames: Iterable[np.ndarray], audio: np.ndarray | None = None, *, fps: int = FPS,
              metadata: Mapping[str, str] | None = None) -> int:
    """Writes a video file, whole or not at all.

    Args:
        path: of the mp4; its directory is made.
        frames: frames [H, W, 3] uint8, an array or a lazy iterator; the number need not be known.
        audio: [S] int16 at 16 kHz, muxed along with the frames; None for a silent film.
        fps: frames per second.
        metadata: tags of the file, e.g. title and comment.

    Returns:
        The number of frames written.

    Raises:
        DataError: PyAV is missing, there is no frame, or a frame is not like the others.
    """
    def sound(index: int) -> np.ndarray | None:
        return None if audio is None else audio[index * SAMPLE_RATE // fps : (index + 1) * SAMPLE_RATE // fps]

    parts = ((np.asarray(frame)[None], sound(index)) for index, frame in enumerate(frames))
    return write_parts(path, parts, audio=audio is not None, fps=fps, metadata=metadata)


def write_parts(path: str | os.PathLike, parts: Iterable[Part], *, audio: bool = True, fps: int = FPS,
                metadata: Mapping[str, str] | None = None) -> int:
    """`write_mp4` of frames and sound that are made together. Until it is complete the file has a temporary name."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.whole(path) as temporary:
        writer = Mp4Writer(str(temporary), fps=fps, audio=audio, metadata=metadata)
        try:
            for frames, samples in parts:
                writer.write(frames, samples)
            if not writer.frames:
                raise DataError(f"{path}: no frame to write")
            writer.close()
        except BaseException:
            writer.abandon()
            raise
    return writer.frames


class FragmentedMp4:
    """An mp4 that a player can show while it is still being made.

    Args:
        stream: e.g. `sys.stdout.buffer`; only `write` and `flush` are used, so it may be a pipe.
        fps: frames per second.
        metadata: tags.
    """

    def __init__(self, stream: BinaryIO, *, fps: int = FPS, metadata: Mapping[str, str] | None = None):
        self._writer = Mp4Writer(_WriteOnly(stream), fps=fps, metadata=metadata, fragmented=True)

    def write(self, frames: np.ndarray, audio: np.ndarray) -> None:
        """Sends frames [n, H, W, 3] uint8 and the speech that sounds with them, [m] int16 at 16 kHz."""
        self._writer.write(frames, audio)

    def close(self) -> None:
        """Ends the stream."""
        self._writer.close()


class _WriteOnly:
    """Hides `seek` and `close` of a stream, so that the muxer neither goes back nor closes a standard output."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self._stream.flush()
        return len(data)
