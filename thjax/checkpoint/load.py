"""`load_run`: a trained run from its directory, for generating, evaluating, and as donor of another run."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
from orbax.checkpoint import v1 as ocp

from thjax import systems
from thjax.checkpoint import config_io, converted, store
from thjax.core.config import RunConfig
from thjax.core.errors import UserError
from thjax.engine import NetState, System, TrainState, enter_stage, init_network, with_accumulation
from thjax.pretrained import weights_file

Which = Literal["best", "latest"] | int
log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A trained run.

    Attributes:
        config: resolved config of the run.
        system: built from it.
        nets: {name: NetState} of the last stage, without optimizer states; averaged parameters in place where asked.
        stats: statistics of the training data, as `System.statistics` merged them.
        manifest_hash: of the corpus it was trained on.
        step: of the checkpoint.
        stage: name of the stage.
        pretrained: {net: where its weights came from}, for networks not trained from scratch in this run.
        averaged: names of the networks whose averaged parameters are in place.
    """

    config: RunConfig
    system: System
    nets: Mapping[str, NetState]
    stats: Mapping[str, Any]
    manifest_hash: str
    step: int
    stage: str
    pretrained: Mapping[str, Any]
    averaged: tuple[str, ...] = ()


def load_run(directory: str | Path, which: Which = "best", ema: bool = True) -> LoadedRun:
    """Loads a checkpoint of a run, after checking its files.

    Args:
        directory: of the run, as given to `thjax train --out`; or converted weights, the file or its directory, which
            have one state alone, so that `which` and `ema` change nothing.
        which: `best` on validation (the newest, where no stage of the run has a metric to be best in), `latest`, or
            a step.
        ema: put averaged parameters in place, where the stage keeps them.

    Raises:
        UserError: no such run or checkpoint; it is broken; its config is of another version.
    """
    run = Path(directory)
    if not store.checkpoints(run).is_dir() and (weights := weights_file.find(run)):
        return _load_converted(weights)
    record = find(run, which)
    config = config_io.from_dict(record.config)
    system = systems.build(config)
    state = load_state(store.step_directory(run, record.step), abstract_state(system, config, record.stage))
    nets = {name: net.replace(opt_state=()) for name, net in state.nets.items()}
    averaged = state.ema if ema else {}
    nets |= {name: nets[name].replace(params=params) for name, params in averaged.items()}
    return LoadedRun(
        config,
        system,
        nets,
        store.unpack(record.statistics),
        record.manifest_hash,
        record.step,
        record.stage,
        record.pretrained,
        tuple(sorted(averaged)),
    )


def _load_converted(weights: Path) -> LoadedRun:
    """Converted weights in the form of a run that never trained here."""
    system, nets, header = converted.load(weights)
    origins = {name: {"kind": "weights", "path": str(weights), **header} for name in nets}
    return LoadedRun(system.config, system, nets, system.statistics([]), "", 0, system.stages[-1].name, origins)


def find(run: Path, which: Which) -> store.Record:
    """The record of the checkpoint that `which` means.

    Raises:
        UserError: there is none, or it is broken.
    """
    if not run.is_dir():
        raise UserError(f"no checkpoint in {run}: the directory does not exist")
    have = store.steps(run)
    if isinstance(which, int):
        if which not in have:
            raise UserError(f"no checkpoint of step {which} in {run}; it has {have or 'none'}")
        return _verified(run, which)
    if which not in ("best", "latest"):
        raise UserError(f"checkpoint {which!r} is unknown; use 'best', 'latest' or a step of {have}")
    latest = store.newest_intact(run)
    if latest is None:
        raise UserError(
            f"no checkpoint in {run}; `thjax train SYSTEM:VARIANT --data DIR --out {run}` makes one"
            if not have
            else f"no checkpoint in {run} is intact; found {have}"
        )
    best = latest.bookkeeping.get("best_step")
    if which == "latest" or best is None or best == latest.step:
        return latest
    if best not in have:
        log.warning("the best checkpoint, of step %d, is gone from %s; using step %d", best, run, latest.step)
        return latest
    return _verified(run, best)


def _verified(run: Path, step: int) -> store.Record:
    try:
        return store.verify(store.step_directory(run, step))
    except store.BrokenCheckpoint as error:
        raise UserError(f"checkpoint {step} of {run} is broken: {error}; others are {store.steps(run)}") from None


def abstract_state(system: System, config: RunConfig, stage_name: str) -> TrainState:
    """Shapes and types of the state within a stage, without computing anything."""
    names = [stage.name for stage in system.stages]
    if stage_name not in names:
        raise UserError(f"the checkpoint is of stage {stage_name!r}; the system's stages are {names}")

    networks = system.networks  # a system keeps what it makes here, so not while tracing

    def enter_up_to(key):
        """The state at the stage's beginning, of the seed `key`."""
        state, previous = None, None
        for declared in system.stages[: names.index(stage_name) + 1]:
            stage = with_accumulation(declared, config.accumulate)
            loaded = [name for name, source in stage.init.items() if source.kind in ("checkpoint", "weights")]
            donors = {name: init_network(networks[name], name, key) for name in loaded}
            state = enter_stage(networks, stage, state, key, donors, previous)
            previous = stage
        return state

    return jax.eval_shape(enter_up_to, jax.random.key(0))


def load_state(directory: Path, abstract: TrainState, sharding: jax.sharding.Sharding | None = None) -> TrainState:
    """Reads the arrays of a checkpoint whose files were verified.

    Args:
        directory: of the checkpoint.
        abstract: shapes and types, from `abstract_state`.
        sharding: where every array goes; None puts them on this process's first device.

    Raises:
        UserError: the checkpoint holds other networks or shapes than the system.
    """
    sharding = sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), abstract)
    try:
        return ocp.load_checkpointables(directory.absolute(), {"state": wanted})["state"]
    except (ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{directory} does not fit the networks that its config describes: {reason}") from error
