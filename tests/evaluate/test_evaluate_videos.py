"""Folders of mp4 judged beside references: what fits is judged, the rest is counted and named."""

import json
import shutil

import numpy as np
import pytest

from data_pipelines.mp4 import write_mp4
from tests.evaluate import planted
from thjax.core.errors import UserError
from thjax.evaluate import command
from thjax.evaluate.judges import Judges
from thjax.evaluate.result import result_of
from thjax.evaluate.videos import collect_videos, speaker_of

pytest.importorskip("av")
FRAMES = 24


def picture(seed, count=FRAMES, size=64, blind=False):
    """Large flat patches, which a codec keeps: green where the judges of `planted` look for a face."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(40, 200, (count, size // 16, size // 16, 3)).repeat(16, 1).repeat(16, 2).astype(np.uint8)
    frames[:, :16, :16] = 0 if blind else 200
    return frames


def sound(count=FRAMES):
    return (8000 * np.sin(np.arange(count * 640) / 7)).astype(np.int16)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three clips that fit and one of each kind that does not."""
    place = tmp_path_factory.mktemp("videos")
    videos, reference = place / "made", place / "true"
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        write_mp4(reference / f"{name}.mp4", picture(seed), sound())
        write_mp4(videos / f"{name}.mp4", picture(seed), sound())
    np.save(reference / "a.landmarks.npy", planted.clip(count=FRAMES).landmarks)
    write_mp4(reference / "alone.mp4", picture(3), sound())
    write_mp4(videos / "extra.mp4", picture(3), sound())
    unlike = {"longer": (picture(4, FRAMES + 6), picture(4)), "wider": (picture(4, size=96)[:, :64], picture(4)),
              "faceless": (picture(5), picture(5, blind=True))}
    for name, (made, true) in unlike.items():
        write_mp4(videos / f"{name}.mp4", made, None)
        write_mp4(reference / f"{name}.mp4", true, sound())
    for name, audio in (("mute", None), ("silent", np.zeros(FRAMES * 640, np.int16))):
        write_mp4(videos / f"{name}.mp4", picture(6), None)
        write_mp4(reference / f"{name}.mp4", picture(6), audio)
    (reference / "mumbled.align").write_text("0 25000\n")
    for side in (videos, reference):
        write_mp4(side / "mumbled.mp4", picture(6), sound())
    for name, side, other in (("torn", videos, reference), ("torn_truth", reference, videos)):
        write_mp4(other / f"{name}.mp4", picture(7), sound())
        (side / f"{name}.mp4").write_bytes((other / f"{name}.mp4").read_bytes()[:300])
    return videos, reference


def test_what_fits_is_judged_and_the_rest_is_counted_and_named(folders):
    collected, shown = collect_videos(*folders, judges=planted.judges())
    result = result_of(collected, "thjax evaluate --videos made --reference true")
    assert result.keys == ["a", "b", "c"] and [truth.key for truth in shown.truths][:1] == ["a"]
    assert result.not_judged == {
        "no video of this name": ["alone.mp4"], "no reference of this name": ["extra.mp4"],
        "no face in the reference": ["faceless.mp4"], "video and reference differ in shape": ["wider.mp4"],
        "video and reference differ in length by more than 5 frames": ["longer.mp4"],
        "no sound in the reference": ["mute.mp4", "silent.mp4"], "the words cannot be read": ["mumbled.mp4"],
        "the video cannot be read": ["torn.mp4"], "the reference cannot be read": ["torn_truth.mp4"],
    }
    assert not result.adapted and "hs stands without independent_pose" in result.cautions[-1]
    assert result.cautions[-2].startswith("sync of 3 clips of fewer than 35 frames")
    assert "differences marked ? are unreliable: fewer than 8 clips" in result.cautions[0]
    rows = result.rows
    assert list(rows)[:4] == ["re_encoded_truth", "ours", "copy_first_frame", "shuffled_pairing"]
    assert rows["ours"]["psnr"].mean > 30 > rows["copy_first_frame"]["psnr"].mean
    # Landmarks lie beside one reference; the judge of faces found those of the others.
    assert rows["ours"]["mouth_psnr"].n == 1 and rows["ours"]["mouth_psnr[synthetic]"].n == 2
    assert rows["ours"]["acd[synthetic, head 64]"].n == 3 and "wer[synthetic]" not in rows["ours"]
    assert rows["ours"]["psnr"].ci95_speakers is None


