"""Timing and tables of the benchmarks: what is measured, and that the README holds what the results say."""

import json
import subprocess
import sys

import numpy as np

from benchmarks import feed, table, timing
from tests.data_pipelines.toy_corpus import write_toy_corpus


def test_every_run_is_timed_as_often_and_in_turn():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    seconds = timing.interleave(runs, rounds=3)
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
    assert order == 4 * list("aabb")  # timed the second time; one round more, thrown away: it may compile


def test_the_median_ignores_an_outlier_and_has_an_interval():
    figure = timing.median([1.0, 2.0, 3.0, 4.0, 100.0], scale=10)
    assert figure["mean"] == 30 and figure["n"] == 5
    assert figure["ci95"][0] <= 30 <= figure["ci95"][1]


def test_tables_hold_what_the_results_say(tmp_path, monkeypatch):
    result = {"command": "python -m benchmarks.none", "about": {"cores": 2}, "rows": {
        "ours": {"milliseconds": {"mean": 12.345, "ci95": [12.0, 13.0], "n": 5}, "ratio": timing.number(0.91)},
        "torch": {"milliseconds": {"mean": 13.6, "ci95": [13.0, 14.0], "n": 5}},
    }}
    (tmp_path / "none.json").write_text(json.dumps(result))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    monkeypatch.setattr(table, "README", readme)
    table.main()
    text = readme.read_text()
    assert "old" not in text and text.startswith("before") and text.endswith("after\n")
    assert "| ours | 12.3 [12, 13] | 0.91 |" in text and "| torch | 13.6 [13, 14] |  |" in text
    table.main()
    assert readme.read_text() == text


def test_the_committed_figures_of_the_feed_are_of_todays_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(feed, "ROUNDS", 1)
    made = feed.measure(write_toy_corpus(tmp_path / "toy", size=96).directory, 1)
    committed = json.loads((timing.RESULTS / "feed.json").read_text())
    assert list(committed["rows"]) == list(made["rows"])
    assert committed["command"] == "python -m benchmarks.feed"  # of a corpus that it renders itself


def test_the_committed_figures_of_sampling_are_as_good_as_was_asked():
    rows = json.loads((timing.RESULTS / "sampling.json").read_text())["rows"]
    for frames in (300, 750):
        assert rows[f"s, {frames} frames"]["torch / ours"]["mean"] >= 2
    for frames in (2_000, 10_000):
        assert 0.85 <= rows[f"s, {frames} frames"]["of the shortest"]["mean"] <= 1.15


def test_the_step_is_timed_without_the_data_room():
    """The machine with a GPU has jax and torch, but neither readers nor a command line."""
    code = """
import sys
for name in ("grain", "array_record", "simplejpeg", "tyro", "librosa", "numba", "av", "tensorboardX"):
    sys.modules[name] = None
from benchmarks import train_step
import thjax.systems
config = train_step.sized("synthetic", "gpu", "bf16")
print(config.data.window, [stage.name for stage in thjax.systems.build(config).stages])
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert made.stdout.strip() == "75 ['adversarial']", made.stderr


def test_the_batch_that_is_timed_is_the_loaders():
    from benchmarks.train_step import random_batch, sized
    from data_pipelines.schema import BATCH_FIELDS

    batch = random_batch(sized("demo", "cpu", "f32"))
    assert all(value.dtype == BATCH_FIELDS[name].dtype for name, value in batch.items())
    assert np.isfinite(batch["landmarks"]).all()
