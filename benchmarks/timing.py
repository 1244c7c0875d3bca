"""What every benchmark needs: thjax.core.timing, the command that runs, and where results lie."""

import json
import pathlib
import shlex
import sys

from thjax.core.timing import interleave, machine, median, number

__all__ = ["command", "interleave", "machine", "median", "number", "write"]

RESULTS = pathlib.Path(__file__).parent / "results"


def command() -> str:
    """The command line that is running."""
    module = sys.modules["__main__"].__spec__.name
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def write(name: str, result: dict) -> pathlib.Path:
    """Writes results/NAME.json whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1) + "\n")
    partial.replace(path)
    return path
