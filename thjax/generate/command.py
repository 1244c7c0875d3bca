"""`thjax generate`: one image and speech to an mp4, from files or live through pipes; by a mapper, to motion."""

import argparse
import dataclasses
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from data_pipelines import media
from data_pipelines.labels.trackers import TRACKERS
from data_pipelines.schema import FPS, SAMPLES_PER_FRAME, DataError
from thjax.checkpoint.names import checkpoint_name
from thjax.core import seeds
from thjax.core.errors import UserError
from thjax.generate.overwriting import check_spares

PIPE = "-"
MOST_DRAWS = 16
"""Motions at once at most: their previews, 128 pixels wide, stand side by side in one row."""


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax generate`."""
    parser = argparse.ArgumentParser(
        prog="thjax generate", allow_abbrev=False,
        description="Animates a face from speech. Writes H.264 and AAC at 25 frames per second, tagged as synthetic, "
        "and OUT.json beside it, which says how it was made. A mapper (a system that draws action units and head pose, "
        "not pixels) takes no image: it writes its motion to OUT.csv, and as video a preview on the embedded head.",
        epilog="Every 640 samples of speech make a frame, a last part too. Silent files (peak up to 32 of 32,768) and "
        "grey pictures are refused. Live: thjax generate --checkpoint DIR --image FACE --audio - --out - reads raw "
        "16 kHz mono s16le samples from standard input and writes a fragmented mp4 to standard output.",
    )
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="DIR", action="append",
                        help="folder of a run (`thjax train --out`), or converted weights (`thjax weights convert`); "
                        "twice, MAPPER and GENERATOR, to put the mapper's motion on the picture")
    parser.add_argument("--image", "--source_image", type=Path, metavar="FILE",
                        help="colour picture of the face, at least 32 x 32 pixels; needed unless the model is a mapper")
    parser.add_argument("--audio", "--driven_audio", required=True, metavar="FILE",
                        help="speech in any format that ffmpeg reads; - reads s16le at 16 kHz from standard input")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", metavar="FILE.mp4", help="the video; - writes a fragmented mp4 to standard output")
    target.add_argument("--result_dir", type=Path, metavar="DIR", help="write DIR/IMAGE_AUDIO_seedN.mp4 instead")
    parser.add_argument("--landmarks", type=Path, metavar="FILE",
                        help="68 points of the face in pixels of the picture (.npz, .npy, .csv, .txt, .pts), to crop "
                        "it as in training (default: the middle of the picture)")
    parser.add_argument("--seed", type=seeds.argument, default=0, help="of every random draw (default: %(default)s)")
    parser.add_argument("--which", default="best", type=checkpoint_name, metavar="best|latest|STEP",
                        help="checkpoint of the run (default: %(default)s on validation)")
    parser.add_argument("--no_ema", action="store_true", help="use the raw weights instead of the averaged ones")
    add_motion_options(parser)
    return parser


def add_motion_options(parser: argparse.ArgumentParser) -> None:
    """The options of mappers."""
    motion = parser.add_argument_group("mappers only")
    motion.add_argument("--control", type=Path, metavar="FILE.csv",
                        help="edits channels over time: a column frame (from 0) or timestamp (s), then any of NAME (a "
                        "value), NAME_scale, NAME_add, e.g. AU12_scale; numbers are interpolated from row to row")
    motion.add_argument("--driver", type=Path, metavar="FILE.csv",
                        help="shows this performance instead of drawing one: an OUT.csv, or a CSV of OpenFace 2")
    motion.add_argument("--samples", type=draws, default=1, metavar="N",
                        help="motions to draw, 1 to 16, with the seeds SEED, SEED + 1, ...: OUT-1.csv, ... and their "
                        "previews, or the pictures that they move, side by side (default: %(default)s)")
    pair = parser.add_argument_group("a mapper and a generator")
    shown = pair.add_mutually_exclusive_group()
    shown.add_argument("--labels", type=Path, metavar="FILE.npz",
                       help="what the picture shows: au [17] and pose [6] of the crop that the generator sees")
    shown.add_argument("--tracker", choices=tuple(TRACKERS),
                       help="let a face tracker of the extra `track` read the head pose off the picture; the face is "
                       "taken to be at rest")
    shown.add_argument("--rendered_labels", action="store_true",
                       help="let a network that has seen rendered faces alone read them off the picture")
    pair.add_argument("--start", default="source", choices=("source", "bos"),
                      help="source: the motion starts at the picture's own labels; bos: where the mapper likes "
                      "(default: %(default)s)")


def draws(text: str) -> int:
    """A number of motions."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DRAWS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST_DRAWS}")
    return int(text)


def run(argv: list[str]) -> int:
    """Runs the command; returns its exit status."""
    arguments = parser().parse_args(argv)
    arguments.checkpoint, arguments.generator = one_or_two(arguments)
    logging.captureWarnings(True)
    out = target(arguments)
    if out is not None:  # sound may come from a video
        check_spares(out, arguments, ("audio", "image"), "the video")
    # What the user gave is read before the model, so that a wrong path costs no time.
    media.pyav("writing mp4")
    from thjax.generate.still import read_landmarks, read_picture

    image = read_picture(arguments.image) if arguments.image else None
    landmarks = read_landmarks(arguments.landmarks) if arguments.landmarks else None
    samples = None if arguments.audio == PIPE else media.read_audio(arguments.audio, on_disk=True)

    from thjax.generate import animate, mapper
    from thjax.generate.load import load_model
    from thjax.generate.session import Session

    motion = mapper.read(arguments, out)
    model = load_model(arguments.checkpoint, arguments.which, not arguments.no_ema)
    draws_motion = mapper.check_fits(model, arguments)
    film = None
    if arguments.generator:
        generator = animate.load_generator(arguments.generator, arguments.which, not arguments.no_ema)
        film = animate.Film(generator, image, landmarks, arguments)
        if arguments.start == "source" and motion.performance is None:
            motion = dataclasses.replace(motion, control=animate.started(motion.control, film.labels))
    started = time.monotonic()
    pieces = audio_blocks(samples, progress=out is not None and sys.stderr.isatty())
    if draws_motion:
        session = mapper.write(motion, pieces, model, arguments, out, samples, film)
    else:
        session = Session(model.sampler, model.still(image, landmarks), arguments.seed, samples)
        write(session, pieces, model, arguments, out)
    report(session, time.monotonic() - started, out)
    return 0


def one_or_two(arguments: argparse.Namespace) -> tuple[Path, Path | None]:
    """The checkpoint that hears, and the generator where one was named.

    Raises:
        UserError: three or more, a generator without a picture, or its options without one.
    """
    first, *further = arguments.checkpoint
    if len(further) > 1:
        raise UserError(f"{len(arguments.checkpoint)} times --checkpoint; give one run, or a mapper and a generator")
    if further and arguments.image is None:
        raise UserError(f"--image is missing: the generator {further[0]} animates a photograph")
    given = {"labels": arguments.labels, "tracker": arguments.tracker,
             "rendered_labels": arguments.rendered_labels, "start": arguments.start != "source"}
    if not further and (unread := [name for name, value in given.items() if value]):
        raise UserError(f"--{unread[0]} is for a mapper together with a generator; name both: --checkpoint MAPPER "
                        "--checkpoint GENERATOR")
    return first, *(further or [None])


def target(arguments: argparse.Namespace) -> Path | None:
    """Where the video goes; None is standard output.

    Raises:
        UserError: a place that no mp4 can go to.
    """
    if arguments.out == PIPE:
        if sys.stdout.isatty():
            raise UserError("--out - writes a video to standard output, which is a terminal; pipe it into a player")
        return None
    if arguments.audio == PIPE and sys.stdin.isatty():
        raise UserError("--audio - reads samples from standard input, which is a terminal; pipe 16 kHz s16le into it")
    if arguments.result_dir:
        if arguments.result_dir.exists() and not arguments.result_dir.is_dir():
            raise UserError(f"--result_dir {arguments.result_dir} is a file; give a directory")
        sound = "live" if arguments.audio == PIPE else Path(arguments.audio).stem
        shown = arguments.image or arguments.driver
        return arguments.result_dir / f"{f'{shown.stem}_' if shown else ''}{sound}_seed{arguments.seed}.mp4"
    out = Path(arguments.out)
    if out.is_dir():
        raise UserError(f"--out {out} is a directory; name a file in it, or use --result_dir {out}")
    if out.suffix.lower() != ".mp4":
        raise UserError(f"--out {out} must end in .mp4, the only format written")
    return out


def audio_blocks(samples: np.ndarray | None, progress: bool = False) -> Iterable[np.ndarray]:
    """Blocks of a file's samples, or of standard input where there are none."""
    from thjax.generate import live

    if samples is None:
        return live.pipe_blocks(sys.stdin.buffer)
    pieces = live.blocks(samples)
    return with_progress(pieces, samples.size) if progress else pieces


def with_progress(pieces: Iterable[np.ndarray], total: int) -> Iterator[np.ndarray]:
    """The same pieces, and a bar on standard error that counts frames."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("frames"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("frames", total=-(-total // SAMPLES_PER_FRAME))
        for piece in pieces:
            yield piece
            bar.advance(task, piece.size // SAMPLES_PER_FRAME)


def write(session, pieces: Iterable[np.ndarray], model, arguments: argparse.Namespace, out: Path | None) -> None:
    """Writes the mp4 and then its sidecar, each whole or not at all; without `out` to standard output, as it comes."""
    from thjax.generate import live, provenance

    tags = provenance.tags(model, arguments.seed)
    if out is None:
        live.write(sys.stdout.buffer, live.in_step(session, pieces), tags)
    else:
        media.write_parts(out, live.in_step(session, pieces), metadata=tags)
        provenance.write_sidecar(out, model, arguments, session)


def report(session, seconds: float, out: Path | None) -> None:
    """One line on standard error: what was made and how fast."""
    if not session.frames:
        raise DataError("no frame was made")
    length = session.frames / FPS
    place = "standard output" if out is None else str(out)
    print(f"{place}: {session.frames} frames, {length:.2f} s, made in {seconds:.2f} s "
          f"({seconds / length:.2f} of real time)", file=sys.stderr)
