"""`thjax data ...`: makes and prepares corpora."""

import difflib
import importlib

from data_pipelines import guard
from thjax.core.errors import UserError

COMMANDS = {
    "synth": ("data_pipelines.synthetic.command", "render the embedded corpus of talking heads"),
    "scan": ("data_pipelines.readers.command", "list the clips of a corpus on disk and what is wrong with it"),
    "fixtures": ("data_pipelines.fixtures.command", "write a small corpus in the layout of a real one"),
    "plan": ("data_pipelines.prepare.command:plan", "divide a corpus on disk, and fix which shard holds which clip"),
    "openface": ("data_pipelines.prepare.openface", "bind a CSV file of OpenFace to its video, for `prepare --labels`"),
    "prepare": ("data_pipelines.prepare.command:prepare", "turn a corpus on disk into records to train on"),
    "verify": ("data_pipelines.prepare.command:verify", "check every file of prepared records"),
    "stats": ("data_pipelines.prepare.card", "a card of prepared records, with a sheet of faces for every shard"),
    "bench": ("data_pipelines.bench", "how fast prepared records feed a step that does nothing"),
    "export": ("data_pipelines.prepare.export", "give clips back as mp4, wav and csv"),
    "remove": ("data_pipelines.prepare.remove", "take a speaker out of prepared records"),
}


def usage() -> str:
    """The text of `thjax data --help`."""
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:{width}}{purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: thjax data COMMAND ...", "", *lines, "", "`thjax data COMMAND --help` says more."])


def run(argv: list[str]) -> int:
    """Runs a data command; returns its exit status.

    Raises:
        UserError: no such command, names those there are; or the disk is full.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    name, *rest = argv
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean `thjax data {near[0]}`? " if near else ""
        raise UserError(f"unknown command {name!r}; {hint}The commands are {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[name][0].partition(":")
    with guard.room():
        return getattr(importlib.import_module(module), function or "run")(rest)
