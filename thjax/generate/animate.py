"""`thjax generate` with a mapper and a generator: speech becomes motions, and each motion moves the photograph."""

import argparse
import dataclasses
import logging
from pathlib import Path

import numpy as np

from data_pipelines import media
from data_pipelines.schema import AU_INTENSITY, POSE
from thjax.checkpoint import load_run
from thjax.core.data_spec import CropSpec
from thjax.core.errors import UserError
from thjax.generate.control import Control
from thjax.generate.load import drawing_system, provenance
from thjax.generate.still import prepare_still
from thjax.systems.face_animator import FaceAnimator
from thjax.systems.motion_sampler import CHANNELS

log = logging.getLogger(__name__)
TRANSLATION = slice(len(AU_INTENSITY), len(AU_INTENSITY) + 3)
REST = np.zeros(3, np.float32)
AU_MOST = 5.0


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
    return Generator(animator, system.stages[-1].data.crop, provenance(run, ema))


def read_labels(path: Path) -> np.ndarray:
    """Labels of a photograph.

    Args:
        path: .npz with `au` [17], 0 to 5, and `pose` [6], mm and rad: order and camera of data_pipelines/schema.py, as
            the crop that the generator sees shows them.

    Returns:
        [23] f32, order `CHANNELS`.

    Raises:
        UserError: no such file, arrays that are missing or of another shape, or numbers out of range.
    """
    try:
        with np.load(media.existing_file(path, "label"), allow_pickle=False) as loaded:
            parts = {name: np.squeeze(loaded[name]) for name in ("au", "pose")}
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise UserError(f"--labels {path}: {error}; give an .npz with au [17] and pose [6]") from error
    for name, names in (("au", AU_INTENSITY), ("pose", POSE)):
        if parts[name].shape != (len(names),) or not np.isfinite(parts[name]).all():
            raise UserError(f"--labels {path}: {name} of shape {parts[name].shape}; give {len(names)} finite numbers: "
                            f"{', '.join(names)}")
    if parts["au"].min() < 0 or parts["au"].max() > AU_MOST:
        raise UserError(f"--labels {path}: au from {parts['au'].min():g} to {parts['au'].max():g}; intensities are 0 "
                        "to 5")
    return np.concatenate([parts["au"], parts["pose"]]).astype(np.float32)


def labels_of(picture: np.ndarray, arguments: argparse.Namespace) -> np.ndarray:
    """Labels [23] of the photograph as the generator sees it, [H, W, 3] uint8.

    Raises:
        UserError: nobody says what they are, or the judge sees no face.
    """
    if arguments.labels:
        return read_labels(arguments.labels)
    if not arguments.rendered_labels:
        raise UserError(
            f"what {arguments.image} shows is not known: its action units and head pose. Give --labels FILE.npz with "
            "au [17] and pose [6] of the crop; run OpenFace 2 or another tracker on the picture and write there what "
            "it finds; or take --rendered_labels, a network that has seen rendered faces alone"
        )
    from thjax.judges.face import Judge

    log.warning("--rendered_labels: the labels of %s come from a network that has seen rendered faces alone; on a "
                "photograph they may be far off", arguments.image)
    seen = Judge.load().measure(picture[None])
    if not seen.found[0]:
        raise UserError(f"--rendered_labels: no face was found in {arguments.image}; give --labels FILE.npz")
    return np.concatenate([seen.au[0], seen.pose[0]]).astype(np.float32)


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
        self.labels = labels_of(picture, arguments)
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
