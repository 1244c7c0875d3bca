"""The checkpoint directory: intact, truncated, altered, set aside, swept."""

import dataclasses
import json

import numpy as np
import pytest

from thjax.checkpoint import store
from thjax.core import files
from thjax.core.errors import UserError

RECORD = store.Record(
    step=3,
    stage="a",
    stage_step=3,
    position=12,
    bookkeeping={"best_step": 2},
    config={"x": 1},
    statistics={},
    manifest_hash="m",
    pretrained={},
    usable_cores=2,
    versions={},
)


def write(run, step):
    directory = store.step_directory(run, step)
    (directory / "state").mkdir(parents=True)
    (directory / "state" / "array").write_bytes(bytes(range(200)))
    store.seal(directory, dataclasses.replace(RECORD, step=step))
    return directory


def test_an_intact_checkpoint_gives_its_record_back(tmp_path):
    assert store.verify(write(tmp_path, 3)) == RECORD
    hashes = json.loads((tmp_path / "checkpoints/3/sha256.json").read_text())
    assert sorted(hashes) == ["record.json", "state/array"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "record", "hashes", "no_hashes"])
def test_damage_is_found_set_aside_and_the_one_before_is_used(tmp_path, damage, caplog):
    write(tmp_path, 2)
    broken = write(tmp_path, 3)
    array = broken / "state" / "array"
    if damage == "truncate":
        array.write_bytes(array.read_bytes()[:150])
    elif damage == "flip":
        array.write_bytes(array.read_bytes()[:-1] + b"\0")
    elif damage == "delete":
        array.unlink()
    elif damage == "record":
        (broken / "record.json").write_text((broken / "record.json").read_text().replace('"m"', '"n"'))
    elif damage == "hashes":
        (broken / "sha256.json").write_text("{")
    else:
        (broken / "sha256.json").unlink()
    with pytest.raises(store.BrokenCheckpoint):
        store.verify(broken)
    assert store.newest_intact(tmp_path).step == 2
    assert store.steps(tmp_path) == [2, 3]  # only looked at
    assert store.newest_intact(tmp_path, keep_broken_in_place=False).step == 2
    assert store.steps(tmp_path) == [2]
    assert (tmp_path / "checkpoints" / "3.broken").is_dir()
    assert "checkpoint 3 is broken, set aside as 3.broken" in caplog.text
    broken = write(tmp_path, 3)
    assert store.newest_intact(tmp_path).step == 3
    (broken / "sha256.json").unlink()
    store.newest_intact(tmp_path, keep_broken_in_place=False)
    assert (tmp_path / "checkpoints" / "3.broken-2").is_dir()


def test_no_checkpoint_is_none(tmp_path):
    assert store.newest_intact(tmp_path) is None
    assert store.steps(tmp_path) == []


def test_another_layout_is_refused(tmp_path):
    directory = store.step_directory(tmp_path, 3)
    directory.mkdir(parents=True)
    store.seal(directory, dataclasses.replace(RECORD, version=99))
    with pytest.raises(UserError, match=f"layout 99; this version of thjax reads {store.VERSION}"):
        store.verify(directory)


def test_sweep_clears_what_a_kill_left(tmp_path):
    write(tmp_path, 2)
    directory = store.checkpoints(tmp_path)
    (directory / ".4.saving").mkdir()
    (directory / ".1.deleted").mkdir()
    write(tmp_path, 3).rename(directory / ".3.replaced")
    store.sweep(tmp_path)
    assert sorted(path.name for path in directory.iterdir()) == ["2", "3"]
    assert store.newest_intact(tmp_path).step == 3


def test_statistics_survive_json_to_the_bit():
    tree = {
        "mean": np.array([0.1, 1 / 3], np.float32),
        "deep": {"edges": np.linspace(0, 1, 7)},
        "n": 3,
        "names": ["a"],
        "scalar": np.float32(0.7),
        "counts": np.array([[2**60]], np.int64),
    }
    back = store.unpack(json.loads(json.dumps(store.pack(tree))))
    for name in ("mean", "counts", "scalar"):
        assert back[name].dtype == tree[name].dtype and back[name].tobytes() == tree[name].tobytes()
        assert back[name].shape == tree[name].shape
    assert back["deep"]["edges"].tobytes() == tree["deep"]["edges"].tobytes()
    assert (back["n"], back["names"]) == (3, ["a"])


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
