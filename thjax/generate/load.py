"""From the directory of a run to a `Model`."""

import dataclasses
import hashlib
from collections.abc import Mapping
from os import PathLike
from typing import Any

import jax
import numpy as np

from thjax import __version__, systems
from thjax.checkpoint import LoadedRun, load_run
from thjax.checkpoint.config_io import config_hash, to_dict
from thjax.engine import NetState, System
from thjax.generate.model import Model


def load_model(directory: str | PathLike, which: str | int = "best", ema: bool = True) -> Model:
    """The model of a run, compiled.

    Args:
        directory: of a run, or converted weights (a directory or the file itself).
        which: `best`, `latest` or a step.
        ema: averaged weights, where the run kept them.

    Raises:
        UserError: there is no such run or checkpoint, or it is broken.
    """
    run = load_run(directory, which, ema)
    system = drawing_system(run.system)
    sampler = system.sampler(run.nets, run.stats)
    return Model(sampler, system.stages[-1].data.crop, provenance(run), template(run)).warm_up()


def drawing_system(system: System) -> System:
    """The system as it draws fastest here: parameters are f32 anyway, and CPUs compute bf16 slower than f32."""
    if jax.default_backend() != "cpu" or system.config.precision == "f32":
        return system
    return systems.build(dataclasses.replace(system.config, precision="f32"))


def template(run: LoadedRun) -> np.ndarray | None:
    """[5, 2] places of the stable landmarks, for converted weights that were trained on frames cut out elsewhere."""
    for origin in run.pretrained.values():
        if points := origin.get("sizes", {}).get("template"):
            return np.asarray(points, np.float32)
    return None


def provenance(run: LoadedRun) -> dict[str, Any]:
    """What identifies the model that made a video."""
    return {
        "version": __version__,
        "system": run.config.system,
        "variant": run.config.variant,
        "stage": run.stage,
        "step": run.step,
        "averaged_weights": bool(run.averaged),
        "weights_sha256": weights_hash(run.nets),
        "config_hash": config_hash(to_dict(run.config)),
        "manifest_hash": run.manifest_hash,
        "pretrained": dict(run.pretrained),
    }


def weights_hash(nets: Mapping[str, NetState]) -> str:
    """SHA-256 over names, shapes and bytes of all parameters and variables, whatever file they came from."""
    digest = hashlib.sha256()
    for name in sorted(nets):
        tree = {"params": nets[name].params, "variables": nets[name].variables}
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            array = np.asarray(leaf)
            digest.update(f"{name}{jax.tree_util.keystr(path)}{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