def test_what_others_write_is_made_to_fit_and_named(tmp_path):
    videos, reference = tmp_path / "made", tmp_path / "true"
    true = picture(8, 25)
    for name, made, fps in (("alike", true, 25), ("enlarged", true.repeat(2, 1).repeat(2, 2), 25),
                            ("fast", true.repeat(2, 0), 50), ("short", true[:22], 25)):
        write_mp4(videos / f"{name}.mp4", made, None, fps=fps)
        write_mp4(reference / f"{name}.mp4", true, sound(25))
    (reference / "short.align").write_text("0 5000 sil\n5000 12000 bin\n12000 20000 blue\n")
    collected, shown = collect_videos(videos, reference, judges=planted.judges())
    result = result_of(collected, "")
    assert not result.not_judged and result.adapted == {
        "the video was scaled to the reference's size": ["enlarged.mp4"],
        "the video was read at 25 frames a second by its timestamps": ["fast.mp4"],
        "cut at the end, by at most 5 frames, to the shorter of video and reference": ["short.mp4"],
    }
    alike, *others = result.per_clip["ours"]["psnr"]
    # The codec, twice the same frames, does not always write the same bytes; a wrong frame has 15.
    assert alike > 50 and min(others) > 35
    truths = {truth.key: truth for truth in shown.truths}
    assert len(truths["short"].frames) == 22 and truths["short"].words == [("bin", 0.2, 0.48), ("blue", 0.48, 0.8)]
    few, _ = collect_videos(videos, reference, judges=planted.judges(), limit=2)
    assert [clip.key for clip in few.clips.values()] == ["alike", "short"]


def test_the_command_writes_and_prints_everything(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Judges, "load", classmethod(lambda cls, public: planted.judges()))
    videos, reference = folders
    arguments = ["--videos", str(videos), "--reference", str(reference)]
    assert command.run([*arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "table.json").read_text())
    assert written["not_judged"]["no video of this name"] == ["alone.mp4"] and "alone.mp4" in printed
    assert list(written["rows"])[0] == "re_encoded_truth" and "3 clips judged, 10 not" in printed
    assert all(len(line) <= command.PIPE_COLUMNS for line in printed.splitlines())
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3 and "Clips not judged" in page
    assert {path.name for path in tmp_path.iterdir()} == {
        "table.json", "clips.csv", "report.html", "contact_sheet.png", "landmarks.png", "sync_curves.png"}


@pytest.mark.parametrize("count", [1, 12])
def test_clips_too_short_for_sync_are_judged_by_the_rest(tmp_path, monkeypatch, count):
    monkeypatch.setattr(Judges, "load", classmethod(lambda cls, public: planted.judges()))
    for name, frames in (("a", count), ("b", count), ("whole", FRAMES)):
        for side in ("made", "true"):
            write_mp4(tmp_path / side / f"{name}.mp4", picture(1, frames), sound(frames))
    arguments = ["--videos", str(tmp_path / "made"), "--reference", str(tmp_path / "true")]
    assert command.run([*arguments, "--out", str(tmp_path / "out")]) == 0
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert rows["ours"]["psnr"]["n"] == 3 and rows["ours"]["sync_confidence[synthetic]"]["n"] == 1


def test_pictures_too_small_for_the_judges_are_told_by_their_pixels(tmp_path):
    for side in ("made", "true"):
        write_mp4(tmp_path / side / "small.mp4", picture(1, size=32), sound())
    collected, _ = collect_videos(tmp_path / "made", tmp_path / "true", judges=planted.judges())
    result = result_of(collected, "")
    assert not result.not_judged and result.rows["ours"]["psnr"].n == 1
    assert any("too small" in reason for reason in collected.left_out)


def test_fewer_clips_than_none_are_refused(tmp_path):
    with pytest.raises(UserError, match="--clips -1 must be 1 or more"):
        command.run(["--videos", str(tmp_path), "--reference", str(tmp_path), "--clips", "-1", "--out", str(tmp_path)])


def test_shards_of_videos_are_one_table(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Judges, "load", classmethod(lambda cls, public: planted.judges()))
    videos, reference = folders
    arguments = ["--videos", str(videos), "--reference", str(reference)]
    command.run([*arguments, "--out", str(tmp_path / "whole")])
    for index in (1, 2):
        command.run([*arguments, "--out", str(tmp_path / str(index)), "--shard", f"{index}/2"])
    command.run(["--merge", str(tmp_path / "1"), str(tmp_path / "2"), "--out", str(tmp_path / "merged")])
    tables = [json.loads((tmp_path / name / "table.json").read_text()) for name in ("whole", "merged")]
    assert tables[0]["rows"] == tables[1]["rows"] and tables[0]["not_judged"] == tables[1]["not_judged"]


def test_nothing_to_judge_is_an_error_that_says_why(folders, tmp_path):
    videos, reference = tmp_path / "made", tmp_path / "true"
    for folder, name in ((videos, "x.mp4"), (reference, "y.mp4")):
        folder.mkdir()
        shutil.copy(folders[0] / "a.mp4", folder / name)
    arguments = ["--metrics", "basic", "--out", str(tmp_path / "out"), "--videos", str(videos), "--reference"]
    with pytest.raises(UserError, match="none of the 2 clips could be judged. no reference of this name: x.mp4"):
        command.run([*arguments, str(reference)])
    with pytest.raises(UserError, match="no folder"):
        command.run([*arguments, str(tmp_path / "nowhere")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither"):
        collect_videos(tmp_path / "empty", tmp_path / "empty", judges=Judges())
    with pytest.raises(UserError, match="needs --reference"):
        command.run(["--videos", str(videos), "--out", str(tmp_path / "out")])


def test_a_folder_of_its_own_names_the_speaker():
    assert speaker_of("s1/bbaf2n.mp4") == "s1" and speaker_of("bbaf2n.mp4") is None
