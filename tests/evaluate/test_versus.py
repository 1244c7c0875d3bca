"""Systems against each other: planted differences are found, equal ones are not, what cannot be compared is said."""

import csv
import json

import numpy as np
import pytest

from thjax.core.errors import UserError
from thjax.evaluate import command
from thjax.evaluate.versus import compare_folders, names_of

CLIPS, SPEAKERS = 40, 10


def evaluation(folder, shift, seed, clips=CLIPS, wer=True, speakers=SPEAKERS):
    """A clips.csv in which `psnr` is a clip's own value, shifted and shaken, and `jitter` is the clip's alone."""
    rng, own = np.random.default_rng(seed), np.random.default_rng(0).normal(25, 3, (CLIPS, 2))
    folder.mkdir()
    with open(folder / "clips.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "clip", "speaker", "psnr", "jitter", *(["wer[synthetic]"] if wer else [])])
        for number in range(clips):
            shaken = own[number, 0] + shift + rng.normal(0, 0.3)
            one = [f"clip{number}", f"s{number % speakers}" if speakers else "", shaken, own[number, 1]]
            writer.writerow(["ours", *one, *([""] if wer else [])])
            writer.writerow(["copy_first_frame", *one[:2], 0, 0, *([""] if wer else [])])
    return folder


def test_a_planted_difference_is_found_and_none_where_there_is_none(tmp_path):
    folders = [evaluation(tmp_path / name, shift, seed) for name, shift, seed in (("a", 0.0, 1), ("b", 1.0, 2))]
    found = compare_folders(folders)
    [psnr], [jitter] = found.found["psnr"], found.found["jitter"]
    assert psnr.difference.mean == pytest.approx(-1.0, abs=0.3) and psnr.p_holm < 0.01
    assert psnr.difference.ci95_speakers[1] < 0 and psnr.difference.speakers == SPEAKERS
    assert jitter.difference.mean == 0 and jitter.p_holm == 1
    assert found.clips == {"shared": CLIPS, "a": CLIPS, "b": CLIPS}


def test_the_command_prints_pairs_writes_them_and_names_what_some_lack(tmp_path, capsys):
    folders = [evaluation(tmp_path / "a", 0, 1), evaluation(tmp_path / "b", 0.5, 2, clips=30, wer=False),
               evaluation(tmp_path / "c", 3, 3)]
    with open(folders[0] / "clips.csv") as file:
        text = file.read()
    (folders[0] / "clips.csv").write_text(text.replace("jitter", "ssim"))
    assert command.run(["--compare", *map(str, folders), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "a - b" in printed and "b - c" in printed and "shared 30, a 40, b 30, c 40" in printed
    assert "not compared, as not all have them: ssim, jitter" in printed
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [pair["systems"] for pair in written["comparisons"]["psnr"]] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert written["left_out"] == ["ssim", "jitter"]


@pytest.mark.parametrize("clips, speakers, marked", [(CLIPS, 8, False), (CLIPS, 7, True), (8, 0, False), (7, 0, True)])
def test_differences_of_few_speakers_are_marked(tmp_path, capsys, clips, speakers, marked):
    folders = [evaluation(tmp_path / name, shift, 1, clips, speakers=speakers) for name, shift in (("a", 0), ("b", 3))]
    assert command.run(["--compare", *map(str, folders)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert ("-3.00 [-3.00, -3.00]?" in printed) == marked == ("are unreliable, p and all" in printed)


def test_head_similarity_is_not_compared_without_its_controls(tmp_path, capsys):
    folders = [evaluation(tmp_path / name, 0, seed) for name, seed in (("a", 1), ("b", 2))]
    for folder in folders:
        text = (folder / "clips.csv").read_text()
        (folder / "clips.csv").write_text(text.replace("jitter", "hs[synthetic]"))
    assert command.run(["--compare", *map(str, folders), "--out", str(tmp_path / "out")]) == 0
    assert "say nothing without their controls: hs[synthetic]" in " ".join(capsys.readouterr().out.split())
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert list(written["comparisons"]) == ["psnr"] and written["without_controls"] == ["hs[synthetic]"]


def test_what_cannot_be_compared_says_why(tmp_path):
    one = evaluation(tmp_path / "a", 0, 1)
    with pytest.raises(UserError, match="two or more folders"):
        compare_folders([one])
    with pytest.raises(UserError, match="holds no clips.csv"):
        compare_folders([one, tmp_path])
    other = evaluation(tmp_path / "b", 0, 1)
    text = (other / "clips.csv").read_text()
    (other / "clips.csv").write_text(text.replace("clip", "film").replace("film,", "clip,"))
    with pytest.raises(UserError, match="no clip in common"):
        compare_folders([one, other])
    (other / "clips.csv").write_text("psnr\n3\n")
    with pytest.raises(UserError, match="no columns row, clip and speaker"):
        compare_folders([one, other])
    alike = [tmp_path / "x" / "e", tmp_path / "y" / "e"]
    assert names_of(alike) == list(map(str, alike))
