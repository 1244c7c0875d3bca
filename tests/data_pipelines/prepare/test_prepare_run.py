"""Every clip is accounted for; whoever does the work and however often it is killed, the bytes are the same."""

import collections
import functools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from data_pipelines import command, guard
from data_pipelines.manifest import Manifest
from data_pipelines.prepare.clip import make_clip
from data_pipelines.prepare.process import ClipProcess, Makers
from data_pipelines.prepare.reasons import BadClip, TooManyBad
from data_pipelines.prepare.run import Hands
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.schema import DataError
from tests.data_pipelines.prepare.conftest import SETTINGS, bytes_of, planned, prepared
from tests.data_pipelines.prepare.filming import film
from tests.data_pipelines.prepare.misbehaving import hang_die_or_film, hang_or_die
from thjax.core.errors import RunStopped, UserError


def ledger(directory):
    return [json.loads(line) for line in (directory / "manifest.jsonl").read_text().splitlines()]


def test_what_is_discovered_is_written_or_has_a_reason(corpus):
    manifest = Manifest.load(corpus)
    manifest.verify()
    assert manifest.content["counts"] == {
        "discovered": 19, "written": 16, "quarantined": 3, "excluded": 0, "removed": 0,
        "reasons": {"empty_file": 1, "no_audio": 1, "unreadable": 1}}
    lines = ledger(corpus)
    assert collections.Counter(line["status"] for line in lines) == {"ok": 16, "quarantined": 3}
    assert [line["key"] for line in lines] == sorted(line["key"] for line in lines) and len(lines) == 19
    bad = [json.loads(line) for line in (corpus / "quarantine.jsonl").read_text().splitlines()]
    assert {line["source"]: line["reason"] for line in bad} == {
        "a/empty.mp4": "empty_file", "b/junk.mp4": "unreadable", "c/mute.mp4": "no_audio"}
    assert manifest.content["division"]["name"] == "speakers_80_10_10" and manifest.content["licence"]


def test_the_corpus_can_be_trained_on(corpus):
    from data_pipelines.loader import Loader
    from thjax.core.data_spec import CropSpec, DataSpec

    loader = Loader(corpus, DataSpec(split="train", window=8, batch=2, crop=CropSpec("none", 16, 16)))
    batch = loader.batch_at(0)
    assert batch["frames"].shape == (2, 8, 16, 16, 3) and batch["frames"].std() > 5
    assert batch["valid"].all() and abs(batch["audio"]).max() > 3000


def test_where_the_films_lie_is_no_part_of_the_corpus(corpus, copy, tmp_path):
    again = prepared(copy, tmp_path / "out").directory
    different = {name for name, content in bytes_of(corpus).items() if bytes_of(again)[name] != content}
    assert different == {"plan/clips.jsonl", "plan/plan.json", "plan/shards.jsonl"} | {
        name for name in different if name.startswith("done/")}
    assert Manifest.load(again).hash == Manifest.load(corpus).hash


@pytest.mark.multi_process
def test_two_ranks_with_processes_write_what_one_writes_alone(corpus, tree, tmp_path):
    first = prepared(tree, tmp_path / "out", hands=Hands(0, rank=1, nshard=2))
    assert first is None and not (tmp_path / "out" / "dataset.json").exists()
    prepared(tree, tmp_path / "out", hands=Hands(2, rank=0, nshard=2))
    assert bytes_of(tmp_path / "out") == bytes_of(corpus)


TWICE = ["--size", "16", "--workers", "0", "--max-bad", "0.5", "--nshard", "2", "--compare_bytes"]


