"""Planted values that are not finite, from the corpus or the weights to the message on the terminal."""

import numpy as np
import pytest
from conftest import contents, log_of

from thjax.checkpoint import store


@pytest.fixture
def planted_clip(monkeypatch):
    """A landmark that is not a number, in one clip of the third batch; returns the clip's key."""
    from data_pipelines.loader import Loader

    clean, keys = Loader.batch_at, []

    def batch_at(self, stage_step, out=None):
        batch = clean(self, stage_step, out)
        if stage_step == 2:
            batch["landmarks"] = batch["landmarks"].copy()
            batch["landmarks"][1, 0, 60, 0] = np.nan
            keys.append(self.describe(batch["example_id"][1:2])[0])
        return batch

    monkeypatch.setattr(Loader, "batch_at", batch_at)
    return keys


def plant_in_parameter(monkeypatch, call):
    """A parameter that is not a number, before the step with this number."""
    from thjax.parallel import executors

    step, calls = executors.JitExecutor.step, iter(range(1, 1000))

    def planted(self, state, batch, key):
        if next(calls) == call:
            net = state.nets["generator"]
            params = {
                **net.params,
                "Dense_0": {**net.params["Dense_0"], "bias": net.params["Dense_0"]["bias"] + np.nan},
            }
            state = state.replace(nets={**state.nets, "generator": net.replace(params=params)})
        return step(self, state, batch, key)

    monkeypatch.setattr(executors.JitExecutor, "step", planted)


def test_a_bad_label_stops_the_run_and_names_step_clip_and_field(toy, tmp_path, planted_clip, monkeypatch, capsys):
    assert toy.here(tmp_path / "run") == 1
    message = capsys.readouterr().err
    assert f"step 3 is not finite: inputs that are not finite: {planted_clip[0]} (landmarks)" in message
    assert "saved as step 2" in message and "--guard.on_bad skip" in message
    assert store.steps(tmp_path / "run") == [2]
    monkeypatch.undo()
    assert toy.here(tmp_path / "clean", "--train.steps", 2) == 0
    (arrays, record), (expected, expected_record) = contents(tmp_path / "run", 2), contents(tmp_path / "clean", 2)
    assert all(arrays[name].tobytes() == value.tobytes() for name, value in expected.items())
    assert record["bookkeeping"] == expected_record["bookkeeping"]


def test_the_state_before_is_saved_where_no_checkpoint_was_due(toy, tmp_path, planted_clip, monkeypatch):
    assert toy.here(tmp_path / "run", "--train.checkpoint_every", 100) == 1
    assert store.steps(tmp_path / "run") == [2]
    assert toy.here(tmp_path / "run", "--train.checkpoint_every", 100) == 1  # the same clip again
    assert store.steps(tmp_path / "run") == [2]
    monkeypatch.undo()
    assert toy.here(tmp_path / "run") == 0  # the clip is mended
    assert toy.here(tmp_path / "clean") == 0
    (arrays, _), (expected, _) = contents(tmp_path / "run", 12), contents(tmp_path / "clean", 12)
    assert all(arrays[name].tobytes() == value.tobytes() for name, value in expected.items())


def test_a_bad_parameter_names_the_whole_batch(toy, tmp_path, monkeypatch, capsys):
    plant_in_parameter(monkeypatch, 5)
    assert toy.here(tmp_path / "run", "--train.checkpoint_every", 3) == 1
    message = capsys.readouterr().err
    assert (
        "step 5 is not finite: all inputs are finite, and batch statistics mix clips; the whole batch: toy/" in message
    )
    assert message.split("the whole batch: ")[1].splitlines()[0].count("toy/") == 4
    assert "networks ['generator'] already held values that are not finite" in message
    assert store.steps(tmp_path / "run") == [3]
    monkeypatch.undo()
    assert toy.here(tmp_path / "run", "--train.checkpoint_every", 3) == 0


def test_a_bad_step_may_be_skipped(toy, tmp_path, planted_clip, capsys):
    assert toy.here(tmp_path / "run", "--guard.on_bad", "skip") == 0
    assert f"warning: step 3 is not finite: inputs that are not finite: {planted_clip[0]}" in capsys.readouterr().out
    arrays, _ = contents(tmp_path / "run", 12)
    assert arrays[".guard.bad_steps"] == 1 and arrays[".step"] == 12
    assert [entry["bad_steps"] for entry in log_of(tmp_path / "run") if entry["kind"] == "train"] == [0, 0] + [1] * 10


def test_spikes_are_counted_and_stop_the_run_after_so_many_in_a_row(toy, tmp_path, monkeypatch, capsys):
    from data_pipelines.loader import Loader

    clean = Loader.batch_at

    def batch_at(self, stage_step, out=None):
        batch = clean(self, stage_step, out)
        # A spike is called after 20 steps at the earliest. Step 23 is one, and every step from 25 on.
        large = 1000 if stage_step == 22 or stage_step >= 24 else 1
        return batch | {"landmarks": batch["landmarks"] * np.float32(large)}

    monkeypatch.setattr(Loader, "batch_at", batch_at)
    options = (
        "--toy.steps",
        40,
        "--guard.spike_factor",
        5,
        "--train.evaluate_every",
        0,
        "--train.checkpoint_every",
        100,
    )
    assert toy.here(tmp_path / "run", *options, "--guard.max_spikes", 3) == 1
    output = capsys.readouterr()
    assert "warning: step 23 is a spike: gradient norm" in output.out
    assert "step 27 is a spike" in output.err and "--guard.max_spikes (3 in a row were reached)" in output.err
    assert store.steps(tmp_path / "run") == [26]
    arrays, _ = contents(tmp_path / "run", 26)
    assert (arrays[".guard.spikes"], arrays[".guard.spikes_in_row"], arrays[".guard.halted"]) == (3, 2, False)
    assert toy.here(tmp_path / "run", *options, "--guard.max_spikes", 4) == 2
    assert "guard.max_spikes: 3 -> 4" in capsys.readouterr().err
    assert toy.here(tmp_path / "run", *options, "--guard.max_spikes", 4, "--accept_changes") == 1
    assert store.steps(tmp_path / "run") == [26, 27]
