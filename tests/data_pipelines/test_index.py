"""The index of VoxCeleb2's size: small on disk, opened at once, shared. Start-up opens no shard."""

import os
import pickle
import resource
import time

import numpy as np

from data_pipelines.index import Index, IndexColumns
from data_pipelines.manifest import Manifest
from data_pipelines.shards import ShardReader
from data_pipelines.writer import Writer

CLIPS, SHARDS = 1_100_000, 3_000


def test_the_index_is_small_and_leads_to_every_clip(tmp_path):
    columns, expected = IndexColumns(), []
    for number in range(50):
        keys = [f"voxceleb2/id{i * 37 % 600:05d}/video/{i:07d}" for i in range(number * 360, (number + 1) * 360)]
        lines = [{"key": key, "speaker": key[:17], "segments": 3 + len(expected) % 2} for key in keys]
        expected.append([key for key, line in zip(keys, lines, strict=True) for _ in range(line["segments"])])
        columns.add("test" if number % 5 else "train", lines,
                    [[75, place] for line in lines for place in range(line["segments"])])
    np.savez(tmp_path / "index.npz", **columns.columns())
    index = Index(tmp_path / "index.npz")
    flat = [key for part in expected for key in part]
    assert os.path.getsize(tmp_path / "index.npz") <= 40 * len(flat)
    assert [index.clip_key(int(clip)) for clip in index["clip"][::100]] == flat[::100]
    assert [columns.speakers[speaker] for speaker in index["speaker"][::100]] == [key[:17] for key in flat[::100]]
    assert columns.speakers == sorted(columns.speakers) and len(columns.speakers) == 600
    ordered = sorted(set(flat))
    assert [index.clip_key(clip) for clip in range(0, len(ordered), 500)] == ordered[::500]
    np.testing.assert_array_equal(index["offset"], np.concatenate([np.arange(len(part)) for part in expected]))
    np.testing.assert_array_equal(index["shard"], np.repeat(np.arange(50), list(map(len, expected))))
    np.testing.assert_array_equal(index["split"], index["shard"] % 5 > 0)


def test_an_index_of_nothing_has_every_column(tmp_path):
    np.savez(tmp_path / "index.npz", **IndexColumns().columns())
    assert all(len(column) == 0 for column in Index(tmp_path / "index.npz").values())


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
