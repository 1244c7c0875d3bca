"""Saving and loading: what is kept, what fails, what `load_run` gives."""

import errno

import jax
import numpy as np
import pytest
from conftest import contents

from data_pipelines.manifest import Manifest
from thjax.checkpoint import store
from thjax.core.errors import UserError
from thjax.train.checkpoint import load_run


def test_load_run_gives_averaged_weights_unless_told_otherwise(toy, tmp_path):
    out = tmp_path / "run"
    assert toy.here(out) == 0
    arrays, record = contents(out, 12)
    run = load_run(out)
    assert (run.step, run.stage, run.manifest_hash) == (12, "gan", record["manifest_hash"])
    assert run.stats == {"records": Manifest.load(toy.corpus).content["splits"]["train"]["records"]}
    assert run.config.variant == "demo" and sorted(run.nets) == ["discriminator", "generator", "landmarks"]
    bias = "['Dense_0']['bias']"
    averaged = run.nets["generator"].params["Dense_0"]["bias"]
    raw = load_run(out, "latest", ema=False)
    assert "generator" in run.averaged and raw.averaged == ()
    plain = raw.nets["generator"].params["Dense_0"]["bias"]
    assert np.array_equal(averaged, arrays[f".ema['generator']{bias}"])
    assert np.array_equal(plain, arrays[f".nets['generator'].params{bias}"])
    assert not np.array_equal(averaged, plain)
    assert run.nets["generator"].opt_state == ()
    assert load_run(out, 10).step == 10


def test_load_run_says_what_is_wrong(toy, tmp_path):
    with pytest.raises(UserError, match="no checkpoint in .*nowhere: the directory does not exist"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no checkpoint in .*`thjax train SYSTEM:VARIANT"):
        load_run(tmp_path)
    out = tmp_path / "run"
    assert toy.here(out, "--train.steps", 4) == 0
    with pytest.raises(UserError, match=r"no checkpoint of step 3 in .*; it has \[2, 4\]"):
        load_run(out, 3)
    with pytest.raises(UserError, match="use 'best', 'latest' or a step"):
        load_run(out, "finest")
    (store.step_directory(out, 4) / "sha256.json").unlink()
    assert load_run(out, "latest").step == 2
    with pytest.raises(UserError, match="checkpoint 4 of .* is broken: .*sha256.json is missing"):
        load_run(out, 4)


@pytest.mark.parametrize("place", ["before", "orbax", "seal"])
def test_a_full_disk_is_said_and_leaves_no_half(toy, tmp_path, monkeypatch, capsys, place):
    from thjax.train import checkpoint

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "run"
    assert toy.here(out, "--train.steps", 2) == 0
    if place == "before":
        usage = checkpoint.shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: usage)
    elif place == "orbax":
        monkeypatch.setattr(checkpoint.ocp, "save_checkpointables_async", full)
    else:
        monkeypatch.setattr(store, "seal", full)
    assert toy.here(out) == 2
    message = capsys.readouterr().err
    assert "the checkpoint of step 4 could not be written" in message and "No space left on device" in message
    assert "the newest checkpoint is that of step 2" in message
    assert store.steps(out) == [2]
    monkeypatch.undo()
    assert toy.here(out) == 0
    assert store.steps(out) == [10, 12]


def test_a_disk_too_full_for_the_logs_is_said(toy, tmp_path, monkeypatch, capsys):
    from thjax.train import writers

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writers.Logs, "write", full)
    assert toy.here(tmp_path / "run") == 2
    assert f"{tmp_path / 'run'} could not be written: No space left on device" in capsys.readouterr().err


def test_a_directory_that_cannot_be_written_is_said(toy, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert toy.here(tmp_path / "file" / "run") == 2
    assert f"--out {tmp_path / 'file' / 'run'} cannot be written: Not a directory" in capsys.readouterr().err


def test_two_processes_do_not_train_in_one_directory(toy, tmp_path, capsys):
    import fcntl

    (tmp_path / "run").mkdir()
    with open(tmp_path / "run" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert toy.here(tmp_path / "run") == 2
    assert "another process trains in" in capsys.readouterr().err


def test_the_newest_and_the_best_are_kept(tmp_path):
    from thjax.engine import NetState, TrainState
    from thjax.engine.guard import init_guard
    from thjax.train.checkpoint import Saver

    saver = Saver(tmp_path, keep=2)
    bests = {1: 1, 2: 2, 3: 2, 4: 2, 5: 2, 6: 6, 7: 6, 8: 6}
    kept = {}
    for step, best in bests.items():
        nets = {"n": NetState(params={"w": jax.numpy.full(3, step)})}
        number = jax.numpy.int32(step)
        state = TrainState(step=number, stage_step=number, nets=nets, ema={}, ema_updates={}, guard=init_guard(1))
        saver.save(state, store.Record(step, "s", step, step, {"best_step": best}, {}, {}, "", {}, 1, {}))
        saver.wait()
        kept[step] = store.steps(tmp_path)
    saver.close()
    assert kept == {1: [1], 2: [1, 2], 3: [2, 3], 4: [2, 3, 4], 5: [2, 4, 5], 6: [2, 5, 6], 7: [6, 7], 8: [6, 7, 8]}
