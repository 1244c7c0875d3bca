"""`thjax data synth`: writes the embedded corpus."""

import argparse
import os
import pathlib
import shlex
import time

from rich import progress
from rich.console import Console

from data_pipelines.synthetic.grammar import KINDS
from data_pipelines.synthetic.presets import PRESETS
from data_pipelines.synthetic.settings import SIZES, Corpus


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax data synth`."""
    parser = argparse.ArgumentParser(
        prog="thjax data synth",
        description="Writes a corpus of rendered heads that speak, with exact labels. Equal settings give equal bytes, "
        "whatever the number of workers. An interrupted corpus goes on where it stopped.",
    )
    add = parser.add_argument
    add("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder of the corpus")
    add("--speakers", type=int, default=Corpus.speakers, help="people of all splits together (default: %(default)s)")
    add("--clips", type=int, default=Corpus.clips, help="clips of each speaker (default: %(default)s)")
    add("--size", type=int, default=Corpus.size, metavar="PIXELS",
        help=f"side of the square frame, {SIZES[0]} to {SIZES[1]} (default: %(default)s)")
    add("--no_pixels", action="store_true", help="render nothing: feature records, audio and labels alone, for systems "
        "that learn without pixels; --size does not matter then")
    add("--motion", default=Corpus.motion, choices=PRESETS,
        help="how heads move; still is GRID's seated speaker (default: %(default)s)")
    add("--sentences", default=Corpus.sentences, choices=KINDS,
        help="GRID's commands in clips of 3 s, free sentences in clips as long as they need (3 s and more), or half of "
        "each (default: %(default)s)")
    add("--seed", type=int, default=Corpus.seed, help="of faces, voices, words and motion (default: %(default)s)")
    add("--validation_speakers", type=int, metavar="N", help="speakers held out for validation (default: one in six)")
    add("--test_speakers", type=int, metavar="N", help="speakers held out for the test (default: one in six)")
    add("--workers", type=int, default=usable_cores(), metavar="N",
        help="processes that make clips (default: the usable cores, here %(default)s)")
    return parser


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(argv: list[str]) -> int:
    """Writes the corpus; returns 0."""
    settings = vars(parser().parse_args(argv))
    rebuild = rebuild_command({name: value for name, value in settings.items() if name not in ("out", "workers")})
    out, workers, pixels = settings.pop("out"), settings.pop("workers"), not settings.pop("no_pixels")
    corpus = Corpus(**settings)
    from data_pipelines.synthetic import workshop  # heavy, so only after the arguments are known to be good

    started, console = time.monotonic(), Console(stderr=True)
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
               progress.TextColumn("clips"), progress.TimeElapsedColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=console) as bar:
        task = bar.add_task("corpus", total=len(corpus.places))
        manifest = workshop.write(corpus, out, workers, rebuild, pixels=pixels,
                                  report=lambda done, clips: bar.update(task, completed=done))
        bar.update(task, completed=len(corpus.places))
    splits = {name: manifest.content["splits"][name] for name in corpus.clip_keys()}
    shares = ", ".join(f"{split['clips']} {name}" for name, split in splits.items())
    frames = sum(split["frames"] for split in splits.values())
    print(f"{out}: {len(corpus.places)} clips ({shares}), {frames} frames, {manifest.bytes / 1e6:.0f} MB, "
          f"in {time.monotonic() - started:.0f} s")
    return 0


def rebuild_command(settings: dict) -> str:
    """The command for error messages. It leaves the folder open: a corpus may be moved, and equal ones be compared."""
    given = [word for name, value in settings.items() if value is not None and value is not False
             for word in ((f"--{name}",) if value is True else (f"--{name}", str(value)))]
    return shlex.join(["thjax", "data", "synth", *given, "--out", "DIR"])
