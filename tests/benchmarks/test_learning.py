"""Committed learning results: not stale, and above their bars and controls."""

import json

import pytest

from benchmarks.learn import LEARNING, RESULTS, SEEDS, code_hash, config_hash


def result(system):
    return json.loads((RESULTS / f"{system}.json").read_text())


@pytest.mark.learning
@pytest.mark.parametrize("system", sorted(LEARNING))
def test_results_belong_to_this_code(system):
    plan, made = LEARNING[system], result(system)
    stale = [name for name, now in (("config_hash", config_hash(plan.variant)), ("code_hash", code_hash(plan.code)),
                                    ("drawing_hash", code_hash(plan.drawing)), ("corpus", list(plan.corpus)),
                                    ("seeds", list(SEEDS)))
             if made[name] != now]
    assert stale != ["drawing_hash"], f"perhaps draws the same: python -m benchmarks.learn {system} --confirm"
    assert not stale, f"{stale} changed since the result was made; run: {made['command']}"


@pytest.mark.learning
def test_temporal_gan_clears_its_bars_on_every_seed():
    for paired in result("temporal_gan")["paired_per_seed"]:
        for name, bar in (("mouth_psnr_vs_copy_first_frame", 2.0), ("mouth_psnr_vs_shuffled_audio", 1.0),
                          ("psnr_vs_copy_first_frame", 0.0)):
            assert paired[name]["mean"] >= bar, name
            assert paired[name]["ci95"][0] > 0 and paired[name]["ci95_speakers"][0] > 0, name


@pytest.mark.learning
def test_temporal_gan_is_above_every_control():
    rows = result("temporal_gan")["rows"]
    for control in ("copy_first_frame", "wrong_audio", "silent_audio"):
        for metric in ("mouth_psnr", "lip_gap_r"):
            assert rows["ours"][metric]["mean"] > rows[control][metric]["mean"], (control, metric)


def test_comments_do_not_make_a_result_stale_and_code_does(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.learn.ROOT", tmp_path)
    hashes = []
    for source in ('def f():\n    """Old."""\n    return 1\n', 'def f():  # new\n    """New."""\n    return 1\n',
                   "def f():\n    return 2\n"):
        (tmp_path / "code.py").write_text(source)
        hashes.append(code_hash(("code.py",)))
    assert hashes[0] == hashes[1] != hashes[2]
