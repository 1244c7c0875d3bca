"""Where a run stands when it starts: at its newest checkpoint, at its beginning, or at the border of two stages."""

import dataclasses
import functools
import logging
from typing import Any

import jax

from thjax.checkpoint import store
from thjax.checkpoint.load import abstract_state, load_state
from thjax.core.errors import UserError
from thjax.engine import TrainState, enter_stage
from thjax.parallel.mesh import replicated
from thjax.train import resume
from thjax.train.bookkeeping import Bookkeeping
from thjax.train.donors import load_donors
from thjax.train.run import Run

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        index: of the stage.
        state: networks and counters.
        book: what the loop remembers beside the state.
        origins: {net: where it came from} for networks that this run did not train from scratch.
    """

    index: int
    state: TrainState
    book: Bookkeeping = Bookkeeping()
    origins: dict[str, Any] = dataclasses.field(default_factory=dict)


def begin(run: Run, accept_changes: bool) -> Standing:
    """The newest intact checkpoint of the run's directory, or the first stage with fresh networks.

    Clears what a kill left there and sets broken checkpoints aside.

    Raises:
        UserError: the directory holds another run, and the user has not accepted the changes.
    """
    first = jax.process_index() == 0
    if first:
        store.sweep(run.out)
    record = store.newest_intact(run.out, keep_broken_in_place=not first)
    if record is None:
        if store.broken(run.out):
            log.warning("no checkpoint in %s is intact: the run begins anew", run.out)
        return enter(run, 0, None)
    names = [stage.name for stage in run.stages]
    if record.stage not in names:
        raise UserError(f"{run.out} is in stage {record.stage!r}; the stages asked for are {names}")
    index = names.index(record.stage)
    changed = resume.check(record, run.values(), run.manifest_hash, run.stages[index].data.batch, accept_changes)
    abstract = abstract_state(run.system, run.config, record.stage)
    state = load_state(store.step_directory(run.out, record.step), abstract, replicated(run.mesh))
    if first:
        print(f"resuming {run.out} at step {record.step}, stage {record.stage}")
    book = Bookkeeping(**record.bookkeeping)
    if changed:
        book = dataclasses.replace(book, ended=False)  # of a longer stage it may not be the end any more
    return Standing(index, state, book, record.pretrained)


def enter(run: Run, index: int, before: Standing | None) -> Standing:
    """The beginning of a stage: networks created, taken over, loaded and dropped as it declares."""
    stage = run.stages[index]
    donors, loaded = load_donors(run.system, stage)
    taken = [name for name, source in stage.init.items() if source.kind == "previous"]
    origins = {name: before.origins[name] for name in taken if before and name in before.origins} | loaded
    function = functools.partial(
        enter_stage, run.system.networks, stage, previous=run.stages[index - 1] if index else None
    )

    def entered(state, key, donors):
        return function(state, key, donors)

    # Drawing initial weights is a large program that runs once: on CPU, optimising it costs five times its worth.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    state = jax.jit(entered, compiler_options=options)(before.state if before else None, run.key, donors)
    return Standing(index, state, Bookkeeping(), origins)
