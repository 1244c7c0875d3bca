"""Smooth bumps and steps over the template, of which the head's surface and its bases are made."""

import numpy as np


def bump(x, y, centre_x, centre_y, width, height):
    """Gaussian bump of height 1."""
    return np.exp(-0.5 * (((x - centre_x) / width) ** 2 + ((y - centre_y) / height) ** 2))


def both_sides(x, y, centre_x, centre_y, width, height):
    """The same bump on the left and on the right."""
    return bump(np.abs(x), y, centre_x, centre_y, width, height)


def step(start, end, value):
    """Smooth step from 0 at `start` to 1 at `end` (which may lie below `start`)."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def vectors(x=0.0, y=0.0, z=0.0):
    """Stacks components, arrays or numbers, into `[N, 3]`."""
    return np.stack(np.broadcast_arrays(x, y, z), -1).astype(np.float64)
