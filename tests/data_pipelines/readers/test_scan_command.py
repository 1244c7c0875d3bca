"""`thjax data scan` and `thjax data fixtures`, as a user calls them; and that fixtures are encoded as their corpora."""

import json

import pytest

from data_pipelines import media
from data_pipelines.fixtures import corpora, encode
from data_pipelines.schema import DataError
from thjax import cli


def test_scan_reports_and_writes_what_it_found(planted, tmp_path, capsys):
    root, expected = planted("voxceleb2")
    assert cli.main(["data", "scan", "--corpus", "voxceleb2", "--root", str(root), "--out", str(tmp_path / "a.jsonl"),
                     "--split", "voxceleb2_official"]) == 0
    said = capsys.readouterr().out
    for part in ("7 clips of 3 speakers, 3 rejected", "licence: ", "6 train", "rejected: empty_file", "00004.mp4 has 0",
                 "4 with av_offset", "1 clips of 1 speakers: test"):
        assert part in said, said
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == sorted(expected)
    assert {line["reason"] for line in lines if "reason" in line} == {"empty_file", "no_video"}


def test_scan_says_what_is_wrong_with_its_arguments(planted, tmp_path, capsys):
    root, _ = planted("lrw")
    arguments = ["data", "scan", "--corpus", "lrw", "--root"]
    assert cli.main([*arguments, str(root), "--split", "help"]) == 0
    assert "lrw_official: " in capsys.readouterr().out
    for wrong, message in (([str(tmp_path)], "holds nothing in the layout of 'lrw'"),
                           ([str(tmp_path / "gone")], "no such folder"),
                           ([str(root), "--split", "grid_lipnet_unseen"], "no split 'grid_lipnet_unseen' of lrw"),
                           ([str(root), "--out", str(tmp_path / "no" / "a")], "no such folder; make it")):
        assert cli.main([*arguments, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_fixtures_without_defects_are_sound(tmp_path, capsys):
    out = tmp_path / "folder"
    command = ["data", "fixtures", "--corpus", "folder", "--out", str(out), "--shrink", "4"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert said.count("usable") == 3 and f"thjax data scan --corpus folder --root {out}" in said
    assert cli.main(command) == 2
    assert "holds something already" in capsys.readouterr().err


def test_unknown_fixtures_are_told(tmp_path):
    with pytest.raises(DataError, match="no fixture 'timit'"):
        corpora.make("timit", tmp_path)
    with pytest.raises(DataError, match="shrink 0"):
        corpora.make("grid", tmp_path, shrink=0)


@pytest.mark.parametrize(("name", "path", "form", "frames"), [
    ("grid", "s1/bbaf2n.mpg", encode.GRID, 75),
    ("lrw", "lipread_mp4/ABOUT/val/ABOUT_00001.mp4", encode.LRW, 29),
    ("tcd_timit", "volunteers/01M/Clips/straightcam/sa1.mp4", encode.TCD_TIMIT, 32),
    ("voxceleb2", "dev/mp4/id00015/0fijmz4vTVU/00001.mp4", encode.VOXCELEB2, 50),
    ("mead", "M003/video/front/angry/level_1/001.mp4", encode.MEAD, 32),
])
def test_fixtures_have_the_codecs_and_rates_of_their_corpora(planted, name, path, form, frames):
    probe = media.probe(planted(name)[0] / path)
    assert (probe.frames, probe.width, probe.height) == (frames, form.shrunk(4).width, form.shrunk(4).height)
    assert probe.fps == pytest.approx(float(form.fps), abs=1e-3)
    names = {"libx264": "h264", "mp2": "mp2float"}
    assert [names.get(codec, codec) for codec in (form.video, form.audio) if codec] == [
        names.get(codec, codec) for codec in probe.codecs]
    assert probe.audio_rate == (form.rate if form.audio else 0)
    if name == "lrw":
        assert probe.audio_samples >= 19_456 > 29 * 640
