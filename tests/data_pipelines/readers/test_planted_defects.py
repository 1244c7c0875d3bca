"""What readers cannot see, preparing must: every planted clip is written, or lost for the reason it was planted for."""

import collections
import json
import re

import numpy as np
import pytest

from data_pipelines.fixtures import corpora
from data_pipelines.fixtures.corpora import CORPORA
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import ClipReference
from thjax import cli


@pytest.mark.parametrize("name", CORPORA)
def test_preparing_finds_what_scanning_could_not(planted, name):
    root, expected = planted(name)
    for clip in READERS[CORPORA[name][0]].scan(root, 1):
        if isinstance(clip, ClipReference):
            fate = expected[clip.key]
            try:
                made = make_clip(clip, Settings(size=32, min_seconds=0.5))
            except BadClip as bad:
                assert (fate.stage, fate.reason) == ("prepare", bad.reason), (fate, bad.detail)
            else:
                assert fate.stage == "usable", fate
                assert made["key"] == clip.key and abs(len(made["audio"]) - 640 * len(made["video"])) <= 640
                assert made.get("words") or not clip.words
                grey = re.search(r"begins with (\d+) grey frames", fate.defect)
                masked = list(range(int(grey[1]))) if grey else []
                assert np.flatnonzero(made["face_ok"] == 0).tolist() == masked, fate
                assert made["ledger"]["notes"] == clip.notes


def prepared(name, root, out):
    """The ledger by key, and the counts, of `thjax data prepare` over a fixture; everything trains."""
    assert cli.main(["data", "prepare", "--corpus", CORPORA[name][0], "--root", str(root), "--out", str(out), "--size",
                     "32", "--min_seconds", "0.5", "--split", "train", "--max-bad", "0.9", "--workers", "0"]) == 0
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return {line["key"]: line for line in lines}, json.loads((out / "dataset.json").read_text())["counts"]


@pytest.mark.parametrize("name", ["folder", "voxceleb2"])
def test_a_prepared_corpus_counts_what_was_planted(planted, tmp_path, name):
    root, expected = planted(name)
    ledger, counts = prepared(name, root, tmp_path / "out")
    lost = {key: fate for key, fate in expected.items() if fate.stage != "usable"}
    assert lost and counts == {
        "discovered": len(expected), "written": len(expected) - len(lost), "quarantined": len(lost), "excluded": 0,
        "removed": 0, "reasons": dict(collections.Counter(fate.reason for fate in lost.values()))}
    assert ledger.keys() == expected.keys()
    for key, line in ledger.items():
        assert (line["status"], line.get("reason", "")) == (("quarantined", lost[key].reason) if key in lost else
                                                            ("ok", "")), key
    if name == "voxceleb2":  # what its makers measured on a track is kept, and not only read
        line = ledger["voxceleb2/id00012/21Uxsk56VDQ/00002"]
        assert (line["notes"]["asd"], line["notes"]["fv"]) == ("5.142", "16.14")


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["grid", "tcd_timit"])  # the largest
def test_a_fixture_with_every_defect_is_small_at_full_size(name, tmp_path):
    corpora.make(name, tmp_path / name, defects=True)
    assert sum(path.stat().st_size for path in (tmp_path / name).rglob("*") if path.is_file()) < 3e6
