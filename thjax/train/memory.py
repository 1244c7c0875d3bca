"""Memory of a training process on CPU: what a step frees is kept for the next one."""

import ctypes
import importlib.metadata
import importlib.util
import os

# glibc's names, malloc.h
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed memory instead of giving it back to the kernel; call it before jax starts its threads.

    A step on CPU allocates its temporaries anew. From the kernel they come page by page and zeroed, which took a third
    of the processor time of a demo step. Left alone where an accelerator may hold the step, or where there is no glibc.

    Returns:
        Whether it was done.
    """
    if not _on_cpu():
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # macOS, Windows, musl
        return False
    options = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1))
    return all(set_option(option, value) for option, value in options)


def _on_cpu() -> bool:
    """Whether jax will find nothing but the CPU; asking jax would start its threads."""
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms == "cpu"
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return not plugins and not any(map(importlib.util.find_spec, ("jax_plugins", "libtpu")))
