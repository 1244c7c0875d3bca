"""Speech in blocks from a file or a pipe, frames and speech out in step."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from data_pipelines.media import SILENCE, FragmentedMp4
from data_pipelines.schema import SAMPLE_RATE, SAMPLES_PER_FRAME, DataError
from thjax.generate.session import Session

log = logging.getLogger(__name__)
PIPE_SAMPLES = SAMPLES_PER_FRAME
"""Samples read from a pipe at most before they are used: one frame's worth keeps the delay small."""


def blocks(samples: np.ndarray, seconds: int = 2) -> Iterator[np.ndarray]:
    """[S] samples in pieces: long enough to hide the overhead, short enough that memory stays small."""
    size = seconds * SAMPLE_RATE
    for start in range(0, samples.size, size):
        yield samples[start : start + size]


def pipe_blocks(stream: BinaryIO) -> Iterator[np.ndarray]:
    """int16 blocks of raw little-endian 16 kHz mono samples, as soon as they arrive.

    Args:
        stream: a buffered binary stream, e.g. `sys.stdin.buffer`.

    Raises:
        DataError: the stream ends before the first sample.
    """
    rest, total, peak = b"", 0, 0
    while data := stream.read1(2 * PIPE_SAMPLES):
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        block = np.frombuffer(data[:whole], "<i2").astype(np.int16)
        total += block.size
        peak = max(peak, int(np.abs(block.astype(np.int32)).max(initial=0)))
        if block.size:
            yield block
    if rest:
        log.warning("the audio ended in the middle of a sample; its last byte is dropped. Is it s16le?")
    if not total:
        raise DataError("standard input held no audio (0 samples); pipe raw s16le at 16 kHz, mono, into it")
    if peak <= SILENCE:
        log.warning("the audio was silent: its peak was %d of 32768", peak)


def in_step(session: Session, audio: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pushes blocks and yields the frames that they complete with the samples that sound with them.

    Yields:
        [n, H, W, 3] uint8, n > 0, and [640 n] int16; the last samples may be fewer.
    """
    waiting = np.zeros(0, np.int16)
    for block in audio:
        waiting = np.concatenate([waiting, block])
        frames = session.push(block)
        if len(frames):
            end = len(frames) * SAMPLES_PER_FRAME
            yield frames, waiting[:end]
            waiting = waiting[end:]
    frames = session.close()
    if len(frames):
        yield frames, waiting


def write(stream: BinaryIO, parts: Iterable[tuple[np.ndarray, np.ndarray]], tags: Mapping[str, str]) -> None:
    """Writes a fragmented mp4 to a stream while its parts, as of `in_step`, are being made."""
    writer = FragmentedMp4(stream, metadata=tags)
    for frames, samples in parts:
        writer.write(frames, samples)
    writer.close()
