"""What is written must not take the place of what it is made of."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from thjax.core.errors import UserError


def check_spares(path: Path, arguments: argparse.Namespace, names: Iterable[str], what: str) -> None:
    """Compares a file that will be written with those that the user gave.

    Args:
        path: where it will be written.
        arguments: of the command.
        names: of the options that name inputs.
        what: it is, for the message.

    Raises:
        UserError: it is one of them.
    """
    for name in names:
        given = getattr(arguments, name)
        if given and os.path.exists(given) and path.exists() and os.path.samefile(given, path):
            raise UserError(f"--{name} {given} is where {what} would go; name another output")
