"""Seeds of random draws."""

import argparse

MOST = 2**32 - 1
"""JAX keeps 32 bits of a seed: above, two seeds would be one."""


def check(seed: int) -> int:
    """The seed.

    Raises:
        ValueError: it is not within 0 to 2^32 - 1.
    """
    if not 0 <= seed <= MOST:
        raise ValueError(f"seed {seed} must be 0 to {MOST}")
    return seed


def argument(text: str) -> int:
    """A seed on a command line."""
    try:
        return check(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MOST}") from None
