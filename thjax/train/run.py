"""A run, put together from what the user asked for: config, system, corpus, stages, devices."""

import dataclasses
import math
import os
import tempfile
from pathlib import Path
from typing import Any

import jax

from data_pipelines.loader import Clips, Loader, clips
from data_pipelines.manifest import Manifest
from data_pipelines.mixture import Mixture, Part, mixture_hash, parse
from data_pipelines.stream import Stream
from thjax import __version__, systems
from thjax.checkpoint import config_io
from thjax.core import files
from thjax.core.config import RunConfig
from thjax.core.errors import UserError
from thjax.engine import Stage, System, with_accumulation
from thjax.parallel import make_mesh
from thjax.train import stages as limits


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that does not change while a run trains.

    Attributes:
        config: resolved: overrides applied, lengths of epochs filled in.
        system: built from it.
        stages: of the system, with gradient accumulation applied to their optimizers.
        limits: when each stage ends, in steps.
        loaders: the training stream of each stage, this process's share of it.
        parts: corpora it trains on; the first one validates.
        out: directory of the run.
        manifest_hash: of the corpus, or of all and their weights.
        stats: of the corpora, as the system merged them.
        mesh: devices.
        key: of the run, from its seed.
    """

    config: RunConfig
    system: System
    stages: tuple[Stage, ...]
    limits: tuple[limits.ResolvedStage, ...]
    loaders: tuple[Stream, ...]
    parts: tuple[Part, ...]
    out: Path | None
    manifest_hash: str
    stats: Any
    mesh: jax.sharding.Mesh
    key: jax.Array

    def clips(self, stage: Stage) -> Clips:
        """Whole clips of the validation split, prepared as the stage's examples are."""
        return clips(self.parts[0].directory, "validation", stage.data, self.config.train.evaluate_clips)

    def values(self) -> dict[str, Any]:
        """The config as plain values."""
        return config_io.to_dict(self.config)


def assemble(config: RunConfig, data: str | Path, out: Path | None) -> Run:
    """Builds the run.

    Args:
        config: with the user's overrides.
        data: see `data_pipelines.mixture.parse`.
        out: directory of the run; None where nothing will be written.

    Raises:
        DataError: the corpus cannot be used.
        ValueError: the config contradicts itself or the devices.
    """
    parts = parse(str(data))
    system = systems.build(config)
    loaders = tuple(make_loader(parts, stage, config) for stage in system.stages)
    batches = [max(1, math.ceil(loader.batches_per_epoch)) for loader in loaders]
    if hasattr(config, "with_batches_per_epoch"):
        # Schedules that count epochs need their length, which the corpus alone knows.
        config = config.with_batches_per_epoch(batches[-1])
        system = systems.build(config)
    return Run(
        config=config,
        system=system,
        stages=tuple(with_accumulation(stage, config.accumulate) for stage in system.stages),
        limits=tuple(limits.resolve(stage, count) for stage, count in zip(system.stages, batches, strict=True)),
        loaders=loaders,
        parts=parts,
        out=out,
        manifest_hash=mixture_hash(parts),
        stats=system.statistics(_statistics(parts, system.stages[0].data.split)),
        mesh=make_mesh(config.parallel.devices, config.parallel.fsdp, config.parallel.tensor),
        key=jax.random.key(config.seed),
    )


def make_loader(parts: tuple[Part, ...], stage: Stage, config: RunConfig) -> Stream:
    """The loader of a stage for this process."""
    of_process = (stage.data, config.seed, jax.process_index(), jax.process_count(), config.loader)
    return Loader(parts[0].directory, *of_process) if len(parts) == 1 else Mixture(parts, *of_process)


def _statistics(parts: tuple[Part, ...], split: str) -> list[dict]:
    """Of all corpora, whatever their weights: ranges must hold the values of each."""
    return [counted for part in parts for counted in Manifest.load(part.directory).shard_statistics(split)]


def make_directory(out: Path) -> None:
    """Makes the directory of a run.

    Raises:
        UserError: it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):  # nameless: other processes try the same directory at the same time
            pass
    except OSError as error:
        raise UserError(
            f"--out {out} cannot be written: {os.strerror(error.errno)}; choose another directory"
        ) from None


def write_config(run: Run) -> None:
    """Writes `config.json`: resolved config, lengths of the stages in steps, corpus, versions."""
    files.write_json(
        run.out / "config.json",
        {
            "config": run.values(),
            "config_hash": config_io.config_hash(run.values()),
            "stages": limits.to_dict(run.limits),
            "data": [{"directory": str(part.directory.resolve()), "weight": part.weight} for part in run.parts],
            "manifest_hash": run.manifest_hash,
            "versions": versions(),
        },
    )


def versions() -> dict[str, str]:
    """Of the packages that decide about bits."""
    import flax
    import jaxlib
    import optax

    return {
        "thjax": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "backend": jax.default_backend(),
    }
