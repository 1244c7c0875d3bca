"""`python main.py ARGUMENTS`: the command line of thjax, with the toy system beside the published ones.

The environment plants an end: `TOY_END=kill:feed:7` sends the process SIGKILL before it takes its 7th batch;
`term`, `int` and `kill` are the signals, `assemble`, `feed`, `orbax`, `seal`, `rename` and `forget` the places, counted
from 1.
`TOY_PROCESS=8476:2:0` makes it process 0 of 2, which meet at a port.
"""

import os
import signal
import sys
from pathlib import Path

import configs
import thjax.systems

HERE = Path(__file__).parent
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}


def install():
    """Makes the toy system known."""
    if str(HERE / "systems") not in thjax.systems.__path__:
        thjax.systems.__path__.append(str(HERE / "systems"))
        configs.__path__.append(str(HERE / "configs"))


def plant(how: str):
    """Replaces a function by one that sends this process a signal at its n-th call, before doing its work."""
    from thjax.checkpoint import store
    from thjax.core import files
    from thjax.train import run
    from thjax.train.checkpoint import Saver
    from thjax.train.feed import Feed

    name, place, count = how.split(":")
    owner, attribute = {
        "assemble": (run, "assemble"),  # before the first batch
        "feed": (Feed, "next"),  # between two steps
        "orbax": (Saver, "_finish"),  # Orbax writes in the background
        "seal": (files, "sha256"),  # record written, hashes not
        "rename": (store, "seal"),  # everything written, the directory still hidden
        "forget": (Saver, "_forget"),  # in place, older ones not yet deleted
    }[place]
    original, calls = getattr(owner, attribute), iter(range(1, 10**6))

    def planted(*arguments, **named):
        due = next(calls) == int(count)
        result = original(*arguments, **named) if place == "rename" else None
        if due:
            os.kill(os.getpid(), SIGNALS[name])
        return result if place == "rename" else original(*arguments, **named)

    setattr(owner, attribute, planted)


def join(which: str):
    """Joins the other processes of a run."""
    import jax

    port, count, index = map(int, which.split(":"))
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", count, index)


if __name__ == "__main__":
    from thjax import cli

    if os.environ.get("TOY_PROCESS"):
        join(os.environ["TOY_PROCESS"])
    install()
    if os.environ.get("TOY_END"):
        plant(os.environ["TOY_END"])
    sys.exit(cli.main(sys.argv[1:]))
