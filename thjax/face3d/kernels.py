"""How the loops of this room are compiled: numba, one thread, releases the GIL, kept on disk, no fast-math.

Without fast-math and threads a kernel gives the same bits on every run on one kind of machine.
"""

import numba


def kernel(function):
    """Compiles `function` at its first call; the machine code is kept on disk where a folder for it can be written."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder to keep it in, for example in a read-only installation
        return numba.njit(**options)(function)
