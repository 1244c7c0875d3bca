"""What may change when a run is resumed."""

import dataclasses

import pytest
from conftest import contents, log_of

from thjax.checkpoint import store
from thjax.core.config import FREE_ON_RESUME
from thjax.train import resume


def test_changed_keys():
    old = {"toy": {"rate": 1, "gone": 2}, "train": {"steps": 5}, "seed": 0}
    new = {"toy": {"rate": 3}, "train": {"steps": 9}, "seed": 0, "new": [1]}
    assert resume.changed_keys(old, new) == {"toy.rate": (1, 3), "toy.gone": (2, "(absent)"), "new": ("(absent)", [1])}


def test_free_keys_exist():
    from configs.toy import get_config

    from thjax.checkpoint import config_io

    assert set(FREE_ON_RESUME) <= set(config_io.flatten(config_io.to_dict(get_config("demo"))))


@pytest.fixture(scope="module")
def started(toy, tmp_path_factory):
    """A run of 4 steps."""
    out = tmp_path_factory.mktemp("started") / "run"
    assert toy.here(out, "--train.steps", 4) == 0
    return out


def copy_of(started, tmp_path):
    import shutil

    return shutil.copytree(started, tmp_path / "run")


def test_a_change_is_named_and_accepted_on_demand(toy, started, tmp_path, capsys):
    out = copy_of(started, tmp_path)
    assert toy.here(out, "--toy.rate", "2e-3", "--data.batch", 2) == 2
    message = capsys.readouterr().err
    assert "data.batch: 4 -> 2" in message and "toy.rate: 0.001 -> 0.002" in message and "--accept_changes" in message
    assert "train.steps" not in message
    assert toy.here(out, "--toy.rate", "2e-3", "--data.batch", 2, "--accept_changes") == 0
    assert contents(out, 12)[1]["config"]["toy"]["rate"] == 2e-3
    assert contents(out, 12)[1]["position"] == 24


def test_a_finished_run_goes_on_when_its_end_is_moved(toy, tmp_path, capsys):
    out = tmp_path / "run"
    assert toy.here(out, "--toy.steps", 4) == 0
    assert toy.here(out, "--toy.steps", 8) == 2
    assert "toy.steps: 4 -> 8" in capsys.readouterr().err
    assert toy.here(out, "--toy.steps", 8, "--accept_changes") == 0
    assert contents(out, 8)[1]["config"]["toy"]["steps"] == 8
    assert "finished at step 8" in capsys.readouterr().out
    assert toy.here(out, "--toy.steps", 8) == 0


def test_another_corpus_is_a_change(toy, started, tmp_path, capsys):
    from toy_corpus import write_toy_corpus

    write_toy_corpus(tmp_path / "other", size=16, seed=1)
    other = dataclasses.replace(toy, corpus=tmp_path / "other")
    out = copy_of(started, tmp_path)
    assert other.here(out) == 2
    assert "the corpus (hash of its manifest):" in capsys.readouterr().err


def test_another_number_of_cores_is_said(toy, started, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(resume, "usable_cores", lambda: 77)
    assert toy.here(copy_of(started, tmp_path)) == 0
    assert f"this run used {store.newest_intact(started).usable_cores} CPU cores and now has 77" in caplog.text


def test_a_position_that_contradicts_the_step_is_refused(toy, started, tmp_path, capsys):
    out = copy_of(started, tmp_path)
    directory = store.step_directory(out, 4)
    store.seal(directory, dataclasses.replace(store.verify(directory), position=17))
    reseal(directory)
    assert toy.here(out) == 2
    assert "consumed 17 examples, but 4 steps of 4 are 16" in capsys.readouterr().err


def reseal(directory):
    """Hashes without the file of hashes itself."""
    (directory / "sha256.json").unlink()
    store.seal(directory, store.read_record(directory))


@pytest.mark.parametrize("damage", ["truncate", "alter"])
def test_a_damaged_newest_checkpoint_is_set_aside_and_its_step_saved_again(toy, started, tmp_path, damage, caplog):
    out = copy_of(started, tmp_path)
    largest = max(
        store.step_directory(out, 4).rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0
    )
    content = bytearray(largest.read_bytes())
    if damage == "alter":
        content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content[: len(content) // 2] if damage == "truncate" else content)
    assert toy.here(out, "--train.keep", 9) == 0
    assert "checkpoint 4 is broken, set aside as 4.broken" in caplog.text
    assert store.steps(out) == [2, 4, 6, 8, 10, 12]
    assert (out / "checkpoints" / "4.broken").is_dir()
    whole = tmp_path / "whole"
    assert toy.here(whole) == 0
    (arrays, _), (expected, _) = contents(out, 12), contents(whole, 12)
    assert all(arrays[name].tobytes() == value.tobytes() for name, value in expected.items())
    assert log_of(out) == log_of(whole)
