"""What tests on eight devices make of a system's stage and of a state, so that equality can be asked to 1e-10."""

import dataclasses

import numpy as np
import optax

from thjax.engine import Stage


def plain_sgd(stage: Stage) -> Stage:
    """The stage with an optimizer that hides no factor in a gradient, as Adam would."""
    phases = tuple(
        dataclasses.replace(
            phase, trains=tuple(dataclasses.replace(t, optimizer=optax.sgd(1e-3)) for t in phase.trains)
        )
        for phase in stage.phases
    )
    return dataclasses.replace(stage, phases=phases)


def wide(leaf) -> np.ndarray:
    """A leaf in float64: Flax keeps parameters in f32, whatever the precision of the computation."""
    leaf = np.asarray(leaf)
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
