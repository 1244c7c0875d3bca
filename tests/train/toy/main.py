"""`python main.py ARGUMENTS`: the command line of thjax, with the toy system beside the published ones."""

import sys
from pathlib import Path

import configs
import thjax.systems

HERE = Path(__file__).parent


def install():
    """Makes the toy system known."""
    if str(HERE / "systems") not in thjax.systems.__path__:
        thjax.systems.__path__.append(str(HERE / "systems"))
        configs.__path__.append(str(HERE / "configs"))


if __name__ == "__main__":
    from thjax import cli

    install()
    sys.exit(cli.main(sys.argv[1:]))
