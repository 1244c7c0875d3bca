"""`thjax evaluate`: a table with controls and intervals for a trained run."""

import argparse
import pathlib
import shlex
import sys

from rich.console import Console

from thjax.checkpoint import load_run
from thjax.checkpoint.names import checkpoint_name
from thjax.evaluate import pictures
from thjax.evaluate.run import evaluate_run
from thjax.evaluate.scores import METRICS

PIPE_COLUMNS = 160


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax evaluate`."""
    parser = argparse.ArgumentParser(
        prog="thjax evaluate",
        description="Scores a trained run on held-out clips, beside controls: the first frame copied, another "
        "speaker's audio, silence, and the truth re-encoded.",
    )
    parser.add_argument("--checkpoint", required=True, type=pathlib.Path, metavar="DIR", help="folder of the run")
    parser.add_argument("--data", required=True, type=pathlib.Path, metavar="DIR", help="prepared corpus")
    parser.add_argument("--split", default="test", help="split of the corpus (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where table.json, clips.csv, "
                        "contact_sheet.png and report.html go (default: DIR of the run/evaluate-SPLIT)")
    parser.add_argument("--which", default="best", type=checkpoint_name, metavar="best|latest|STEP",
                        help="checkpoint of the run (default: %(default)s on validation)")
    parser.add_argument("--no_ema", action="store_true", help="use the raw weights instead of the averaged ones")
    parser.add_argument("--clips", type=int, default=0, help="clips to use, spread over the split (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler's noise (default: %(default)s)")
    return parser


def run(argv: list[str]) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    console = Console(stderr=True)
    loaded = load_run(arguments.checkpoint, which=arguments.which, ema=not arguments.no_ema)
    out = arguments.out or arguments.checkpoint / f"evaluate-{arguments.split}"
    command = shlex.join(["thjax", "evaluate", *argv])
    with console.status("reading clips") as status:
        result, clips, videos = evaluate_run(
            loaded, arguments.data, arguments.split, arguments.seed, command, arguments.clips,
            report=lambda row: status.update(f"making row {row}"),
        )
    result.write(out)
    sheet = out / "contact_sheet.png"
    pictures.contact_sheet(clips, {"generated": videos["ours"], "copy": videos["copy_first_frame"]}, sheet)
    pictures.report(
        out / "report.html", f"{loaded.config.system}:{loaded.config.variant} on {arguments.split}",
        [command, *(f"{name}: {meaning}" for name, meaning in METRICS.items())],
        {"Scores": result.lines(), "Differences": result.paired_lines()}, {"Truth, generated, copy": sheet},
    )
    # A pipe has no width of its own, and a table squeezed into 80 columns loses its names.
    printed = Console() if sys.stdout.isatty() else Console(width=PIPE_COLUMNS)
    for table in result.terminal_tables():
        printed.print(table)
    printed.print(f"written to {out}")
    return 0
