"""Whole runs of the toy system: killed and resumed, through two stages, stopped by signals, stopped early."""

import json
from pathlib import Path

import pytest
from conftest import assert_same_run, contents, log_of

from thjax.checkpoint import load_run, store

pytestmark = pytest.mark.multi_process


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """The run that was never killed: 12 steps, a checkpoint every 2, validation every 4."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert toy.here(out) == 0
    return out


@pytest.mark.parametrize(
    "end",
    [
        "kill:feed:6",
        "kill:orbax:2",
        *(pytest.param(end, marks=pytest.mark.thorough)
          for end in ("kill:rename:4", "kill:feed:11", "kill:seal:30", "kill:forget:5")),
    ],
)
def test_a_killed_run_resumes_to_the_bits_of_the_run_never_killed(toy, whole, tmp_path, end):
    killed = toy.apart(tmp_path / "run", end=end)
    assert killed.returncode == -9, killed.stderr
    left = store.steps(tmp_path / "run")
    assert all(store.verify(store.step_directory(tmp_path / "run", step)) for step in left)
    assert 12 not in left
    assert toy.here(tmp_path / "run") == 0
    assert_same_run(tmp_path / "run", whole, 12)
    assert store.steps(tmp_path / "run") == [10, 12]
    assert not list(store.checkpoints(tmp_path / "run").glob(".*"))


def test_one_program_is_compiled_for_the_whole_run(toy, tmp_path, monkeypatch):
    from thjax.train import command, loop

    loops = []
    monkeypatch.setattr(
        loop.Loop, "train", lambda self, accept, train=loop.Loop.train: loops.append(self) or train(self, accept)
    )
    assert toy.here(tmp_path / "run", "--train.steps", 6) == 0
    assert loops[0].compilations == {"gan": 1}
    assert command.run(toy.arguments(tmp_path / "run")[1:]) == 0
    assert loops[1].compilations == {"gan": 1}


@pytest.mark.parametrize(
    "end, in_stage", [pytest.param("kill:orbax:3", "warm", marks=pytest.mark.thorough), ("kill:feed:9", "gan")]
)
def test_a_run_of_two_stages_is_resumed_across_the_border(toy, tmp_path, tmp_path_factory, end, in_stage):
    whole = tmp_path_factory.getbasetemp() / "two_stages_whole"
    if not whole.exists():
        assert toy.here(whole, variant="two_stages") == 0
    killed = toy.apart(tmp_path / "run", variant="two_stages", end=end)
    assert killed.returncode == -9, killed.stderr
    assert store.newest_intact(tmp_path / "run").stage == in_stage
    assert toy.here(tmp_path / "run", variant="two_stages") == 0
    assert_same_run(tmp_path / "run", whole, 11)
    arrays, record = contents(whole, 11)
    assert (record["stage"], record["stage_step"], record["position"]) == ("gan", 6, 24)
    # 5 updates in the first stage, every second step, and 6 in the second with the same optimizer.
    assert arrays[".nets['landmarks'].opt_state[0].count"] == 3 + 6


@pytest.mark.parametrize("name, code", [("term", 143), pytest.param("int", 130, marks=pytest.mark.thorough)])
def test_a_signal_saves_prints_the_way_on_and_exits(toy, whole, tmp_path, name, code):
    stopped = toy.apart(tmp_path / "run", end=f"{name}:feed:6")
    assert stopped.returncode == code, stopped.stderr
    step = store.steps(tmp_path / "run")[-1]
    assert step == 6  # the signal comes before batch 6; that step is finished and saved
    assert f"step {step}" in stopped.stderr
    assert f"thjax train toy:demo --data {toy.corpus} --out {tmp_path / 'run'}" in stopped.stderr
    assert toy.here(tmp_path / "run") == 0
    assert_same_run(tmp_path / "run", whole, 12)


def test_a_signal_while_the_run_is_put_together_counts(toy, tmp_path):
    stopped = toy.apart(tmp_path / "run", end="term:assemble:1")
    assert stopped.returncode == 143, stopped.stderr
    assert "stopped and saved at step 0" in stopped.stderr and "thjax train toy:demo" in stopped.stderr
    assert store.steps(tmp_path / "run") == [0]


def test_a_signal_during_validation_leaves_it_for_the_resumed_run(toy, whole, tmp_path, monkeypatch):
    from thjax.train import signals, validation

    run, asked = validation.Validation.run, []

    def interrupted(self, state, pending=None):
        asked.append(1)
        return None if len(asked) == 2 else run(self, state)

    monkeypatch.setattr(validation.Validation, "run", interrupted)
    pending = signals.Interruption.pending

    def signalled(self, step):
        if len(asked) == 2:
            self.signal = signals.signal.SIGTERM
        return pending(self, step)

    monkeypatch.setattr(signals.Interruption, "pending", signalled)
    assert toy.here(tmp_path / "run") == 143
    monkeypatch.undo()
    assert [entry["step"] for entry in log_of(tmp_path / "run") if entry["kind"] == "validation"] == [4]
    assert toy.here(tmp_path / "run") == 0
    assert_same_run(tmp_path / "run", whole, 12)


def test_steps_caps_a_run_and_moves_no_schedule(toy, whole, tmp_path):
    assert toy.here(tmp_path / "run", "--train.steps", 5) == 0
    assert store.steps(tmp_path / "run")[-1] == 5
    assert toy.here(tmp_path / "run", "--train.steps", 5) == 0
    assert store.steps(tmp_path / "run")[-1] == 5
    assert toy.here(tmp_path / "run", "--train.steps", 12) == 0
    (arrays, _), (expected, _) = contents(tmp_path / "run", 12), contents(whole, 12)
    assert all(arrays[name].tobytes() == value.tobytes() for name, value in expected.items())
    assert log_of(tmp_path / "run") == log_of(whole)


def test_speed_and_reporting_may_change_while_resuming(toy, whole, tmp_path):
    assert toy.here(tmp_path / "run", "--train.steps", 5) == 0
    assert (
        toy.here(
            tmp_path / "run",
            "--train.checkpoint_every",
            3,
            "--train.log_every",
            2,
            "--loader.prefetch",
            1,
            "--train.keep",
            5,
            "--parallel.executor",
            "shard_map",
        )
        == 0
    )
    assert store.steps(tmp_path / "run") == [4, 5, 6, 9, 12]
    assert contents(tmp_path / "run", 12)[1]["position"] == 48


def test_evaluations_leave_training_alone(toy, whole, tmp_path):
    assert toy.here(tmp_path / "run", "--train.evaluate_every", 3) == 0
    (arrays, _), (expected, _) = contents(tmp_path / "run", 12), contents(whole, 12)
    assert all(arrays[name].tobytes() == value.tobytes() for name, value in expected.items())


def test_patience_ends_the_stage_and_the_best_is_kept(toy, tmp_path, whole):
    options = ("--toy.rate", 0.2, "--train.evaluate_every", 2, "--toy.patience", 3.0)
    assert toy.here(tmp_path / "run", *options, variant="patience") == 0
    values = {
        entry["step"]: entry["reconstruction/l1"] for entry in log_of(tmp_path / "run") if entry["kind"] == "validation"
    }
    best = min(values, key=values.get)
    last = max(values)
    assert last == best + 6 < 100  # three epochs of two batches each
    record = store.newest_intact(tmp_path / "run")
    assert (record.step, record.bookkeeping["best_step"], record.bookkeeping["ended"]) == (last, best, True)
    assert record.bookkeeping["best_value"] == values[best]
    assert best in store.steps(tmp_path / "run")
    assert load_run(tmp_path / "run", "best").step == best
    assert load_run(tmp_path / "run", "latest").step == last
    killed = toy.apart(tmp_path / "killed", *options, variant="patience", end=f"kill:feed:{best + 2}")
    assert killed.returncode == -9, killed.stderr
    assert toy.here(tmp_path / "killed", *options, variant="patience") == 0
    assert_same_run(tmp_path / "killed", tmp_path / "run", last)


def test_every_evaluation_leaves_a_strip_and_a_film(whole):
    from PIL import Image

    assert sorted(int(path.name) for path in (whole / "evaluations").iterdir()) == [4, 8, 12]
    with Image.open(whole / "evaluations" / "8" / "strip.png") as strip:
        # 3 clips high; a still, 4 frames of truth and 4 generated ones wide, with 2 gaps of 2 pixels.
        assert strip.size == (9 * 16 + 4, 3 * 16)
    av = pytest.importorskip("av")
    with av.open(str(whole / "evaluations" / "8" / "sample.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 20 and frames[0].shape == (16, 32, 3)


def test_the_run_says_what_it_is(whole, toy):
    content = json.loads((whole / "config.json").read_text())
    assert content["config"]["toy"]["steps"] == 12
    assert content["stages"] == {"gan": {"batches_per_epoch": 2, "steps": 12, "patience_steps": None}}
    assert content["manifest_hash"] == store.newest_intact(whole).manifest_hash
    assert [Path(part["directory"]) for part in content["data"]] == [toy.corpus]


def test_a_finished_run_started_again_has_nothing_to_do(toy, whole):
    before = log_of(whole), contents(whole, 12)[1]
    assert toy.here(whole) == 0
    assert (log_of(whole), contents(whole, 12)[1]) == before
