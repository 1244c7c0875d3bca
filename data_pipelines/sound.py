"""WAV files and sample rates without PyAV: speech becomes int16 mono at 16 kHz, block by block in constant memory."""

import dataclasses
import logging
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import signal

from data_pipelines.schema import SAMPLE_RATE, DataError

log = logging.getLogger(__name__)
BLOCK = 1 << 18
"""Samples of one block at 16 kHz: 16 seconds."""
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_LENGTH = (0, 0x7FFFFFFF, 0xFFFFFFFF)  # written by programs that stream into a pipe


@dataclasses.dataclass(frozen=True)
class Wav:
    """An opened WAV file; samples are read when asked for.

    Attributes:
        rate: samples per second.
        samples: per channel.
        read: (start, stop) -> float32 [stop - start] in [-1, 1], channels averaged, zero outside the file.
    """

    rate: int
    samples: int
    read: Callable[[int, int], np.ndarray]


def is_wav(path: Path) -> bool:
    """Whether the file begins like a little-endian RIFF WAVE file."""
    with open(path, "rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE"


def open_wav(path: Path) -> Wav | None:
    """Opens 8, 16, 24 or 32 bit integer or 32, 64 bit float samples of any rate and any number of channels.

    Returns:
        None where the samples are compressed, so that a real decoder is needed.

    Raises:
        DataError: the header is cut off or contradicts itself.
    """
    kind, channels, rate, bits, offset, length = _header(path)
    if kind not in (_PCM, _FLOAT) or bits not in ((8, 16, 24, 32) if kind == _PCM else (32, 64)):
        return None
    if channels < 1 or rate < 1:
        raise DataError(f"{path}: a WAV header with {channels} channels at {rate} Hz is damaged, export it again")
    width = channels * bits // 8
    samples = length // width
    raw = np.memmap(path, np.uint8, "r", offset, (samples * width,)) if samples else np.zeros(0, np.uint8)

    def read(start: int, stop: int) -> np.ndarray:
        x = np.zeros(stop - start, np.float32)
        low, high = max(start, 0), min(stop, samples)
        if low < high:
            inside = _to_float(raw[low * width : high * width], kind, bits)
            x[low - start : high - start] = inside.reshape(-1, channels).mean(axis=1)
        return x

    return Wav(rate, samples, read)


def _header(path: Path) -> tuple[int, int, int, int, int, int]:
    """(format, channels, rate, bits, offset of the samples, their bytes), walking the chunks of a RIFF file."""
    size = path.stat().st_size
    form = None
    with open(path, "rb") as file:
        position = 12
        while position + 8 <= size:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(8))
            position += 8
            if name == b"fmt ":
                content = file.read(min(length, 40))
                if len(content) < 16:
                    break
                kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", content[:16])
                if kind == _EXTENSIBLE and len(content) >= 26:
                    kind = struct.unpack("<H", content[24:26])[0]
                form = kind, channels, rate, bits
            elif name == b"data" and form:
                present = size - position
                if length > present and length not in _UNKNOWN_LENGTH:
                    log.warning("%s: cut off, %d of %d bytes of sound are there", path, present, length)
                return *form, position, present if length in _UNKNOWN_LENGTH else min(length, present)
            position += length + length % 2
    raise DataError(f"{path}: a WAV file without {'sound' if form else 'a format'}; it is damaged, export it again")


def _to_float(raw: np.ndarray, kind: int, bits: int) -> np.ndarray:
    """Little-endian samples [n bytes] -> float32 in [-1, 1]."""
    if kind == _FLOAT:
        return np.nan_to_num(raw.view(f"<f{bits // 8}").astype(np.float32), posinf=1, neginf=-1)
    if bits == 8:
        return (raw.astype(np.float32) - 128) / 128
    if bits == 24:
        wide = np.zeros((raw.size // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        return wide.reshape(-1).view("<i4").astype(np.float32) / 2**31
    return raw.view(f"<i{bits // 8}").astype(np.float32) / 2 ** (bits - 1)


def to_int16(x: np.ndarray) -> np.ndarray:
    """Float samples in [-1, 1] -> int16, rounded, clipped where they are louder."""
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16)


def wav_blocks(wav: Wav) -> Iterator[np.ndarray]:
    """The whole file as int16 blocks at 16 kHz; samples that are 16 kHz already are not touched."""
    total = math.ceil(wav.samples * SAMPLE_RATE / wav.rate)
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        if wav.rate == SAMPLE_RATE:
            yield to_int16(wav.read(start, stop))
        else:
            yield to_int16(resample_range(wav.read, wav.rate, SAMPLE_RATE, start, stop))


def resample_range(
    read: Callable[[int, int], np.ndarray], rate: int, wanted: int, start: int, stop: int
) -> np.ndarray:
    """Output samples [start, stop) of a band-limited resampling, equal to those of the whole signal at once.

    A polyphase filter of ten periods on each side under a Kaiser window (beta 5), as in `scipy.signal.resample_poly`.

    Args:
        read: (start, stop) -> input samples, zero outside the signal.
        rate: input samples per second.
        wanted: output samples per second.
        start: first output sample.
        stop: output sample after the last.

    Returns:
        [stop - start] float32.
    """
    up, down = wanted // math.gcd(rate, wanted), rate // math.gcd(rate, wanted)
    half = 10 * max(up, down)
    taps = signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)).astype(np.float32) * up
    first = (start * down - half) // up
    last = -((-(stop - 1) * down - half) // up)
    lag = half - first * up
    shift = -lag % down  # `upfirdn` keeps every `down`-th value from the first on: make ours fall there
    y = signal.upfirdn(np.concatenate([np.zeros(shift, np.float32), taps]), read(first, last + 1), up, down)
    begin = (start * down + lag + shift) // down
    return y[begin : begin + stop - start]
