import hashlib
import json
import multiprocessing

import numpy as np
import pytest

from data_pipelines import records
from data_pipelines.manifest import Manifest
from data_pipelines.schema import DataError
from data_pipelines.writer import Shard, Writer
from tests.data_pipelines.toy_corpus import COEFFICIENTS, toy_clip, write_toy_corpus

PLAN = {"train": [f"toy/s{i}/c{j}" for i in range(3) for j in range(2)], "test": ["toy/s9/c0"]}


def make_writer(directory, source="a", **options):
    return Writer(directory, dataset="toy", size=16, source=source, coefficients=COEFFICIENTS, **options)


def make_clip(key):
    return toy_clip(key, 80, 16, 0)


def bytes_of(directory):
    paths = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def write(directory, shard):
    make_writer(directory).write_shard(shard, make_clip)


def write_all(directory, clips_per_shard=2, make=make_clip, source="a"):
    writer = make_writer(directory, source)
    shards = writer.plan(PLAN, seed=3, clips_per_shard=clips_per_shard)
    written = [writer.write_shard(shard, make) for shard in shards]
    return writer.finish(shards), written


def test_the_plan_holds_every_clip_once_and_depends_on_the_seed_alone(tmp_path):
    writer = make_writer(tmp_path)
    shards = writer.plan(PLAN, seed=3, clips_per_shard=2)
    assert sorted(key for shard in shards for key in shard.clips) == sorted(PLAN["train"] + PLAN["test"])
    assert [(s.split, s.index, s.count, len(s.clips)) for s in shards] == [
        ("train", 0, 3, 2), ("train", 1, 3, 2), ("train", 2, 3, 2), ("test", 0, 1, 1)]
    assert shards == writer.plan({split: keys[::-1] for split, keys in PLAN.items()}, seed=3, clips_per_shard=2)
    assert shards != writer.plan(PLAN, seed=4, clips_per_shard=2)


def test_a_key_twice_in_the_plan_is_refused(tmp_path):
    with pytest.raises(DataError, match="clip 'toy/s0/c0' is in the plan twice"):
        make_writer(tmp_path).plan({"train": ["toy/s0/c0"], "test": ["toy/s0/c0"]})


def test_file_names_say_what_is_inside(tmp_path):
    names = sorted(path.name for path in write_toy_corpus(tmp_path, frames=10, clips_per_shard=3).directory.iterdir())
    assert names == [
        "dataset.json", "done", "index.npz", "manifest.jsonl", "toy-test-32-jpeg-00000-of-00001.array_record",
        "toy-train-32-jpeg-00000-of-00002.array_record", "toy-train-32-jpeg-00001-of-00002.array_record",
        "toy-validation-32-jpeg-00000-of-00001.array_record"]
    wide = Writer(tmp_path, dataset="toy", size=(128, 96))
    assert wide.shard_path(Shard("test", 0, 1, ())).name == "toy-test-128x96-jpeg-00000-of-00001.array_record"


