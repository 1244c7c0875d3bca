"""Programs that tests run once or twice."""

import jax


def quick_jit(function):
    """Compiled in a hurry: running a small program longer costs less than optimising it."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})
