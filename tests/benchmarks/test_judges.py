"""The committed examination of the judges: not stale, above their bars, beside their controls."""

import json
import math

import numpy as np
import pytest

from benchmarks.judges import CODE, RESULT, figures_hash, forget_stale, weights_hash
from configs.judges import RECIPES
from thjax.judge_training.making import kind_of, recipe_hash
from thjax.judges import shipped

VERSIONS = ("loss", "metric")
SIZES = (64, 96, 128)
MISSED = {f"error_correlation_{unit}_{size}" for unit in ("au20", "au25", "au26") for size in SIZES}
"""Bars that the judges of faces do not reach; README says so, and what is reached later is struck off here."""


def rows(name):
    made = json.loads(RESULT.read_text())["judges"][name]["rows"]
    return {row: {metric: value["mean"] for metric, value in metrics.items()} for row, metrics in made.items()}


@pytest.mark.learning
@pytest.mark.parametrize("name", list(RECIPES))
def test_figures_belong_to_this_recipe_and_code(name):
    made = json.loads(RESULT.read_text())["judges"][name]
    assert made["recipe_hash"] == recipe_hash(name) and made["code_hash"] == figures_hash(kind_of(name)), (
        f"{name} changed since its figures were made; run: make judges")


def test_every_kind_has_both_versions():
    assert set(RECIPES) == {f"{kind}_{version}" for kind in CODE for version in VERSIONS}


@pytest.mark.learning
@pytest.mark.parametrize("version", VERSIONS)
def test_sync(version):
    made = rows(f"sync_{version}")
    ours = made["ours"]
    assert ours["loss"] <= 0.40 and ours["pairwise_accuracy"] >= 0.92
    assert ours["offset_within_one"] >= 0.95 and ours["offset_exact"] >= 0.90
    assert abs(made["shuffled_training"]["loss"] - math.log(2)) <= 0.02
    assert abs(made["other_speaker_audio"]["pairwise_accuracy"] - 0.5) <= 0.03
    assert made["half_pixel_jitter"]["confidence_lost"] <= 0.05
    assert made["still_frames"]["offset_within_one"] < 0.25


@pytest.mark.learning
@pytest.mark.parametrize("version", VERSIONS)
def test_lips(version):
    made = rows(f"lips_{version}")
    assert made["ours"]["wer"] <= 0.08 and made["ours"]["letters"] <= 0.30 and made["ours"]["other_slots"] <= 0.03
    assert made["oracle_exact_track"]["wer"] <= 0.015
    for control in ("wrong_video", "masked_mouth"):
        assert abs(made[control]["wer"] - made["chance"]["wer"]) <= 0.05


@pytest.mark.learning
@pytest.mark.parametrize("version", VERSIONS)
def test_identity(version):
    made = rows(f"identity_{version}")
    assert made["ours"]["eer"] < 0.02 and made["ours"]["eer_hair_redrawn"] < 0.05
    assert min(made["colour_histogram"]["eer"], made["colour_histogram"]["eer_hair_redrawn"]) > 0.15


@pytest.mark.learning
@pytest.mark.parametrize("version", VERSIONS)
def test_face(version):
    ours = rows(f"face_{version}")["ours"]
    at_most, at_least = {"found_faceless": 0.01}, {}
    for size in SIZES:
        at_most |= {f"landmarks_{size}": 3, **{f"{angle}_degrees_{size}": 2 for angle in ("pitch", "yaw", "roll")}}
        at_most |= {f"error_correlation_{part}_{size}": 0.5 for part in ("landmarks", "au20", "au25", "au26")}
        at_least |= {f"r_{unit}_{size}": 0.9 for unit in ("au20", "au25", "au26")}
        at_least |= {f"{blinks}_{size}": 0.9 for blinks in ("blink_f1", "blinks_by_ear_f1", "blinks_by_au45_f1")}
        at_least |= {f"found_{size}": 0.99}
    missed = {metric for metric, bar in at_most.items() if ours[metric] > bar}
    missed |= {metric for metric, bar in at_least.items() if ours[metric] < bar}
    assert missed == MISSED


def test_weights_of_other_code_are_trained_anew(tmp_path):
    for name in ("sync_loss", "sync_metric", "lips_loss"):
        header = {"recipe_hash": recipe_hash(name)}
        shipped.save(tmp_path / f"{name}.safetensors", {"params": {"w": np.ones(2)}}, header)
    (tmp_path / "sync_loss.code").write_text("of another day")
    (tmp_path / "sync_metric.code").write_text(weights_hash("sync"))
    assert forget_stale(tmp_path, ["sync_loss", "sync_metric", "lips_loss", "lips_metric"]) == ["sync_metric"]
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["sync_metric.safetensors"]
    assert (tmp_path / "lips_metric.code").read_text() == weights_hash("lips")
