"""Films for tests, with real codecs and containers: a face-like texture that flashes when a tone sounds."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

NTSC = Fraction(30000, 1001)
_FORMATS = {"aac": "fltp", "ac3": "fltp", "mp2": "s16", "pcm_s16le": "s16"}


def flash_frames(frames: int) -> list[int]:
    """Twenty flashes of three frames, at irregular distances."""
    gaps = 5 + np.random.default_rng(3).integers(0, (frames - 110) // 20 + 1, 20)
    return [int(place) for place in np.cumsum(gaps)]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A textured picture, dark enough to flash."""
    small = np.random.default_rng(seed).integers(20, 90, (-(-height // 8), -(-width // 8), 3))
    return small.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.uint8)


def film(path: Path, frames: int = 30, rate: Fraction | int = 25, *, size=(64, 80), video="libx264", sound="aac",
         audio_rate: int = 16_000, layout: str = "mono", flashes=(), pixels: str = "yuv420p", times=None,
         audio_seconds: float | None = None, tone: float = 0.0, seed: int = 0,
         pixel_shape: Fraction = Fraction(1)) -> Path:
    """Writes a film.

    Args:
        path: its suffix chooses the container.
        frames: pictures.
        rate: of the pictures.
        size: (height, width).
        video: encoder of the pictures, None for sound alone.
        sound: encoder of the sound, None for a silent film.
        audio_rate: of the sound.
        layout: of its channels.
        flashes: frames at which three bright frames and a tone begin.
        pixels: format of the pictures.
        times: of the frames, in ticks of 1 / rate; None: one after the other. A frame that is not there is left out.
        audio_seconds: None: as long as the pictures.
        tone: loudness of a tone that always sounds.
        seed: of the texture.
        pixel_shape: width over height of a pixel when it is shown.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    times = range(frames) if times is None else times
    with av.open(str(path), "w") as container:
        picture_stream = sound_stream = None
        if video:
            options = {"preset": "ultrafast", "threads": "1"} if video == "libx264" else {}
            picture_stream = container.add_stream(video, rate=rate, options=options)
            picture_stream.height, picture_stream.width = size
            picture_stream.pix_fmt = pixels
            picture_stream.codec_context.sample_aspect_ratio = pixel_shape
            picture_stream.codec_context.time_base = 1 / Fraction(rate)
        if sound:
            sound_stream = container.add_stream(sound, rate=audio_rate)
            sound_stream.codec_context.layout = layout
        if video:
            _write_pictures(container, picture_stream, size, rate, times, flashes, seed)
        if sound:
            seconds = frames / float(rate) if audio_seconds is None else audio_seconds
            _write_sound(container, sound_stream, sound, audio_rate, layout,
                         _waves(seconds, audio_rate, float(rate), flashes, tone))
    return path


def _write_pictures(container, stream, size, rate, times, flashes, seed):
    base = picture(*size, seed)
    for time in times:
        bright = any(first <= time < first + 3 for first in flashes)
        frame = av.VideoFrame.from_ndarray(base + np.uint8(150) if bright else base, format="rgb24")
        frame.pts, frame.time_base = time, 1 / Fraction(rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _waves(seconds, audio_rate, rate, flashes, tone):
    time = np.arange(int(seconds * audio_rate)) / audio_rate
    wave = tone * np.sin(2 * np.pi * 300 * time)
    for first in flashes:
        sounding = (time >= first / rate) & (time < (first + 3) / rate)
        wave[sounding] += 0.5 * np.sin(2 * np.pi * 1000 * time[sounding])
    return wave.astype(np.float32)


def _write_sound(container, stream, codec, audio_rate, layout, wave):
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    for start in range(0, len(wave), 1024):
        block = np.repeat(wave[None, start : start + 1024], channels, 0)
        if _FORMATS[codec] == "s16":
            block = (block.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format=_FORMATS[codec], layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = audio_rate, start, Fraction(1, audio_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