@pytest.mark.multi_process
def test_one_process_and_two_in_any_order_write_the_same_bytes(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    write_all(alone)
    writer = make_writer(together)
    shards = writer.plan(PLAN, seed=3, clips_per_shard=2)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(write, [(together, shard) for shard in reversed(shards)], chunksize=1)
    writer.finish(shards)
    assert bytes_of(alone) == bytes_of(together)


def test_sha256_and_counts_in_the_manifest_are_those_of_the_files(tmp_path):
    manifest, _ = write_all(tmp_path)
    content = json.loads((tmp_path / "dataset.json").read_text())
    for shard in content["shards"]:
        data = (tmp_path / shard["name"]).read_bytes()
        assert shard["sha256"] == hashlib.sha256(data).hexdigest() and shard["bytes"] == len(data)
    assert content["splits"]["train"]["clips"] == 6 and content["splits"]["train"]["frames"] == 480
    assert content["speakers"] == ["toy/s0", "toy/s1", "toy/s2", "toy/s9"]
    ledger = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert [line["key"] for line in ledger] == sorted(PLAN["train"] + PLAN["test"])
    assert len(manifest.index["n"]) == 7 and set(manifest.index["n"]) == {80}


def test_the_index_leads_to_the_records(tmp_path):
    from data_pipelines.shards import ShardReader

    writer = make_writer(tmp_path)
    shards = writer.plan(PLAN, clips_per_shard=3)
    for shard in shards:
        writer.write_shard(shard, lambda key: toy_clip(key, 120 if key.endswith("c1") else 20, 16, 0))
    manifest = writer.finish(shards)
    reader = ShardReader([tmp_path / shard["name"] for shard in manifest.content["shards"]])
    index = manifest.index
    assert len(index["n"]) == 10
    for row in range(len(index["n"])):
        record = records.decode(reader.read(int(index["shard"][row]), int(index["offset"][row])))
        assert record["key"] == f"{manifest.clip_key(row)}#{index['segment'][row]:03d}"
        assert record["n"] == index["n"][row]
        assert record["speaker"] == manifest.speakers[index["speaker"][row]]
        assert record["split"] == manifest.splits[index["split"][row]]


def test_a_second_run_writes_nothing_and_a_damaged_shard_is_written_again(tmp_path):
    _, written = write_all(tmp_path)
    before = bytes_of(tmp_path)
    assert written == [True] * 4
    assert write_all(tmp_path, make=lambda key: pytest.fail("made again"))[1] == [False] * 4
    shard = tmp_path / "toy-train-16-jpeg-00001-of-00003.array_record"
    shard.write_bytes(before[shard.name][:-1] + b"x")
    assert write_all(tmp_path)[1] == [False, True, False, False]
    assert bytes_of(tmp_path) == before


def test_another_source_or_plan_writes_again_and_leaves_no_old_shard(tmp_path):
    write_all(tmp_path)
    assert write_all(tmp_path, source="b")[1] == [True] * 4
    write_all(tmp_path, clips_per_shard=6)
    names = {path.name for path in tmp_path.glob("*.array_record")}
    assert names == {"toy-train-16-jpeg-00000-of-00001.array_record", "toy-test-16-jpeg-00000-of-00001.array_record"}
    Manifest.load(tmp_path).verify()


def test_a_shard_that_fails_does_not_appear(tmp_path):
    writer = make_writer(tmp_path)
    shard = writer.plan(PLAN, clips_per_shard=9)[0]

    def fail_late(key):
        if key == shard.clips[-1]:
            raise DataError("no face")
        return make_clip(key)

    with pytest.raises(DataError, match="no face"):
        writer.write_shard(shard, fail_late)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
    with pytest.raises(DataError, match="is not written yet"):
        writer.finish([shard])


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    class FullDisk:
        def __init__(self, path, options):
            open(path, "wb").close()

        def write(self, data):
            pass

        def close(self):
            raise RuntimeError("write() failed: No space left on device; writing x; at byte 61440")

    monkeypatch.setattr("data_pipelines.writer.ArrayRecordWriter", FullDisk)
    writer = make_writer(tmp_path)
    message = r"array_record could not be written \(write\(\) failed: No space left on device\); make room on the disk"
    with pytest.raises(DataError, match=message):
        writer.write_shard(writer.plan(PLAN)[0], make_clip)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("change,message", [
    ({"key": "toy/other"}, "clip 'toy/other' was made for the key 'toy/s9/c0'"),
    ({"frames": np.zeros((80, 8, 16, 3), np.uint8)}, r"toy/s9/c0: frames are \(8, 16\), the corpus is \(16, 16\)"),
    ({"coefficients": np.zeros((80, 3), np.float32)}, "3 coefficients, the writer has 4 names"),
])
def test_clips_that_do_not_fit_the_corpus_are_refused(tmp_path, change, message):
    writer = make_writer(tmp_path)
    shard = writer.plan({"test": ["toy/s9/c0"]})[0]
    with pytest.raises(DataError, match=message):
        writer.write_shard(shard, lambda key: make_clip(key) | change)


def test_clips_of_one_corpus_have_the_same_labels(tmp_path):
    writer = make_writer(tmp_path)
    shards = writer.plan(PLAN, clips_per_shard=9)

    def make(key, without):
        return {name: value for name, value in make_clip(key).items() if name != without or key == shards[0].clips[0]}

    with pytest.raises(DataError, match="clips before it have .*every clip of a corpus must have the same"):
        writer.write_shard(shards[0], lambda key: make(key, "pose"))
    writer.write_shard(shards[0], make_clip)
    writer.write_shard(shards[1], lambda key: make(key, "blink"))
    with pytest.raises(DataError, match="00000-of-00001.array_record has the fields .*others"):
        writer.finish(shards)
