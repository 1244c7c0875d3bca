"""`thjax generate` with a mapper and a generator: speech becomes motions, and each motion moves the photograph."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from data_pipelines.schema import AU_INTENSITY
from thjax.checkpoint import load_run
from thjax.core.data_spec import CropSpec
from thjax.core.errors import UserError
from thjax.generate import photograph
from thjax.generate.control import Control
from thjax.generate.load import drawing_system, provenance
from thjax.generate.still import prepare_still
from thjax.systems.face_animator import FaceAnimator
from thjax.systems.motion_sampler import CHANNELS

TRANSLATION = slice(len(AU_INTENSITY), len(AU_INTENSITY) + 3)
REST = np.zeros(3, np.float32)


@dataclasses.dataclass(frozen=True)
class Generator:
    """A trained generator.

    Attributes:
        animator: that draws with it.
        crop: how its training frames were cut out.
        provenance: as of a `Model`.
    """

    animator: FaceAnimator
    crop: CropSpec
    provenance: dict


@dataclasses.dataclass(frozen=True)
class StartsAt(Control):
    """A control that also starts the motion at a photograph's own labels, in channels that it leaves free.

    Attributes:
        start: [23] values of the first frame; the mapper is told their categories, and goes on from there.
    """

    start: np.ndarray = dataclasses.field(default_factory=lambda: np.full(len(CHANNELS), np.nan))

    def replacement(self, frames: np.ndarray) -> np.ndarray:
        """As of any control, and the start at frame 0."""
        asked = super().replacement(frames)
        first = np.isnan(asked) & (np.asarray(frames) == 0)[:, None]
        return np.where(first, self.start, asked).astype(np.float32)


def load_generator(directory: Path, which: str | int, ema: bool) -> Generator:
    """The generator of a run.

    Raises:
        UserError: no such run, or one of another kind.
    """
    run = load_run(directory, which, ema)
    system = drawing_system(run.system)
    animator = system.sampler(run.nets, run.stats)
    if not isinstance(animator, FaceAnimator):
        raise UserError(f"{directory} ({run.config.system}) is no generator driven by action units and head pose; give "
                        "--checkpoint MAPPER --checkpoint GENERATOR, in this order")
    return Generator(animator, system.stages[-1].data.crop, provenance(run))


def started(control: Control, labels: np.ndarray) -> StartsAt:
    """The control that primes a mapper with a photograph's labels; the motion's translation starts at zero."""
    start = np.array(labels)
    start[TRANSLATION] = 0
    return StartsAt(control.frames, control.value, control.scale, control.add, start)


class Film:
    """A photograph about to move.

    Args:
        generator: of `load_generator`.
        image: [H, W, 3] uint8, any size.
        landmarks: [68, 2] or None, see `prepare_still`.
        arguments: of the command.

    Attributes:
        labels: [23] of the photograph.
        frame_size: (H, W) of one motion's frames.
        provenance: of the generator.
    """

    def __init__(self, generator: Generator, image: np.ndarray, landmarks: np.ndarray | None,
                 arguments: argparse.Namespace):
        picture = prepare_still(image, landmarks, generator.crop)
        self.labels = photograph.labels_of(image, picture, generator.crop, arguments)
        self.frame_size, self.provenance = generator.animator.frame_size, generator.provenance
        self._animator = generator.animator
        self._source = generator.animator.encode(picture, self.labels)

    def show(self, vectors: np.ndarray) -> np.ndarray:
        """The next vectors [n, N, 23] of N motions -> frames side by side, [n, H, N * W, 3] uint8.

        A motion's translation counts from its start, where the photograph has the head.
        """
        if not len(vectors):
            height, width = self.frame_size
            return np.zeros((0, height, width * vectors.shape[1], 3), np.uint8)
        return np.concatenate([self._animator.frames(self._source, vectors[:, index], REST)
                               for index in range(vectors.shape[1])], axis=2)
