"""One talking head in the making: audio goes in as it comes, frames come out as soon as they are determined."""

import numpy as np

from data_pipelines.schema import SAMPLES_PER_FRAME, DataError
from thjax.engine import GenerateRequest, Sampler


def frames_of(samples: int) -> int:
    """Frames that show `samples` of audio at 16 kHz: one per 640, the last one even if its sound is cut short."""
    return -(-samples // SAMPLES_PER_FRAME)


class Session:
    """Pushes audio through a sampler, chunk by chunk of a fixed shape, in constant memory.

    Frame t shows samples 640 t to 640 (t + 1). Before the first and after the last sample the audio is zero. A frame
    is determined once the audio reaches the sampler's `lookahead` beyond the end of its chunk, so the pushes may
    have any sizes: the chunks, and with them the frames, are the same to the bit.

    Args:
        sampler: of a trained system.
        still: [H, W, 3] uint8 of the sampler's frame size.
        seed: of every random draw.
        audio: [S] int16, the whole speech where it is known beforehand, for samplers that plan with it. It is still
            to be pushed.
    """

    def __init__(self, sampler: Sampler, still: np.ndarray, seed: int = 0, audio: np.ndarray | None = None):
        self._sampler = sampler
        self._carry = sampler.plan(GenerateRequest(still=still, seed=seed, audio=audio))
        self._pending = np.zeros(sampler.lookbehind, np.int16)
        self._hop = sampler.chunk_frames * SAMPLES_PER_FRAME
        self._window = sampler.lookbehind + self._hop + sampler.lookahead
        self._closed = False
        self.samples = 0
        """Audio samples pushed so far."""
        self.frames = 0
        """Frames returned so far."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes audio and returns the frames that it completes.

        Args:
            samples: [n] int16 at 16 kHz, any n, none included.

        Returns:
            [m, H, W, 3] uint8; m is a multiple of the sampler's `chunk_frames`, often zero.

        Raises:
            DataError: the samples are not int16 in one dimension, or the session is closed.
        """
        samples = check_samples(samples)
        if self._closed:
            raise DataError("this session is closed; start another one with model.stream(image)")
        self.samples += samples.size
        return self._advance(samples)

    def close(self) -> np.ndarray:
        """Ends the audio and returns the frames that were still waiting for more of it, [m, H, W, 3] uint8.

        All in all a session returns `ceil(samples / 640)` frames. Closing twice returns none.
        """
        if self._closed:
            return self._advance(np.zeros(0, np.int16))
        self._closed = True
        missing = frames_of(self.samples) - self.frames
        chunks = -(-missing // self._sampler.chunk_frames)
        wanted = chunks * self._hop + self._window - self._hop if chunks else self._pending.size
        return self._advance(np.zeros(max(wanted - self._pending.size, 0), np.int16), limit=missing)

    def _advance(self, samples: np.ndarray, limit: int | None = None) -> np.ndarray:
        """Runs every chunk whose audio is complete."""
        audio = np.concatenate([self._pending, samples])
        made, start = [self._nothing()], 0
        while audio.size - start >= self._window and limit != 0:
            made.append(self._chunk(audio[start : start + self._window]))
            start += self._hop
        self._pending = audio[start:].copy()
        frames = np.concatenate(made)[:limit]
        self.frames += len(frames)
        return frames

    def _nothing(self) -> np.ndarray:
        """What a session returns while no chunk is complete, [0, H, W, 3] uint8."""
        return np.zeros((0, *self._sampler.frame_size, 3), np.uint8)

    def _chunk(self, audio: np.ndarray) -> np.ndarray:
        """The frames of the next chunk, [chunk_frames, H, W, 3] uint8, from its whole window of samples."""
        self._carry, frames = self._sampler.chunk(self._carry, audio)
        return self._sampler.finish(self._carry, np.asarray(frames))

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_) -> None:
        self._closed = True


def check_samples(samples: np.ndarray) -> np.ndarray:
    """The samples themselves, if they are what a sampler hears.

    Raises:
        DataError: not int16, or not one-dimensional.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise DataError(f"audio of shape {samples.shape}; give mono [S], e.g. the mean of the channels")
    if samples.dtype != np.int16:
        raise DataError(f"audio of type {samples.dtype}; give int16 at 16 kHz, e.g. (x * 32767).astype(np.int16)")
    return samples
