"""A folder with everything that people's disks hold: each bad thing costs itself, and the run completes."""

import json
import os

import numpy as np
import pytest

from data_pipelines import command
from data_pipelines.manifest import Manifest
from data_pipelines.prepare.command import verify
from tests.data_pipelines.prepare.filming import film
from tests.data_pipelines.prepare.test_bad_media import cut, fast_start
from tests.data_pipelines.prepare.test_openface_labels import content, lines_of

FRAMES, SIZE = 15, (32, 40)


def small(path, frames=FRAMES, rate=25, **options):
    return film(path, frames, rate, **({"size": SIZE, "tone": 0.3} | options))


def prepare(root, out, *more):
    return command.run(["prepare", "--corpus", "folder", "--root", str(root), "--out", str(out), "--size", "16",
                        "--workers", "0", "--max-bad", "0.9", "--split", "train", *more])


@pytest.fixture
def bad_folder(tmp_path, monkeypatch):
    root = tmp_path / "films"
    small(root / "good" / "plain.mp4")
    small(root / "good" / "variable.mp4", 40, 50, times=[t for t in range(40) if t % 3])
    small(root / "good" / "ten_bit.mp4", pixels="yuv420p10le")
    small(root / "good" / "odd.mp4", size=(33, 47), video="mpeg4")
    small(root / "good" / "surround.mkv", layout="5.1", audio_rate=48_000)
    small(root / "good" / "telephone.mkv", sound="pcm_s16le", audio_rate=8_000)
    (root / "bad").mkdir()
    (root / "bad" / "empty.mp4").touch()
    cut(fast_start(small(root / "bad" / "whole.mp4", 75)), 0.5).rename(root / "bad" / "truncated.mp4")
    os.remove(root / "bad" / "whole.mp4")
    os.remove(root / "bad" / "moved.mp4")
    small(root / "bad" / "audio_only.mp4", video=None)
    small(root / "bad" / "audio_beside.m4a", video=None)
    small(root / "bad" / "video_only.mp4", sound=None)
    small(root / "bad" / "hour.mp4", 61, audio_seconds=2, times=[*range(60), 60 * 60 * 25])
    small(root / "bad" / "twice.mp4")
    small(root / "bad" / "twice.mkv")
    os.rename(small(root / "bad" / "name.mp4"), os.fsencode(root) + b"/bad/\xff\xfe.mp4")
    os.symlink("..", root / "bad" / "loop")
    (root / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):  # by hand, for root may read everything
        if str(path).endswith("/locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return root


def test_each_bad_thing_has_a_reason_and_the_rest_is_written(bad_folder, tmp_path, capsys):
    out = tmp_path / "records"
    assert prepare(bad_folder, out) == 0
    counts = Manifest.load(out).content["counts"]
    assert counts["reasons"] == {
        "duplicate_key": 1, "empty_file": 1, "name_not_utf8": 1, "no_audio": 1, "no_video": 2, "symlink_loop": 1,
        "too_long": 1, "truncated": 1, "unreadable_folder": 1}
    assert counts["written"] == 6 + 1 and counts["quarantined"] == 10 and counts["discovered"] == 17
    lines = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert all(line["detail"] and line["source"] for line in lines)
    assert verify(["--data", str(out), "--decode", "--workers", "1"]) == 0


def without(name):
    return lambda table: {column: values for column, values in table.items() if column != name}


def rows_left_out(table):
    keep = np.r_[0:3, 5:FRAMES]
    return {column: np.asarray(values)[keep] for column, values in table.items()}


def test_bad_tables_of_openface_cost_their_clips(tmp_path):
    root, folder = tmp_path / "films", tmp_path / "labels"
    changes = {"whole": dict, "missing_rows": rows_left_out, "without_a_unit": without("AU12_r"),
               "renamed": lambda table: {name.replace("pose_", "p_"): values for name, values in table.items()},
               "unlabelled": None}
    for name, change in changes.items():
        video = film(root / name / "c.mp4", FRAMES, size=(64, 96), tone=0.3)
        if change is None:
            continue
        table = folder / "folder" / name / "c.csv"
        table.parent.mkdir(parents=True)
        table.write_text("\n".join(lines_of(content(FRAMES, 25))))
        command.run(["openface", "--csv", str(table), "--video", str(video)])
        table.write_text("\n".join(lines_of(change(content(FRAMES, 25)))))
    out = tmp_path / "records"
    assert prepare(root, out, "--labels", str(folder)) == 0
    manifest = Manifest.load(out)
    assert manifest.content["counts"]["reasons"] == {"label_mismatch": 2, "no_labels": 1}
    assert manifest.speakers == ["folder/missing_rows", "folder/whole"]
    (fact,) = manifest.content["label_facts"]
    assert (fact["clips"], fact["frames_interpolated"], fact["frames_masked"]) == (2, 2, 0)
    lines = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    said = {line["source"].partition("/")[0]: line["detail"] for line in lines}
    assert "lacks the columns AU12_r" in said["without_a_unit"] and "lacks the columns pose_Tx" in said["renamed"]
