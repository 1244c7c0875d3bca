"""What can be done with prepared records: check them, show them, give them back, take a speaker out."""

import concurrent.futures
import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from data_pipelines import command, media, records
from data_pipelines.manifest import Manifest
from data_pipelines.prepare import card, export, remove
from data_pipelines.prepare import plan as planning
from data_pipelines.prepare.verify import problems
from data_pipelines.readers import READERS
from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader
from tests.data_pipelines.prepare.conftest import bytes_of, planned, prepared
from tests.data_pipelines.prepare.filming import film
from tests.data_pipelines.toy_corpus import write_toy_corpus


@pytest.fixture
def own(corpus, tmp_path):
    return shutil.copytree(corpus, tmp_path / "own")


def found(directory, decode=False):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return problems(Manifest.load(directory), decode, pool)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_verify_finds_everything_that_is_wrong(own, capsys):
    assert found(own, decode=True) == []
    shards = sorted(own.glob("*.array_record"))
    for shard in shards[:2]:
        flip(shard, shard.stat().st_size // 2)
    flip(own / "manifest.jsonl", 5)
    said = found(own)
    assert [any(path.name in text for text in said) for path in (*shards, own / "manifest.jsonl")] == [1, 1, 0, 1]
    assert all("rerun `" in text for text in said) and len(said) == 3
    assert command.run(["verify", "--data", str(own), "--workers", "1"]) == 1
    assert "3 problems" in capsys.readouterr().out


def test_verify_finds_a_clip_that_vanished_from_the_counts(own):
    path = own / "dataset.json"
    content = json.loads(path.read_text())
    content["counts"]["written"] -= 1
    path.write_text(json.dumps(content))
    assert [text.split(";")[0] for text in found(own)] == [
        "manifest.jsonl has 16 clips that are ok, dataset.json 15",
        "19 clips were discovered and 18 are accounted for"]


def test_the_card_says_what_is_there_and_the_sheets_show_it(own, capsys):
    assert command.run(["stats", "--data", str(own)]) == 0
    text = (own / "card" / "card.md").read_text()
    assert capsys.readouterr().out == text
    manifest = Manifest.load(own)
    frames = manifest.content["splits"]["train"]["frames"]
    assert f"| train | {frames / 90000:.3f} | 8 | 8 | 2 | 0.00% |" in text
    assert "19 clips discovered = 16 written + 3 quarantined + 0 excluded by the split + 0 removed." in text
    assert "| 1 | no_audio | no sound, neither its own nor beside it |" in text and "Labels: none." in text
    assert f"Licence: {READERS['folder'].licence}\n" in text and manifest.content["licence"] in text
    assert len(list((own / "card").glob("*.jpg"))) == 3
    with Image.open(next((own / "card").glob("*train*.jpg"))) as sheet:
        assert sheet.size == (6 * 16, 2 * 16)


def _middle(manifest, shard):
    """Labels of the frame that the sheet shows first."""
    record = records.decode(ShardReader([manifest.directory / shard["name"]]).read(0, 0))
    return {name: record[name][record["n"] // 2] for name in ("landmarks", "face_ok")}


def test_sheets_mark_landmarks_and_masked_frames(tmp_path, monkeypatch):
    manifest = write_toy_corpus(tmp_path, size=64, frames=5)
    shard = manifest.content["shards"][0]
    plain = np.asarray(card.sheet(manifest, shard))[:64, :64].astype(int)
    box = (np.abs(plain - card._BOX).max(-1) < 8).sum()
    assert box > 100  # two sides of about 38 pixels, twice
    points = _middle(manifest, shard)["landmarks"].astype(int)
    seen = np.abs(plain[points[:, 1], points[:, 0]] - card._POINT).max(-1) < 8
    assert seen.all() and len(np.unique(points, axis=0)) > 60
    red = np.abs(plain - card._MASKED).max(-1) < 8
    assert not red.any()
    decode = records.decode
    monkeypatch.setattr(card.records, "decode", lambda data: {**(record := decode(data)), "face_ok":
                                                              np.zeros_like(record["face_ok"])})
    masked = np.asarray(card.sheet(manifest, shard))[:64, :64].astype(int)
    red, border = np.abs(masked - card._MASKED).max(-1) < 8, np.ones((64, 64), bool)
    border[3:-3, 3:-3] = False
    assert (red == border).all() and not (np.abs(masked - card._BOX).max(-1) < 8).any()
    monkeypatch.undo()
    text = card.write(manifest, tmp_path / "card", sheets=0)
    assert "landmarks (exact)" in text and "| au AU01 |" in text and "| blink blink |" in text
    assert not list((tmp_path / "card").glob("*.jpg"))


def test_exported_files_hold_the_clip(tmp_path):
    manifest = write_toy_corpus(tmp_path / "toy", frames=(110,), speakers=3, clips=1, size=32)
    assert command.run(["export", "--data", str(manifest.directory), "--out", str(tmp_path / "out"),
                        "--speaker", "s00"]) == 0
    stem = tmp_path / "out" / "toy" / "s00" / "c00"
    assert sorted(path.name for path in stem.parent.iterdir()) == ["c00.csv", "c00.identity.csv", "c00.mp4",
                                                                       "c00.wav"]
    reader = ShardReader([manifest.directory / shard["name"] for shard in manifest.content["shards"]])
    rows = manifest.rows("train")
    parts = [records.decode(reader.read(int(manifest.index["shard"][row]), int(manifest.index["offset"][row])))
             for row in rows]
    sound = np.concatenate([part["audio"][3200:-3200] for part in parts])
    np.testing.assert_array_equal(media.read_audio(stem.with_suffix(".wav")), sound)
    frames = np.concatenate([records.decode_frames(part, range(part["n"])) for part in parts]).astype(int)
    shown = np.stack(list(media.video_frames(stem.with_suffix(".mp4")))).astype(int)
    assert shown.shape == frames.shape == (110, 32, 32, 3)
    assert np.abs(shown.mean(-1) - frames.mean(-1)).mean() < 4  # the picture is noise, whose colour video halves
    table = list(csv.DictReader(stem.with_suffix(".csv").read_text().splitlines()))
    assert [int(row["frame"]) for row in table] == list(range(1, 111)) and table[109]["timestamp"] == "4.36"
    wanted = np.concatenate([part["landmarks"] for part in parts])
    np.testing.assert_allclose([[float(row["x_0"]), float(row["y_67"])] for row in table],
                               np.stack([wanted[:, 0, 0], wanted[:, 67, 1]], 1))
    assert table[0]["word"] == "toy" and float(table[5]["AU12"]) == pytest.approx(float(parts[0]["au"][5, 8]))
    assert float(table[5]["brow_left"]) == pytest.approx(float(parts[0]["coefficients"][5, 2]))
    identity = np.loadtxt(stem.with_name("c00.identity.csv"), delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(identity, parts[1]["identity"])
    with pytest.raises(DataError, match="has no speaker 's7'; it has toy/s00, toy/s01, toy/s02"):
        export.chosen(manifest, None, "s7", None)


def test_a_removed_speaker_is_nowhere_and_others_keep_their_bytes(own, tree, tmp_path):
    before = bytes_of(own)
    speaker = Manifest.load(own).speakers[1]  # has a bad film too
    assert command.run(["stats", "--data", str(own), "--sheets", "0"]) == 0
    assert remove.remove(own, speaker.partition("/")[2]) == (5, 1, 0, True)
    assert found(own, decode=True) == []
    counts = Manifest.load(own).content["counts"]
    assert (counts["discovered"], counts["written"], counts["quarantined"], counts["removed"]) == (19, 12, 2, 5)
    after = bytes_of(own)
    assert not [name for name, content in after.items() if speaker.encode() in content]
    changed = [name for name in before if name.endswith("array_record") and before[name] != after[name]]
    assert len(changed) == 1
    # A run from the films gives what the removal left, and so does a new scan.
    (own / changed[0]).unlink()
    prepared(tree, own)
    assert bytes_of(own) == after
    assert prepared(tree, own, again=True).content["counts"]["removed"] == 5
    with pytest.raises(DataError, match="has no speaker 'folder/nobody'; it has folder/"):
        remove.remove(own, "nobody")


@pytest.mark.parametrize("step", ["plan", "shard"])
def test_a_removal_that_was_killed_goes_on(own, corpus, tmp_path, monkeypatch, step):
    whole = shutil.copytree(corpus, tmp_path / "whole")
    remove.remove(whole, "b")
    killed = "data_pipelines.writer.Writer.keep_clips" if step == "plan" else "data_pipelines.writer.os.replace"
    with monkeypatch.context() as patched:
        patched.setattr(killed, lambda *arguments: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            remove.remove(own, "b")
    remove.remove(own, "b")
    assert bytes_of(own) == bytes_of(whole)


@pytest.mark.parametrize("written", ["plan.json", "shards.jsonl", "excluded.json", "clips.jsonl"])
def test_a_removal_killed_while_it_plans_goes_on_and_the_speaker_is_gone_at_once(own, corpus, tmp_path, monkeypatch,
                                                                                 written):
    whole = shutil.copytree(corpus, tmp_path / "whole")
    remove.remove(whole, "b")
    replace = os.replace

    def die_afterwards(source, target):
        replace(source, target)
        if os.path.basename(target) == written:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("thjax.core.files.os.replace", die_afterwards)
        with pytest.raises(KeyboardInterrupt):
            remove.remove(own, "b")
    half = planning.load(own)
    assert "folder/b" not in half.speakers() and half.clips == 13 and half.content["removed"]["clips"] == 5
    remove.remove(own, "b")
    assert bytes_of(own) == bytes_of(whole)


def test_a_removal_does_not_pass_off_shards_of_older_films(own, copy):
    prepared(copy, own)
    film(copy / "a" / "c0.mp4", 20, 25, size=(32, 40), tone=0.3, seed=9)  # mended under its name
    plan = planned(copy, own, again=True)
    stale = [shard for shard in plan.shards if not plan.writer().is_done(shard)]
    assert [("folder/a/c0" in shard.clips) for shard in plan.shards] == [shard in stale for shard in plan.shards]
    removed = remove.remove(own, "b")
    assert (removed.deleted, removed.whole) == (1, False)
    assert not plan.writer().shard_path(stale[0]).exists() and not (own / "dataset.json").exists()
    assert not [name for name, content in bytes_of(own).items() if b"folder/b" in content]
    assert prepared(copy, own).content["counts"]["removed"] == 5
    assert found(own, decode=True) == []


def test_shards_of_a_program_that_noted_less_are_kept(own):
    for path in (own / "done").glob("*.json"):
        report = json.loads(path.read_text())
        del report["made_from"]
        path.write_text(json.dumps(report))
    assert remove.remove(own, "b") == (5, 1, 0, True)
    assert found(own, decode=True) == []


def test_shards_of_another_plan_that_noted_less_are_not_kept(own):
    for path in (own / "done").glob("*.json"):
        report = json.loads(path.read_text())
        del report["made_from"]
        path.write_text(json.dumps(report | {"plan": "of other settings"}))
    removed = remove.remove(own, "b")
    assert removed.rewritten == 0 and removed.deleted == len(list((own / "plan" / "shards.jsonl").open()))
    assert not list(own.glob("*.array_record")) and not list((own / "done").iterdir())


def test_a_report_that_waits_is_that_of_this_removal(own):
    """Killed after the new shard was in its place and before its report was, and then called for another speaker."""
    replace = os.replace
    first, second = next(people for people in ({key.split("/")[1] for key in shard.clips}
                                               for shard in planning.load(own).shards) if len(people) == 2)

    def killed(source, target):
        if str(source).endswith(".json.next"):
            raise KeyboardInterrupt
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        remove.remove(own, first)
    assert list((own / "done").glob("*.next"))
    remove.remove(own, second)
    assert not [name for name, content in bytes_of(own).items() if f"folder/{second}/".encode() in content]
    assert found(own, decode=True) == [] and not list((own / "done").glob("*.next"))


def test_verify_names_every_shard_that_is_gone(own, capsys):
    gone = sorted(own.glob("*.array_record"))[:2]
    for shard in gone:
        shard.unlink()
    assert command.run(["verify", "--data", str(own), "--workers", "1"]) == 1
    said = capsys.readouterr()
    assert all(shard.name in said.err for shard in gone) and "2 problems" in said.out


def test_a_rendered_corpus_has_no_plan_to_remove_from(tmp_path):
    manifest = write_toy_corpus(tmp_path, frames=3)
    with pytest.raises(DataError, match="has no plan; make one with `thjax data plan"):
        remove.remove(manifest.directory, "toy/s00")
    assert planning.FOLDER == "plan"
