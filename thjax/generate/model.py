"""A trained model in the hand of a user: image and audio in, frames out."""

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from data_pipelines import media
from data_pipelines.schema import FPS, SAMPLE_RATE, DataError
from thjax.core.data_spec import CropSpec
from thjax.engine import Sampler
from thjax.generate.live import blocks, in_step
from thjax.generate.session import Session, check_samples
from thjax.generate.still import prepare_still, read_picture

log = logging.getLogger(__name__)
Image = np.ndarray | str | os.PathLike
Audio = np.ndarray | str | os.PathLike


class Model:
    """Animates a face from speech. `thjax.load(directory)` makes one.

    Args:
        sampler: of a trained system.
        crop: how the system's training frames were cut out.
        provenance: what the model is: version, system, step, hash of the weights; goes into every file it makes.
        template: see `prepare_still`; for models whose training frames were not cut out by us.
    """

    fps = FPS
    sample_rate = SAMPLE_RATE

    def __init__(self, sampler: Sampler, crop: CropSpec, provenance: Mapping[str, Any] | None = None,
                 template: np.ndarray | None = None):
        self.sampler = sampler
        self.crop = crop
        self.provenance = dict(provenance or {})
        self.template = template

    @property
    def frame_size(self) -> tuple[int, int]:
        """(H, W) of a generated frame, in pixels."""
        return tuple(self.sampler.frame_size)

    def still(self, image: Image, landmarks: np.ndarray | None = None) -> np.ndarray:
        """The part of a picture that the model animates.

        Args:
            image: a file, or [H, W, 3] uint8 RGB. One of exactly the model's frame size is taken as it is.
            landmarks: [68, 2] x, y in pixels of the picture; without them the middle is taken, with a warning.

        Returns:
            [H, W, 3] uint8 of `frame_size`.

        Raises:
            DataError: a missing, empty, damaged, grey or tiny picture; bad landmarks.
        """
        picture = media.check_image(image) if isinstance(image, np.ndarray) else read_picture(image)
        return prepare_still(picture, landmarks, self.crop, self.template)

    def stream(self, image: Image, seed: int = 0, landmarks: np.ndarray | None = None) -> Session:
        """Starts a talking head that is fed while it speaks: `frames = session.push(int16_samples); session.close()`.

        Args:
            image: see `still`.
            seed: of every random draw.
            landmarks: see `still`.
        """
        return Session(self.sampler, self.still(image, landmarks), seed)

    def frames(
        self, image: Image, audio: Audio, seed: int = 0, landmarks: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Makes `ceil(samples / 640)` frames [H, W, 3] uint8, one at a time, in constant memory.

        Args:
            image: see `still`.
            audio: a file, or [S] int16 at 16 kHz. A silent file is an error, a silent array only warns: it may be
                meant, as a control.
            seed: of every random draw.
            landmarks: see `still`.

        Raises:
            DataError: image or audio cannot be used. Raised at the call, not at the first frame.
        """
        still, samples = self.still(image, landmarks), as_samples(audio)
        return self._lazily(Session(self.sampler, still, seed, samples), samples)

    def _lazily(self, session: Session, samples: np.ndarray) -> Iterator[np.ndarray]:
        for frames, _ in in_step(session, blocks(samples)):
            yield from frames

    def generate(self, image: Image, audio: Audio, seed: int = 0, landmarks: np.ndarray | None = None) -> np.ndarray:
        """All frames of `frames` at once: [T, H, W, 3] uint8, T = ceil(samples / 640), 25 per second."""
        return np.stack(list(self.frames(image, audio, seed, landmarks)))

    def warm_up(self) -> "Model":
        """Compiles the sampler, so that the first frame of a session comes at once. Returns the model itself."""
        session = Session(self.sampler, np.full((*self.frame_size, 3), 127, np.uint8))
        session.push(np.zeros(1, np.int16))
        session.close()
        return self


def as_samples(audio: Audio) -> np.ndarray:
    """[S] int16 at 16 kHz of a file or an array.

    Raises:
        DataError: a file that cannot be used or is silent; an array of another type, or empty.
    """
    if not isinstance(audio, np.ndarray):
        return media.read_audio(audio, on_disk=True)
    samples = check_samples(audio)
    if not samples.size:
        raise DataError("the audio is empty (0 samples)")
    if max(int(samples.max()), -int(samples.min())) <= media.SILENCE:
        log.warning("the audio is silent: its peak is at most %d of 32768", media.SILENCE)
    return samples
