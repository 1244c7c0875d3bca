"""One judge from its recipe: trained, written with what it is made of, and kept where the recipe has not changed."""

import dataclasses
import importlib
from collections.abc import Callable
from pathlib import Path

from configs import judges as values
from thjax.core.files import fingerprint
from thjax.judges import shipped

Report = Callable[[str, int, int, str], None]
"""(stage, done, total, note)."""
MATERIAL = "material"
"""Folder below the output where drawn clips and pictures lie; it may be deleted."""


def kind_of(name: str) -> str:
    """`sync` of `sync_metric`."""
    return name.rpartition("_")[0]


def recipe_hash(name: str) -> str:
    """Digest of the recipe's values."""
    return fingerprint(dataclasses.asdict(values.get_config(name)))


def path_of(out: Path, name: str) -> Path:
    """Where a judge's weights lie."""
    return out / f"{name}.safetensors"


def is_made(out: Path, name: str) -> bool:
    """Whether the judge lies there, trained by the recipe of today."""
    path = path_of(out, name)
    return path.is_file() and shipped.read(path)[1]["recipe_hash"] == recipe_hash(name)


def make(name: str, out: Path, report: Report) -> Path:
    """Trains a judge, unless it lies there already.

    Args:
        name: of `configs.judges.RECIPES`.
        out: folder for weights and material.
        report: of the progress.

    Returns:
        The file of its weights.
    """
    path = path_of(out, name)
    if is_made(out, name):
        return path
    recipe = values.get_config(name)
    out.mkdir(parents=True, exist_ok=True)
    variables = training(name).train(recipe, out / MATERIAL, report)
    shipped.save(path, variables, {
        "name": name, "kind": kind_of(name), "network": dataclasses.asdict(recipe.network), "seed": recipe.seed,
        "recipe_hash": recipe_hash(name), "command": f"thjax judges train {name}",
    })
    return path


def training(name: str):
    """The module that trains and examines this judge."""
    return importlib.import_module(f"thjax.judge_training.{kind_of(name)}")
