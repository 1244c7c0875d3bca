"""Random generators named by what they draw, so that no draw depends on the order of any other."""

import zlib

import numpy as np


def generator(seed: int, *path: int | str) -> np.random.Generator:
    """A generator for one purpose, for example `generator(seed, "blinks", speaker, clip)`.

    Args:
        seed: of the whole corpus, at least 0.
        path: names and indices; a name counts by its crc32, because `hash` differs between processes.
    """
    parts = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in path]
    return np.random.default_rng([seed, *parts])
