import json
import shutil

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from data_pipelines.manifest import Manifest
from data_pipelines.schema import DataError
from tests.data_pipelines.toy_corpus import write_toy_corpus
from thjax.core import files

SHARD = "toy-test-32-jpeg-00000-of-00001.array_record"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_toy_corpus(tmp_path_factory.mktemp("corpus"), frames=6).directory


@pytest.fixture
def copy(corpus, tmp_path):
    return shutil.copytree(corpus, tmp_path / "copy")


def change(directory, **values):
    path = directory / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_whole_corpus_loads_and_verifies(corpus):
    manifest = Manifest.load(corpus)
    manifest.verify()
    assert manifest.splits == ["train", "validation", "test"]
    assert manifest.speakers == ["toy/s00", "toy/s01", "toy/s02", "toy/s03"]
    assert manifest.coefficients == ["size", "yaw", "brow_left", "brow_right"]
    assert manifest.labels == ["au", "au_presence", "blink", "coefficients", "identity", "landmarks", "pose"]
    keys = [manifest.clip_key(row) for row in manifest.rows("train")]
    assert keys == [f"toy/s{s:02d}/c{c:02d}" for s in range(2) for c in range(3)]
    assert sum(part["records"] for part in manifest.shard_statistics("train")) == 6


def test_the_hash_follows_the_content_and_nothing_else(corpus, copy, tmp_path):
    assert Manifest.load(copy).hash == Manifest.load(corpus).hash
    change(copy, rebuild="another command line")
    assert Manifest.load(copy).hash == Manifest.load(corpus).hash
    assert write_toy_corpus(tmp_path / "other", frames=6, seed=1).hash != Manifest.load(corpus).hash


@pytest.mark.parametrize("break_it,message", [
    (lambda d: (d / SHARD).unlink(), rf"{SHARD} is missing; rerun `write_toy_corpus"),
    (lambda d: (d / SHARD).write_bytes((d / SHARD).read_bytes()[:-100]), rf"{SHARD} has \d+ bytes, dataset.json says"),
    (lambda d: (d / "index.npz").unlink(), "index.npz is missing; rerun"),
    (lambda d: np.savez(d / "index.npz", shard=np.zeros(3)), "index.npz has sha256 .*; rerun"),
    (lambda d: change(d, schema=2), "dataset.json: schema version 2, this program reads 1; write the corpus again"),
    (lambda d: (d / "dataset.json").write_text("{"), "dataset.json cannot be read"),
    (lambda d: (d / "dataset.json").unlink(), "is no corpus: it has no dataset.json; write one with `thjax data synth"),
])
def test_what_is_wrong_is_named_with_the_fix(copy, break_it, message):
    break_it(copy)
    with pytest.raises(DataError, match=message):
        Manifest.load(copy)


def test_a_description_without_its_parts_is_named(copy):
    path = copy / "dataset.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: content[name] for name in ("schema", "speakers")}))
    with pytest.raises(DataError, match="dataset.json lacks shards, files, fields, coefficients"):
        Manifest.load(copy)


def test_a_wrong_count_is_named(copy):
    content = json.loads((copy / "dataset.json").read_text())
    shard, other = (next(shard for shard in content["shards"] if (shard["name"] == SHARD) == same) for same in (1, 0))
    shard["records"] += 1
    change(copy, shards=content["shards"])
    with pytest.raises(DataError, match="index.npz lists 12 records, dataset.json counts 13; rerun"):
        Manifest.load(copy)
    other["records"] -= 1
    change(copy, shards=content["shards"])
    with pytest.raises(DataError, match=rf"{SHARD} holds 3 records, dataset.json says 4; rerun"):
        Manifest.load(copy).verify_shard(shard)


def test_a_shard_of_right_size_and_wrong_content_is_found_by_its_hash(copy):
    path = copy / SHARD
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"{SHARD} has sha256 .*, dataset.json says .*; rerun `write_toy_corpus"):
        Manifest.load(copy).verify()


def test_a_file_that_is_no_shard_is_named(copy):
    content = json.loads((copy / "dataset.json").read_text())
    shard = next(s for s in content["shards"] if s["name"] == SHARD)
    (copy / SHARD).write_bytes(b"x" * shard["bytes"])
    shard["sha256"] = files.sha256(copy / SHARD)
    change(copy, shards=content["shards"])
    with pytest.raises(DataError, match=f"{SHARD} cannot be opened as an ArrayRecord file"):
        Manifest.load(copy).verify()


def test_an_index_that_disagrees_with_the_counts_is_named(copy):
    content = json.loads((copy / "dataset.json").read_text())
    path = copy / SHARD
    output = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    output.write(b"one")
    output.close()
    shard = next(shard for shard in content["shards"] if shard["name"] == SHARD)
    shard |= {"records": 1, "bytes": path.stat().st_size, "sha256": files.sha256(path)}
    change(copy, shards=content["shards"])
    with pytest.raises(DataError, match=r"index.npz lists 12 records, dataset.json counts 10; rerun"):
        Manifest.load(copy)


def test_an_unknown_split_lists_the_known(corpus):
    with pytest.raises(DataError, match="has no split 'dev'; it has: train, validation, test"):
        Manifest.load(corpus).rows("dev")
