"""The index of VoxCeleb2's size: small on disk, opened at once, shared. Start-up opens no shard."""

import os
import pickle
import resource
import time

import numpy as np

from data_pipelines.index import Index, index_of
from data_pipelines.manifest import Manifest
from data_pipelines.shards import ShardReader
from data_pipelines.writer import Shard, Writer

CLIPS, SHARDS = 1_100_000, 3_000


def fabricated(clips, shards, records_each):
    """Plan and reports of a corpus that is not there; clip i has `records_each(i)` records."""
    bounds = np.linspace(0, clips, shards + 1).astype(int)
    plan, reports = [], []
    for number in range(shards):
        part = range(bounds[number], bounds[number + 1])
        lines = [{"key": f"voxceleb2/id{i % 6000:05d}/video{i // 6000:06d}/{i:07d}", "segments": records_each(i),
                  "speaker": f"voxceleb2/id{i % 6000:05d}"} for i in part]
        rows = [[75, place] for line in lines for place in range(line["segments"])]
        plan.append(Shard("train", number, shards, ()))
        reports.append({"clips": lines, "rows": rows})
    return plan, reports


def test_the_index_is_small_and_leads_to_every_clip(tmp_path):
    plan, reports = fabricated(CLIPS // 40, SHARDS // 40, lambda i: 3 + i % 2)
    speakers = sorted({line["speaker"] for report in reports for line in report["clips"]})
    np.savez(tmp_path / "index.npz", **index_of(plan, reports, speakers))
    index = Index(tmp_path / "index.npz")
    count = len(index["n"])
    assert os.path.getsize(tmp_path / "index.npz") <= 40 * count
    keys = [index.clip_key(int(clip)) for clip in index["clip"][::1000]]
    expected = [line["key"] for report in reports for line in report["clips"] for _ in range(line["segments"])][::1000]
    assert keys == expected
    owners = [speakers[speaker] for speaker in index["speaker"][::1000]]
    assert owners == [key[: len("voxceleb2/id00000")] for key in keys]
    assert index["offset"].max() + 1 == max(len(report["rows"]) for report in reports)


def test_three_and_a_half_million_records_are_opened_in_no_time_and_not_copied(tmp_path):
    rows = 3_500_000
    columns = {"shard": np.int32, "offset": np.int32, "n": np.int16, "segment": np.int16, "clip": np.int32,
               "speaker": np.int32, "split": np.int8}
    keys = np.frombuffer(b"voxceleb2/id00000/video000000/0000000" * CLIPS, np.uint8)
    np.savez(tmp_path / "index.npz", **{name: np.zeros(rows, dtype) for name, dtype in columns.items()},
             clip_keys=keys, clip_ends=np.arange(1, CLIPS + 1) * 37)
    assert os.path.getsize(tmp_path / "index.npz") <= 40 * rows
    began = time.process_time()
    index = Index(tmp_path / "index.npz")
    assert time.process_time() - began < 0.5
    assert all(isinstance(column, np.memmap) and not column.flags.writeable for column in index.values())
    assert len(pickle.dumps(index)) < 1000  # a worker process maps the file again
    assert pickle.loads(pickle.dumps(index)).clip_key(CLIPS - 1) == "voxceleb2/id00000/video000000/0000000"


def test_three_thousand_shards_are_read_with_256_files(tmp_path):
    def clip(key):
        return {"key": key, "speaker": "toy/s", "frames": np.zeros((1, 16, 16, 3), np.uint8),
                "audio": np.zeros(640, np.int16)}

    writer = Writer(tmp_path / "one", dataset="toy", size=16)
    shards = writer.plan({"train": ["toy/s/c"]})
    writer.write_shard(shards[0], clip)
    manifest = writer.finish(shards)
    one = manifest.directory / manifest.content["shards"][0]["name"]
    paths = [tmp_path / f"{number:05d}" for number in range(SHARDS)]
    for path in paths:
        os.link(one, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        before = len(os.listdir("/proc/self/fd"))
        reader = ShardReader(paths)
        assert all(reader.read(number, 0) for number in range(SHARDS))
        assert reader.open_shards <= 128 and len(os.listdir("/proc/self/fd")) - before <= 128
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_start_up_opens_no_shard(tmp_path, monkeypatch):
    writer = Writer(tmp_path, dataset="toy", size=16)
    shards = writer.plan({"train": ["toy/s/c"]})
    writer.write_shard(shards[0], lambda key: {
        "key": key, "speaker": "toy/s", "frames": np.zeros((1, 16, 16, 3), np.uint8), "audio": np.zeros(640, np.int16)})
    writer.finish(shards)
    monkeypatch.setattr("data_pipelines.shards.ArrayRecordReader", None)
    assert Manifest.load(tmp_path).clip_key(0) == "toy/s/c"
