"""Clips on disk become label files, every one accounted for; shards, kills and restarts change no byte."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data_pipelines import command as data
from data_pipelines.labels import command
from data_pipelines.manifest import Manifest
from data_pipelines.records import decode
from data_pipelines.schema import DataError
from tests.data_pipelines.labels import planted

FRAMES = 20
MOVING = [10 + 2 * frame for frame in range(FRAMES)]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two speakers with three films each of a box that goes to the right by two pixels a frame."""
    root = tmp_path_factory.mktemp("films")
    for number, speaker in enumerate("ab"):
        for clip in range(3):
            planted.film(root / speaker / f"c{clip}.mp4", MOVING, top=10 + 10 * number + clip)
    return root


@pytest.fixture(autouse=True)
def boxes():
    with planted.instead_of():
        yield


def label(root, out, *options):
    words = ["--tracker", "mediapipe", "--corpus", "folder", "--root", str(root), "--out", str(out), "--workers", "0"]
    return command.run([*words, *map(str, options)])


def written(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*.npz"))}


def content(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def lines(out, name="untracked-0-of-1.jsonl"):
    return [json.loads(line) for line in (out / "folder" / name).read_text().splitlines()]


def test_a_label_file_says_where_the_face_is_and_of_which_video(films, tmp_path, capsys):
    assert label(films, tmp_path, "--focal", 300) == 0
    made, video = content(tmp_path / "folder" / "b" / "c1.npz"), films / "b" / "c1.mp4"
    np.testing.assert_allclose(made["times"], np.arange(FRAMES) / 25, atol=1e-6)
    expected = [planted.landmarks(21, left, 21 + planted.FACE[0], left + planted.FACE[1]) for left in MOVING]
    np.testing.assert_allclose(made["landmarks"], expected, atol=1e-4)
    assert made["face_ok"].all() and str(made["tracker"]) == "mediapipe" and made["focal"] == 300
    assert int(made["video_bytes"]) == video.stat().st_size
    assert str(made["video_sha256"]) == hashlib.sha256(video.read_bytes()).hexdigest()
    assert (np.diff(made["pose"][:, 0]) > 0).all() and (made["pose"][:, 2] > 0).all()  # to the right, before the camera
    said = capsys.readouterr().out
    assert "6 clips = 6 labelled + 0 without labels" in said
    assert "120 pictures at 25 a second, 120 looked at, 0 of these" in said
    assert "ms of a process a picture" in said and "clips/s" in said


def test_shards_together_are_the_whole_to_the_byte(films, tmp_path):
    for rank in (0, 1):
        label(films, tmp_path / "shards", "--rank", rank, "--nshard", 2)
        assert len(written(tmp_path / "shards")) == 3 * (rank + 1)
    label(films, tmp_path / "whole")
    assert written(tmp_path / "shards") == written(tmp_path / "whole")


CHILD = """
import sys
from data_pipelines.labels import command
from tests.data_pipelines.labels import planted
with planted.instead_of():
    command.run(sys.argv[1:])
"""


@pytest.mark.multi_process
def test_killed_and_started_again_it_goes_on(films, tmp_path):
    words = ["--tracker", "mediapipe", "--corpus", "folder", "--root", str(films), "--out", str(tmp_path / "killed"),
             "--workers", "0"]
    child = subprocess.Popen([sys.executable, "-c", CHILD, *words], env=os.environ | {planted.SLOW: "0.02"})
    deadline = time.monotonic() + 120
    while len(written(tmp_path / "killed")) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = {name: (tmp_path / "killed" / name).stat().st_mtime_ns for name in written(tmp_path / "killed")}
    assert 2 <= len(before) < 6
    planted.Boxes.calls = 0
    assert label(films, tmp_path / "killed") == 0
    assert planted.Boxes.calls == FRAMES * (6 - len(before))
    assert {name: (tmp_path / "killed" / name).stat().st_mtime_ns for name in before} == before
    label(films, tmp_path / "whole")
    assert written(tmp_path / "killed") == written(tmp_path / "whole")


def test_interpolated_pictures_are_flagged_by_prepare(films, tmp_path):
    label(films, tmp_path / "labels", "--every", 3)
    looked_at = content(tmp_path / "labels" / "folder" / "a" / "c0.npz")["times"]
    np.testing.assert_allclose(looked_at, np.array([0, 3, 6, 9, 12, 15, 18, 19]) / 25, atol=1e-6)
    prepared = data.run(["prepare", "--corpus", "folder", "--root", str(films), "--out", str(tmp_path / "records"),
                         "--labels", str(tmp_path / "labels"), "--size", "32", "--split", "clips_80_10_10",
                         "--workers", "0"])
    manifest = Manifest.load(tmp_path / "records")
    assert prepared == 0 and manifest.content["counts"]["written"] == 6
    assert manifest.content["label_source"] == {"landmarks": "mediapipe", "pose": "mediapipe",
                                                "au": "geometric(approximate)"}
    assert manifest.content["label_facts"] == [{
        "sources": manifest.content["label_source"], "tracker_version": "boxes 1", "every": 3, "focal": None,
        "clips": 6, "frames": 6 * FRAMES, "frames_masked": 0, "frames_interpolated": 6 * (FRAMES - 8)}]
    for record in records_of(manifest):
        flags = np.full(FRAMES, 2)
        flags[[0, 3, 6, 9, 12, 15, 18, 19]] = 1
        np.testing.assert_array_equal(record["face_ok"], flags)
        # The box moves evenly, so what lies between is known: 2 of 96 rows' pixels a frame in a square of 32.
        np.testing.assert_allclose(np.diff(record["landmarks"][:, :, 0], axis=0), 2 * 32 / planted.HEIGHT, atol=1e-3)


def records_of(manifest):
    from array_record.python.array_record_module import ArrayRecordReader

    for path in sorted(manifest.directory.rglob("*.array_record")):
        reader = ArrayRecordReader(str(path))
        yield from map(decode, reader.read_all())


def test_clips_and_pictures_without_a_face_are_counted_and_named(films, tmp_path, capsys):
    root = tmp_path / "films"
    planted.film(root / "c" / "empty.mp4", [None] * FRAMES)
    planted.film(root / "c" / "leaves.mp4", [40] * 15 + [None] * 5)
    (root / "c" / "junk.mp4").write_bytes(b"no film" * 99)
    (root / "c" / "nothing.mp4").touch()
    assert label(root, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "3 clips = 1 labelled + 2 without labels" in said and "1 no_face" in said and "1 unreadable" in said
    assert "1 of 4 things found are no clips (1 empty_file)" in said
    assert "5 of these without the clip's face, in 1 clips" in said
    named = {line["key"]: line for line in lines(tmp_path / "out")}
    empty = named["folder/c/empty"]
    assert empty["reason"] == "no_face" and "in any of 20 pictures" in empty["detail"]
    assert named["folder/c/leaves"] == {"key": "folder/c/leaves", "lost": 5, "looked_at": 20}
    made = content(tmp_path / "out" / "folder" / "c" / "leaves.npz")
    np.testing.assert_array_equal(made["face_ok"], [1] * 15 + [0] * 5)
    planted.Boxes.calls = 0
    label(root, tmp_path / "out")  # clips that are given up are not tried again
    assert planted.Boxes.calls == 0 and {line["key"]: line for line in lines(tmp_path / "out")} == named
    assert "3 of them were there already" in capsys.readouterr().out


def test_nothing_labelled_is_an_error(tmp_path):
    planted.film(tmp_path / "films" / "a" / "c.mp4", [None] * 5)
    with pytest.raises(DataError, match=r"not one of 1 clips could be labelled \(1 no_face\)"):
        label(tmp_path / "films", tmp_path / "out")


def test_another_person_for_a_moment_is_not_the_clips_face(tmp_path):
    others = [()] * FRAMES
    others[4] = others[5] = (80,)
    lefts = [5] * 5 + [None] + [5] * (FRAMES - 6)
    planted.film(tmp_path / "films" / "a" / "c.mp4", lefts, others=others)
    label(tmp_path / "films", tmp_path / "out")
    made = content(tmp_path / "out" / "folder" / "a" / "c.npz")
    np.testing.assert_array_equal(np.flatnonzero(made["face_ok"] == 0), [5])
    assert made["landmarks"][made["face_ok"] > 0][..., 0].max() < 50


def test_a_video_that_was_replaced_is_labelled_again(tmp_path):
    path = planted.film(tmp_path / "films" / "a" / "c.mp4", [10] * 8)
    label(tmp_path / "films", tmp_path / "out")
    planted.film(path, [50] * 12)
    label(tmp_path / "films", tmp_path / "out")
    made = content(tmp_path / "out" / "folder" / "a" / "c.npz")
    assert int(made["video_bytes"]) == path.stat().st_size and len(made["times"]) == 12


def test_a_video_that_was_replaced_by_one_without_a_face_keeps_no_old_labels(tmp_path, monkeypatch):
    path = planted.film(tmp_path / "films" / "a" / "c.mp4", [10] * 8)
    planted.film(tmp_path / "films" / "a" / "d.mp4", [10] * 8)
    label(tmp_path / "films", tmp_path / "out")
    planted.film(path, [None] * 12)
    label(tmp_path / "films", tmp_path / "out")
    assert not (tmp_path / "out" / "folder" / "a" / "c.npz").exists()
    monkeypatch.setattr(planted.Boxes, "faces", lambda self, image: 1 / 0)  # nothing is tracked again
    label(tmp_path / "films", tmp_path / "out")
    assert [line["reason"] for line in lines(tmp_path / "out")] == ["no_face"]


def test_labels_of_two_ways_do_not_mix(films, tmp_path):
    label(films, tmp_path)
    with pytest.raises(DataError, match="made with every 1, not 2"):
        label(films, tmp_path, "--every", 2)
    with pytest.raises(DataError, match="tracker mediapipe, not dlib"), planted.instead_of("dlib"):
        label(films, tmp_path, "--tracker", "dlib")


@pytest.mark.parametrize("option,value,message", [
    ("--every", 13, "every 13 must be 1 to 12"), ("--every", 0, "every 0 must be"),
    ("--focal", -1, "focal -1.0 must be pixels above 0"), ("--focal", "nan", "focal nan must be"),
    ("--root", "/nowhere", "no such folder"), ("--rank", 2, "rank 2 must be 0 to 0")])
def test_wrong_options_are_named(films, tmp_path, option, value, message):
    with pytest.raises(DataError, match=message):
        label(films, tmp_path, option, value)
