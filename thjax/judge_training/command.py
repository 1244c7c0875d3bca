"""`thjax judges`: the networks that measure lips, words, identity and faces."""

import argparse
from pathlib import Path

from rich import progress
from rich.console import Console

from configs.judges import RECIPES


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax judges`."""
    parser = argparse.ArgumentParser(
        prog="thjax judges", description="Networks trained on the embedded corpus that measure what others generate."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|train")
    actions.add_parser("list", help="every judge, and whether its weights ship with thjax")
    train = actions.add_parser("train", help="train some; a judge that lies in DIR already is kept", description="Takes"
                               " minutes a judge on one core. Interrupted, it goes on with those that are missing.")
    train.add_argument("names", nargs="+", choices=[*RECIPES, "all"], metavar="NAME|all", help=", ".join(RECIPES))
    train.add_argument("--out", required=True, type=Path, metavar="DIR", help="where NAME.safetensors and the material "
                       "(clips and pictures, may be deleted) go")
    return parser


def run(argv: list[str]) -> int:
    """Runs the command; returns its exit status."""
    arguments = parser().parse_args(argv)
    if arguments.action == "list":
        print("\n".join(listing()))
        return 0
    from thjax.judge_training import making  # jax, so only after the arguments are known to be good

    names = list(RECIPES) if "all" in arguments.names else list(dict.fromkeys(arguments.names))
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
               progress.TimeElapsedColumn(), progress.TimeRemainingColumn(), progress.TextColumn("{task.fields[note]}"))
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        for name in names:
            path = making.make(name, arguments.out, _Stages(bar, name))
            bar.console.print(f"{name}: {path}")
    return 0


def listing() -> list[str]:
    """A line for each judge."""
    from thjax.judges.shipped import shipped_names

    ships = shipped_names()
    return [f"{name}: {make.__doc__.strip().splitlines()[0]} {'Ships.' if name in ships else 'Train it to use it.'}"
            for name, make in RECIPES.items()]


class _Stages:
    """Progress of one judge: a bar a stage."""

    def __init__(self, bar: progress.Progress, name: str):
        self._bar, self._name, self._tasks = bar, name, {}

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(f"{self._name}: {stage}", total=total, note=note)
        self._bar.update(self._tasks[stage], completed=done, total=total, note=note)