@pytest.mark.multi_process
def test_two_ranks_that_start_together_take_one_plan(copy, tmp_path):
    """Both find none; before ranks took turns, one wrote what the other had begun."""
    for speaker in "abcd":  # a byte-equal film of everybody: whoever is held out, others have it too
        shutil.copy(copy / "a" / "c0.mp4", copy / speaker / "twin.mp4")
    out, words = tmp_path / "out", ["--corpus", "folder", "--root", str(copy), "--out", str(tmp_path / "out"), *TWICE]
    ranks = [subprocess.Popen([sys.executable, "-m", "thjax.cli", "data", "prepare", *words, "--rank", str(rank)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for rank in range(2)]
    said = [rank.communicate(timeout=300)[0] for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    counts = Manifest.load(out).content["counts"]
    assert counts["discovered"] == 23 and counts["excluded"] == counts["reasons"]["same_video"] > 0
    assert "--compare_bytes" in json.loads((out / "dataset.json").read_text())["rebuild"]


KILLED = """
import fnmatch, os, pathlib, signal, sys
from data_pipelines.prepare.run import Hands
from tests.data_pipelines.prepare.conftest import prepared

def die_instead(source, target, replace=os.replace):
    global left
    left -= fnmatch.fnmatch(pathlib.Path(target).name, name)
    if not left:
        os.killpg(0, signal.SIGKILL)
    replace(source, target)

if __name__ == "__main__":
    tree, out, workers, name, left = sys.argv[1:4] + [sys.argv[4], int(sys.argv[5])]
    os.replace = die_instead
    prepared(tree, pathlib.Path(out), hands=Hands(int(workers)))
"""
MOMENTS = {"while it scans": ("clips.jsonl", 1), "while it plans": ("plan.json", 1),
           "in the first shard": ("*.array_record", 1), "in the second": ("*.array_record", 2),
           "before the ledger": ("manifest.jsonl", 1)}
"""{when: what is written, but not yet under its name, for the so manieth time}."""


@pytest.mark.multi_process
@pytest.mark.parametrize("moment,workers", [
    *(pytest.param(moment, 0, marks=pytest.mark.corpora) for moment in MOMENTS if moment != "while it plans"),
    ("while it plans", 0), ("in the second", 2)])
def test_killed_and_started_again_it_gives_the_same_bytes(corpus, tree, tmp_path, moment, workers):
    """What is whole is kept, everything else is made."""
    out, script = tmp_path / "out", tmp_path / "killed.py"
    script.write_text(KILLED)
    run = subprocess.run([sys.executable, str(script), str(tree), str(out), str(workers), *map(str, MOMENTS[moment])],
                         env=os.environ | {"PYTHONPATH": os.getcwd()}, start_new_session=True, timeout=300)
    assert run.returncode == -signal.SIGKILL and list(out.rglob("*.incomplete"))
    shards = {path.name: path.stat().st_mtime_ns for path in out.glob("*.array_record")}
    assert len(shards) == {"in the second": 1, "before the ledger": 3}.get(moment, 0)
    # With two workers the other's shard may have its name and not yet the report that makes it whole.
    kept = [name for name in shards if list(out.rglob(f"{name}.json"))]
    assert workers or len(kept) == len(shards)
    prepared(tree, out)
    assert bytes_of(out) == bytes_of(corpus)
    assert all((out / name).stat().st_mtime_ns == shards[name] for name in kept)


def test_a_second_run_decodes_nothing_and_keeps_every_byte(corpus, tree, tmp_path):
    out = shutil.copytree(corpus, tmp_path / "out")
    prepared(tree, out, make=lambda reference: pytest.fail("decoded again"))
    assert bytes_of(out) == bytes_of(corpus)


def test_too_many_bad_clips_end_with_status_3_and_no_corpus(tree, tmp_path):
    with pytest.raises(TooManyBad, match=r"3 of 19 clips are bad \(1 empty_file, 1 no_audio, 1 unreadable\)") as raised:
        prepared(tree, tmp_path, max_bad=0.1)
    assert raised.value.exit_code == 3
    assert not (tmp_path / "dataset.json").exists() and (tmp_path / "quarantine.jsonl").exists()
    accepted = prepared(tree, tmp_path, max_bad=0.2, make=lambda reference: pytest.fail("decoded again"))
    assert accepted.content["counts"]["quarantined"] == 3


def test_a_hopeless_run_stops_before_its_end(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("data_pipelines.prepare.run.FEW", 2)
    monkeypatch.setattr("data_pipelines.prepare.run.POLL_SECONDS", 0.01)
    tried = []

    def fail(reference):
        tried.append(reference)
        time.sleep(0.05)
        raise BadClip("no_video", "nothing")

    with pytest.raises(TooManyBad, match="no_video"):
        prepared(tree, tmp_path, max_bad=0.1, make=fail)
    assert len(tried) < 18


def test_a_changed_film_is_made_anew_after_a_new_scan(corpus, copy, tmp_path):
    out = tmp_path / "out"
    prepared(copy, out)
    film(copy / "b" / "c9.mp4", 12, size=(32, 40), tone=0.3)
    assert prepared(copy, out).content["counts"]["discovered"] == 19
    assert prepared(copy, out, again=True).content["counts"] | {"reasons": 0} == {
        "discovered": 20, "written": 17, "quarantined": 3, "excluded": 0, "removed": 0, "reasons": 0}


def test_a_mended_film_is_made_anew_after_a_new_scan(copy, tmp_path):
    out, broken = tmp_path / "out", copy / "a" / "c0.mp4"
    whole = broken.read_bytes()
    broken.write_bytes(b"no film" * 99)
    assert prepared(copy, out).content["counts"]["quarantined"] == 4
    broken.write_bytes(whole)
    assert prepared(copy, out).content["counts"]["quarantined"] == 4  # the plan stands until it is told to look again
    manifest = prepared(copy, out, again=True)
    assert manifest.content["counts"]["quarantined"] == 3
    film(broken, 12, size=(32, 40), tone=0.3, seed=9)
    before = bytes_of(out)
    prepared(copy, out, again=True)
    changed = {name for name, content in bytes_of(out).items() if content != before.get(name)}
    assert sum(name.endswith(".array_record") for name in changed) == 1


def test_a_plan_that_fails_leaves_the_one_before_as_it_was(copy, tmp_path):
    out = tmp_path / "out"
    before = planned(copy, out)
    film(copy / "b" / "c9.mp4", 12, size=(32, 40), tone=0.3)
    with pytest.raises(DataError, match="nosuch"):
        planned(copy, out, split="nosuch")
    assert planned(copy, out) == before
    assert before.reference("folder/b/c0").video.path == str(copy / "b" / "c0.mp4")


@pytest.mark.parametrize("written", ["clips.jsonl", "shards.jsonl", "excluded.json", "plan.json"])
def test_a_new_plan_that_is_cut_short_in_taking_its_place_takes_it_next_time(copy, tmp_path, monkeypatch, written):
    planned(copy, tmp_path / "out")
    film(copy / "b" / "c9.mp4", 12, size=(32, 40), tone=0.3)
    replace = os.replace

    def die_before(source, target):
        if os.fspath(target) == str(tmp_path / "out" / "plan" / written):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("data_pipelines.prepare.plan.os.replace", die_before)
        with pytest.raises(KeyboardInterrupt):
            planned(copy, tmp_path / "out", again=True)
    assert bytes_of(planned(copy, tmp_path / "out").directory) == bytes_of(planned(copy, tmp_path / "whole").directory)


def test_a_plan_is_not_replaced_under_a_process_that_writes_by_it(copy, tmp_path):
    out = tmp_path / "out"
    before = planned(copy, out)
    with guard.alone(out, 0, 2):
        assert planned(copy, out, again=True) == before  # another rank that looks again finds the same
        with pytest.raises(UserError, match="another process writes"):
            planned(copy, out, split="clips_80_10_10")
    assert planned(copy, out) == before


def test_a_signal_ends_work_between_two_clips(tree, tmp_path):
    def interrupting(reference):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        return make_clip(reference, SETTINGS)

    with pytest.raises(RunStopped, match="the same command goes on from there") as raised:
        prepared(tree, tmp_path, make=interrupting)
    assert raised.value.exit_code == 143 and not list(tmp_path.glob("*.incomplete"))


def test_a_full_disk_is_said_and_the_run_goes_on_later(corpus, tree, tmp_path, monkeypatch):
    class FullDisk:
        def __init__(self, path, options):
            self._path = path
            open(path, "wb").close()

        def write(self, data):
            raise RuntimeError("write() failed: No space left on device; writing x; at byte 61440")

        def close(self):
            assert not os.path.getsize(self._path)

    with monkeypatch.context() as patched:
        patched.setattr("data_pipelines.writer.ArrayRecordWriter", FullDisk)
        with pytest.raises(DataError, match="No space left on device.*make room on the disk and rerun"):
            prepared(tree, tmp_path)
    assert not list(tmp_path.glob("*.array_record*"))
    prepared(tree, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(corpus)


def test_two_runs_do_not_write_the_same_shards(tmp_path):
    with guard.alone(tmp_path, 0, 2), guard.alone(tmp_path, 1, 2):
        for rank, nshard in ((0, 2), (0, 1)):
            with pytest.raises(UserError, match="another process writes"), guard.alone(tmp_path, rank, nshard):
                pass


@pytest.mark.parametrize("hands,message", [
    ({"rank": 2, "nshard": 2}, "rank 2 must be 0 to 1"), ({"timeout": 0}, "timeout 0 above 0"),
])
def test_wrong_hands_are_named(hands, message):
    with pytest.raises(DataError, match=message):
        Hands(**hands)


def reference(name):
    return ClipReference(f"toy/s/{name}", "toy/s", Location(f"{name}.mp4"))


@pytest.mark.multi_process
def test_a_clip_that_hangs_dies_or_errs_costs_itself_alone():
    with Makers(hang_or_die, True, 60) as makers:
        first = makers(reference("good"))
        assert first["process"] != os.getpid()
        assert makers(reference("errs")).args == (
            "failed", "errs.mp4: ZeroDivisionError: nobody foresaw this")
        assert makers(reference("good")) == first
        died = makers(reference("dies"))
        assert (died.reason, died.detail) == ("decode_crashed", f"dies.mp4: its process ended with status "
                                                                f"{-signal.SIGSEGV}, 2 times")
        assert makers(reference("good"))["process"] != first["process"]
    impatient = ClipProcess(hang_or_die, 0.2)
    assert impatient(reference("hangs")).reason == "decode_hung"
    assert not multiprocessing.active_children()


@pytest.mark.multi_process
@pytest.mark.thorough
def test_a_run_loses_the_clip_that_hangs_and_the_one_that_kills_its_process_and_no_other(corpus, tree, tmp_path):
    make = functools.partial(hang_die_or_film, settings=SETTINGS)
    manifest = prepared(tree, tmp_path, hands=Hands(workers=2, timeout=20), make=make)
    reasons = Manifest.load(corpus).content["counts"]["reasons"] | {"decode_hung": 1, "decode_crashed": 1}
    assert manifest.content["counts"] == Manifest.load(corpus).content["counts"] | {
        "written": 14, "quarantined": 5, "reasons": reasons}
    lost = {line["key"]: line["reason"] for line in ledger(tmp_path) if line["status"] == "quarantined"}
    assert lost["folder/a/c1"] == "decode_hung" and lost["folder/d/c2"] == "decode_crashed"
    manifest.verify()


def test_the_plan_names_what_it_cannot_do(tree, tmp_path):
    (tmp_path / "empty" / "s").mkdir(parents=True)
    (tmp_path / "empty" / "s" / "a.mp4").touch()
    with pytest.raises(DataError, match="not one clip of folder to prepare among 1 things found"):
        planned(tmp_path / "empty", tmp_path / "a")
    with pytest.raises(DataError, match="no split 'halves' of folder; there are speakers_80_10_10"):
        planned(tree, tmp_path / "b", split="halves")


def test_two_clips_with_one_key_and_a_name_that_is_no_text_are_counted(tmp_path, tree):
    from data_pipelines.prepare import plan as planning

    class Odd:
        name, licence, layout = "folder", "none", ""

        def scan(self, root, workers):
            for name in ("c0", "c1", "c0"):
                yield ClipReference("folder/a/c0" if name == "c0" else "folder/a/c1", "folder/a",
                                    Location(f"{tree}/a/{name}.mp4"))
            yield ClipReference("folder/a/\udcff", "folder/a", Location(f"{tree}/a/c2.mp4"))

    wish = planning.Wish("folder", str(tree), SETTINGS)
    plan = planning.make(Odd(), wish, tmp_path)
    hands = Hands(0)
    from data_pipelines.prepare import run as running

    with hands.makers(functools.partial(make_clip, settings=SETTINGS)) as makers:
        manifest = running.write(plan, plan.writer(), makers, hands, 1.0)
    assert manifest.content["counts"] == {
        "discovered": 4, "written": 2, "quarantined": 2, "excluded": 0, "removed": 0,
        "reasons": {"duplicate_key": 1, "name_not_utf8": 1}}


@pytest.mark.parametrize("seconds,most,tried", [(60.0, 200, 18), (60.0, 9, 9), (0.0, 200, 1)])
def test_a_prediction_is_of_the_first_clips_and_close_to_what_is_written(corpus, tree, tmp_path, monkeypatch, seconds,
                                                                         most, tried):
    """Half of a corpus tells its bytes to a fifth; where time is up, a twentieth has to do."""
    from data_pipelines.prepare import predict

    monkeypatch.setattr(predict, "MOST", most)
    monkeypatch.setattr(predict, "SECONDS", seconds)
    make, plan, made = functools.partial(make_clip, settings=SETTINGS), planned(tree, tmp_path), []
    with Makers(lambda reference: made.append(reference.key) or make(reference), False, 60) as makers:
        said = predict.predict(plan, makers, 1)
    first = [key for shard in plan.shards for key in shard.clips][:tried]
    assert said.tried == tried and made == [first[0], *first]  # the first one starts the process as well
    if tried > 1:
        assert said.bytes == pytest.approx(Manifest.load(corpus).bytes, rel=0.2)


def test_one_command_scans_plans_predicts_and_prepares(corpus, tree, tmp_path, capsys):
    words = ["--corpus", "folder", "--root", str(tree), "--out", str(tmp_path), "--size", "16", "--workers", "0"]
    assert command.run(["plan", *words]) == 0
    assert "19 discovered, 18 to prepare" in capsys.readouterr().out
    assert command.run(["prepare", *words, "--max-bad", "0.5"]) == 0
    said, bar = capsys.readouterr()
    assert "predicted from 18 clips (2 bad)" in said and "core-hours" in said
    assert "18/18" in bar and "clips/s" in bar and "(1 no_audio, 1 unreadable)" in bar
    assert "19 discovered = 16 written + 3 quarantined + 0 excluded + 0 removed (" in said
    assert Manifest.load(tmp_path).hash == Manifest.load(corpus).hash
    with pytest.raises(DataError, match="no such folder; give the folder that folder was unpacked into"):
        command.run(["prepare", *words, "--root", str(tmp_path / "nowhere")])
    with pytest.raises(DataError, match="17 of 18 clips are smaller than --size 64, for example"):
        command.run(["prepare", *words, "--out", str(tmp_path / "large"), "--size", "64"])
