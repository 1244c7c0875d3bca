"""A corpus of VoxCeleb2's size is described in little memory, and opened at once."""

import json
import os
import subprocess
import sys

import pytest

from data_pipelines.manifest import Manifest
from tests.data_pipelines.prepare.fabricated import fabricate, key_of, segments_of

BYTES_A_CLIP = 1_000
"""Of memory that grows with the corpus, at most: keys, their places in the plan, numbers."""


@pytest.mark.multi_process
@pytest.mark.parametrize("clips,shards", [
    (55_000, 150),
    pytest.param(1_100_000, 3_000, marks=pytest.mark.corpora),
])
def test_it_is_described_in_bounded_memory_and_opens_no_shard(tmp_path, clips, shards):
    fabricate(tmp_path, clips, shards)
    told = subprocess.run([sys.executable, "-m", "tests.data_pipelines.prepare.fabricated", str(tmp_path)],
                          capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    said = json.loads(told.stdout)
    print(said)
    assert (said["megabytes"] - said["megabytes_before"]) * 2**20 <= BYTES_A_CLIP * clips + 64 * 2**20
    assert said["seconds_to_open"] < 2
    manifest = Manifest.load(tmp_path)
    records = sum(map(segments_of, range(clips)))
    assert len(manifest.index["n"]) == records and os.path.getsize(tmp_path / "index.npz") <= 40 * records
    assert manifest.content["counts"]["written"] == manifest.content["counts"]["discovered"] == clips
    facts = manifest.content["label_facts"]
    assert [(fact["person_normalised"], fact["clips"]) for fact in facts] == [(False, clips // 2), (True, clips // 2)]
    assert sum(fact["frames"] for fact in facts) == 75 * records
    assert sum(fact["frames_masked"] for fact in facts) == sum(clip % 3 for clip in range(clips))
    counted = manifest.content["splits"]["train"]
    assert (counted["clips"], counted["records"]) == (clips, records)
    assert counted["values"]["au"]["count"] == [75 * shards] * 17
    rows = range(0, records, 9_973)
    assert [manifest.clip_key(row) for row in rows] == _keys(clips, set(rows))
    with open(tmp_path / "manifest.jsonl") as file:
        keys = [json.loads(line)["key"] for line in file]
    assert keys == sorted(map(key_of, range(clips)))


def _keys(clips, rows):
    """Keys of the clips behind rows of the index, which are in the order of the shards."""
    found, row = [], 0
    for clip in range(clips):
        found += [key_of(clip) for place in range(row, row + segments_of(clip)) if place in rows]
        row += segments_of(clip)
    return found
