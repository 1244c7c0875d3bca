"""What the guard's verdict means for a person: which step, which clips, what to do."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from thjax.engine import Metrics, TrainState
from thjax.engine.guard import all_finite

MIXED = "batch statistics mix clips"


class Halted(Exception):
    """The guard has stopped the run.

    Attributes:
        step: number of the bad step, from 1; the state before it has seen one step less.
        spike: it stopped for spikes in a row, not for values that are not finite.
    """

    def __init__(self, step: int, spike: bool, message: str):
        super().__init__(message)
        self.step, self.spike = step, spike


def local_rows(values: jax.Array) -> np.ndarray:
    """The rows of a [B] array that this process holds, in global order."""
    shards = {shard.index[0].start or 0: np.asarray(shard.data) for shard in values.addressable_shards}
    return np.concatenate([shards[start] for start in sorted(shards)])


def blame(loader, stage_step: int, metrics: Metrics) -> str:
    """Names the clips of a bad step.

    Args:
        loader: of the stage; asked for the batch once more, which is a pure function of its position.
        stage_step: steps of the stage before the bad one.
        metrics: of the bad step.
    """
    batch = loader.batch_at(stage_step)
    finite = local_rows(metrics.per_example["inputs_finite"])
    clips = loader.describe(batch["example_id"])
    bad = [f"{clip} ({', '.join(_bad_fields(batch, row))})" for row, clip in enumerate(clips) if not finite[row]]
    if bad:
        return f"inputs that are not finite: {'; '.join(bad)}"
    if jax.process_count() > 1:
        return f"inputs of this process are finite; unless another process names a clip, {MIXED}: {'; '.join(clips)}"
    return f"all inputs are finite, and {MIXED}; the whole batch: {'; '.join(clips)}"


def _bad_fields(batch: Mapping[str, np.ndarray], row: int) -> list[str]:
    return [
        name
        for name, field in batch.items()
        if np.issubdtype(field.dtype, np.inexact) and not np.isfinite(field[row]).all()
    ]


def poisoned(state: TrainState) -> list[str]:
    """Networks of a state that hold a value that is not finite: such a state must not be saved."""
    return sorted(name for name, net in state.nets.items() if not bool(all_finite(net)))


def advice(halt: Halted, bad_networks: list[str], newest: list[int], max_spikes: int) -> str:
    """What is on the disk, and how to go on.

    Args:
        halt: what happened.
        bad_networks: from `poisoned`, of the state before.
        newest: step of the newest checkpoint, empty without one.
        max_spikes: limit of the guard.
    """
    if bad_networks:
        on_disk = (
            f"The newest checkpoint is of step {newest[0]}; to go on from there, or from the one before by deleting it:"
            if newest
            else "There is no checkpoint; to begin anew:"
        )
        return (
            f"Before it, networks {bad_networks} already held values that are not finite; that state is not saved. "
            f"{on_disk}"
        )
    way_out = (
        f"raise --guard.max_spikes ({max_spikes} in a row were reached)"
        if halt.spike
        else "mend or remove the clips, or skip such steps with --guard.on_bad skip"
    )
    return (
        f"The state before it is intact, saved as step {halt.step - 1}. To go on, {way_out}, and add --accept_changes:"
    )


def state_before(state: TrainState, halt: Halted) -> TrainState:
    """The state before the bad step. The halted guard has kept everything but its own memory and the counters.

    Args:
        state: after the bad step, or any number of steps later.
        halt: of that step.
    """
    late = state.step - (halt.step - 1)
    counter = (
        {"spikes": state.guard.spikes - 1, "spikes_in_row": state.guard.spikes_in_row - 1}
        if halt.spike
        else {"bad_steps": state.guard.bad_steps - 1}
    )
    guard = state.guard.replace(halted=jnp.zeros_like(state.guard.halted), **counter)
    return state.replace(step=state.step - late, stage_step=state.stage_step - late, guard=guard)
