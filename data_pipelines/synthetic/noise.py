"""Seeded noise without state: the same numbers wherever and in whatever order they are asked for."""

import numpy as np

from thjax.face3d.kernels import kernel


@kernel
def scramble(value):
    """SplitMix64's finaliser (Steele et al. 2014): uint64 -> uint64 with independent-looking bits."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def normal(key):
    """Nearly normal number of a uint64 key: mean 0, variance 1, from the sum of four 16-bit uniforms."""
    bits = scramble(key)
    total = np.float32(0)
    for part in range(4):
        total += np.float32((bits >> np.uint64(16 * part)) & np.uint64(0xFFFF))
    return (total * np.float32(1 / 65536) - np.float32(2 - 2 / 65536)) * np.float32(1.7320508)


@kernel
def value_noise(seed, rows, columns, cells_down, cells_across):
    """Smooth noise of about unit variance between a lattice of normal numbers: -> float32 `[rows, columns]`."""
    lattice = np.empty((cells_down + 2, cells_across + 2), np.float32)
    base = scramble(np.uint64(seed))
    for i in range(lattice.shape[0]):
        for j in range(lattice.shape[1]):
            lattice[i, j] = normal(base + np.uint64(i * lattice.shape[1] + j) * np.uint64(0x9E3779B97F4A7C15))
    out = np.empty((rows, columns), np.float32)
    for y in range(rows):
        fy = np.float32(y) * np.float32(cells_down) / np.float32(rows)
        i = int(fy)
        fy -= np.float32(i)
        fy = fy * fy * (np.float32(3) - np.float32(2) * fy)
        for x in range(columns):
            fx = np.float32(x) * np.float32(cells_across) / np.float32(columns)
            j = int(fx)
            fx -= np.float32(j)
            fx = fx * fx * (np.float32(3) - np.float32(2) * fx)
            top = lattice[i, j] + (lattice[i, j + 1] - lattice[i, j]) * fx
            bottom = lattice[i + 1, j] + (lattice[i + 1, j + 1] - lattice[i + 1, j]) * fx
            out[y, x] = (top + (bottom - top) * fy) * np.float32(1.35)
    return out
