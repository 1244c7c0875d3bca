"""How a checkpoint is named on a command line."""

import argparse


def checkpoint_name(text: str) -> str | int:
    """`best`, `latest` or a step."""
    if text in ("best", "latest"):
        return text
    if text.isdecimal():
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither best, latest nor a step")
