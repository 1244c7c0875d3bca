"""`thjax generate` with a mapper: motions as CSV files, and a preview of them as video."""

import argparse
import contextlib
import dataclasses
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from data_pipelines import media
from thjax.core import seeds
from thjax.core.errors import UserError
from thjax.generate import live, provenance
from thjax.generate.animate import Film
from thjax.generate.control import Control, read_control
from thjax.generate.model import Model
from thjax.generate.motion import MotionSession, PlayedSession, previews
from thjax.generate.motion_files import motion_writer, read_motion
from thjax.generate.overwriting import check_spares
from thjax.systems.motion_sampler import MotionSampler

log = logging.getLogger(__name__)
Parts = Iterator[tuple[np.ndarray, np.ndarray]]
Show = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Motion:
    """What the user wants of a motion.

    Attributes:
        control: edits over time.
        performance: [T, 23] f32 to show instead of a draw, or None.
    """

    control: Control
    performance: np.ndarray | None


def read(arguments: argparse.Namespace, out: Path | None) -> Motion:
    """Reads the files that `--control` and `--driver` name.

    Raises:
        UserError: a file cannot be used, options contradict each other, or an output would overwrite an input.
    """
    if arguments.seed + arguments.samples - 1 > seeds.MOST:
        raise UserError(f"--seed {arguments.seed} and the {arguments.samples - 1} that follow it: the largest is "
                        f"{seeds.MOST}; give --seed {seeds.MOST - arguments.samples + 1} or less")
    if arguments.driver and arguments.samples > 1:
        raise UserError(f"--samples {arguments.samples} draws motions and --driver shows one that is there; leave one "
                        "of the two out")
    control = read_control(arguments.control) if arguments.control else Control.none()
    performance = read_motion(arguments.driver) if arguments.driver else None
    read_too = ("control", "driver", *(["landmarks"] if arguments.generator else []))  # others write no table
    for path in tables(out, arguments.samples) if out else ():
        check_spares(path, arguments, read_too, f"the motion of --out {out}")
    return Motion(control, performance)


def tables(out: Path, draws: int) -> list[Path]:
    """The CSV files beside a video: OUT.csv, or OUT-1.csv and so on of several draws."""
    return [out.with_name(f"{out.stem}{ending}.csv")
            for ending in ([""] if draws == 1 else [f"-{index + 1}" for index in range(draws)])]


def check_fits(model: Model, arguments: argparse.Namespace) -> bool:
    """Whether the model is a mapper, once its inputs are those that it needs.

    A picture for a mapper is an error and no notice: the preview shows the embedded head, and a user who gave a face
    would take it for a failed likeness.

    Raises:
        UserError: no picture for a system that animates one; a picture for a mapper; a mapper's options elsewhere.
    """
    system = f"{arguments.checkpoint} ({model.provenance.get('system', 'a system')})"
    if isinstance(model.sampler, MotionSampler):
        for name in () if arguments.generator else ("image", "landmarks"):
            if given := getattr(arguments, name):
                raise UserError(f"--{name} {given}: {system} is a mapper, which draws motion and looks at no picture; "
                                f"leave --{name} out, or name the run of a generator as well: --checkpoint "
                                "MAPPER --checkpoint GENERATOR")
        return True
    if arguments.generator:
        raise UserError(f"{system} is no mapper; give --checkpoint MAPPER --checkpoint GENERATOR, in this order")
    asked = {"control": arguments.control, "driver": arguments.driver, "samples": arguments.samples > 1}
    for name, given in asked.items():
        if given:
            raise UserError(f"--{name} is for mappers, whose motion has channels; {system} draws pixels: leave it out")
    if arguments.image is None:
        raise UserError(f"--image is missing: {system} animates a photograph; give one with --image FILE")
    return False


def write(motion: Motion, pieces: Iterable[np.ndarray], model: Model, arguments: argparse.Namespace, out: Path | None,
          audio: np.ndarray | None, film: Film | None = None) -> MotionSession | PlayedSession:
    """Makes the motions and writes them.

    Args:
        motion: of `read`.
        pieces: of the audio.
        model: a mapper.
        arguments: of the command.
        out: the video; the CSV files stand beside it. None writes the preview alone, to standard output.
        audio: [S] int16 the whole audio, where it is known.
        film: the photograph that the motions move; None shows them as a preview.

    Returns:
        The session, which knows how many frames there are.
    """
    if motion.performance is not None:
        source, session = "a recorded performance, with speech", PlayedSession(motion.performance, motion.control)
    else:
        source = "speech"
        session = MotionSession(model.sampler, arguments.seed, arguments.samples, motion.control, audio)
    parts = live.in_step(session, pieces)
    tags = provenance.tags(model, arguments.seed, f"one image and {source}" if film else source)
    if out is None:
        log.warning("standard output takes the %s alone; for the channels as CSV name a file with --out",
                    "video" if film else "preview")
        live.write(sys.stdout.buffer, _shown(show_by(model, film), parts), tags)
    else:
        write_files(parts, model, arguments, out, tags, session, film)
    if len(motion.control.frames) > 1 and motion.control.frames[0] >= session.frames:
        log.warning("--control %s begins at frame %d and the motion has %d frames: it changed nothing",
                    arguments.control, motion.control.frames[0], session.frames)
    return session


def show_by(model: Model, film: Film | None) -> Show:
    """Animation vectors [n, N, 23] -> frames side by side: of the photograph, or the preview."""
    return film.show if film else lambda vectors: previews(model.sampler, vectors)


def _shown(show: Show, parts: Parts) -> Parts:
    for vectors, samples in parts:
        yield show(vectors), samples


def write_files(parts: Parts, model: Model, arguments: argparse.Namespace, out: Path, tags: dict[str, str],
                session: MotionSession | PlayedSession, film: Film | None) -> None:
    """Writes video and CSV files side by side, in constant memory, then the sidecar; after an error there is none."""
    paths, (height, width) = tables(out, arguments.samples), (film or model).frame_size
    out.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(motion_writer(path)) for path in paths]

        def noted() -> Parts:
            for vectors, samples in parts:
                for index, append in enumerate(writers):
                    append(vectors[:, index])
                yield vectors, samples

        media.write_parts(out, _shown(show_by(model, film), noted()), metadata=tags)
    drawn = arguments.driver is None
    provenance.write_sidecar(out, model, arguments, session, {
        "preview": film is None,
        "height": height,
        "width": width * arguments.samples,
        "motions": [provenance.named(path) | ({"seed": arguments.seed + index} if drawn else {})
                    for index, path in enumerate(paths)],
        "control": provenance.named(arguments.control) if arguments.control else None,
        "driver": provenance.named(arguments.driver) if arguments.driver else None,
        **({"animator": film.provenance, "labels": film.labels.tolist()} if film else {}),
    })
