"""A motion in the making: audio goes in, animation vectors come out, drawn by a mapper or played from a performance."""

import logging

import numpy as np

from data_pipelines.schema import SAMPLES_PER_FRAME
from thjax.engine import GenerateRequest
from thjax.generate.control import Control
from thjax.generate.motion_files import CHANNELS
from thjax.generate.session import Session, check_samples, frames_of
from thjax.systems.motion_sampler import MotionSampler

log = logging.getLogger(__name__)


class MotionSession(Session):
    """Pushes audio through a mapper; `push` and `close` return animation vectors [m, N, 23] f32 instead of frames.

    Every draw has a carry of its own rather than a place in a batch: matrix products round by batch size, and draw n
    is to be, to the bit, what its seed makes alone.

    Args:
        sampler: of a trained mapper.
        seed: of the first draw; draw n has seed + n.
        draws: N, motions of the same audio.
        control: what the user wants of them.
        audio: see `Session`.
    """

    def __init__(self, sampler: MotionSampler, seed: int = 0, draws: int = 1, control: Control | None = None,
                 audio: np.ndarray | None = None):
        super().__init__(sampler, None, seed, audio)
        further = (GenerateRequest(still=None, seed=seed + index, audio=audio) for index in range(1, draws))
        self._carry = [self._carry, *map(sampler.plan, further)]
        self._control = control or Control.none()
        self._chunks = 0

    def _nothing(self) -> np.ndarray:
        return np.zeros((0, len(self._carry), len(CHANNELS)), np.float32)

    def _chunk(self, audio: np.ndarray) -> np.ndarray:
        frames = np.arange(self._sampler.chunk_frames) + self._chunks * self._sampler.chunk_frames
        replace = self._control.replacement(frames)
        self._chunks += 1
        drawn = []
        for index, carry in enumerate(self._carry):
            self._carry[index], vectors = self._sampler.chunk(carry, audio, replace)
            drawn.append(np.asarray(vectors)[:, 0])
        return self._control.edit(np.stack(drawn, axis=1), frames)


class PlayedSession:
    """A performance in place of a draw: `push` and `close` as in `MotionSession`, for one motion.

    It ends with the performance or with the audio, whichever is shorter.

    Args:
        vectors: [T, 23] f32, 25 per second.
        control: what the user wants of them; there is nobody to tell, so all of it edits.
    """

    def __init__(self, vectors: np.ndarray, control: Control | None = None):
        control = control or Control.none()
        self._vectors = control.edit(vectors[:, None], np.arange(len(vectors)))
        self.samples = 0
        """Audio samples pushed so far."""
        self.frames = 0
        """Frames returned so far."""

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes [n] int16 audio and returns the vectors that it covers, [m, 1, 23] f32."""
        self.samples += check_samples(samples).size
        return self._until(self.samples // SAMPLES_PER_FRAME)

    def close(self) -> np.ndarray:
        """Ends the audio and returns the vector of a last frame that it covers in part; tells what was cut."""
        last, sounding = self._until(frames_of(self.samples)), frames_of(self.samples)
        if sounding != len(self._vectors):
            log.warning("the driver has %d frames and the audio %d: cut to the shorter", len(self._vectors), sounding)
        return last

    def _until(self, frame: int) -> np.ndarray:
        made = self._vectors[self.frames : frame]
        self.frames += len(made)
        return made


def previews(sampler: MotionSampler, vectors: np.ndarray) -> np.ndarray:
    """Animation vectors [n, N, 23] -> N previews side by side, [n, H, N * W, 3] uint8."""
    drawn = [sampler.finish(None, vectors[:, index : index + 1]) for index in range(vectors.shape[1])]
    return np.concatenate(drawn, axis=2)
