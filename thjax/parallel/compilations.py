"""Counting what XLA compiles, so that a run can show that it compiled its step once."""

import threading

import jax.monitoring

COMPILED = "/jax/core/compile/backend_compile_duration"

_counts = threading.local()  # a checkpoint thread may compile at the same time


def compilations_so_far() -> int:
    """Programs that this thread has compiled since this module was imported."""
    return getattr(_counts, "compiled", 0)


def _count(event: str, seconds: float, **_):
    if event == COMPILED:
        _counts.compiled = compilations_so_far() + 1


jax.monitoring.register_event_duration_secs_listener(_count)
