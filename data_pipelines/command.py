"""`thjax data ...`: makes and prepares corpora."""

import difflib
import importlib

from thjax.core.errors import UserError

COMMANDS = {
    "synth": ("data_pipelines.synthetic.command", "render the embedded corpus of talking heads"),
}


def usage() -> str:
    """The text of `thjax data --help`."""
    lines = [f"  {name:8}{purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: thjax data COMMAND ...", "", *lines, "", "`thjax data COMMAND --help` says more."])


def run(argv: list[str]) -> int:
    """Runs a data command; returns its exit status.

    Raises:
        UserError: no such command; names those there are.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    name, *rest = argv
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `thjax data {near[0]}`? " if near else ""
        raise UserError(f"unknown command {name!r}; {hint}The commands are {', '.join(COMMANDS)}")
    return importlib.import_module(COMMANDS[name][0]).run(rest)
