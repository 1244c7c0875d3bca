"""Splits by lists: a line names a clip by its key or by its path, and every clip has one fate."""

import collections

import pytest

from data_pipelines import command
from data_pipelines.named_splits import divide
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.schema import DataError


def clips(*keys):
    return [ClipReference(key, "/".join(key.split("/")[:2]), Location(f"/nowhere/{key}")) for key in keys]


TCD = clips(*(f"tcd_timit/{who}/{view}/{sentence}" for who in ("01M", "30M", "Lipspkr1")
              for view in ("straightcam", "30degcam") for sentence in ("sa1", "sx5", "si1634")))


def lists(folder, **lines):
    for name, content in lines.items():
        (folder / f"{name}.scp").write_text("\n".join(content) + "\n")
    return str(folder)


def test_paths_as_they_are_published(tmp_path):
    people = "volunteers/01M", "volunteers/30F", "lipspeakers/Lipspkr1"
    train = [f"{who}/Clips/straightcam/sx5.mp4" for who in people] + ["volunteers/01M/Clips/straightcam/sa1.mp4"]
    test = ["volunteers\\01M\\Clips\\straightcam\\SI1634.mp4", "", "# elsewhere",
            "volunteers/02F/Clips/straightcam/sa1.mp4"]
    folder = lists(tmp_path, train=train, test=test)
    division = divide(folder, TCD)
    assert division.splits == {
        "tcd_timit/01M/straightcam/sa1": "train", "tcd_timit/01M/straightcam/sx5": "train",
        "tcd_timit/30M/straightcam/sx5": "train",  # copies of the corpus call her by two names
        "tcd_timit/Lipspkr1/straightcam/sx5": "train", "tcd_timit/01M/straightcam/si1634": "test"}
    assert collections.Counter(division.excluded.values()) == {"not_listed": len(TCD) - 5}
    assert division.by == "clip" and division.name == tmp_path.name
    assert "train.scp (4 lines" in division.says
    assert "1 name no clip that is here, as volunteers/02F/Clips/straightcam/sa1.mp4" in division.says


def test_keys_and_names_with_dots(tmp_path):
    found = clips("folder/p1/a", "folder/p1/a.b", "folder/p2/a")
    division = divide(lists(tmp_path, train=["folder/p1/a.b"], val=["p2/a"], test=["p1/a.mp4"]), found)
    assert division.splits == {"folder/p1/a.b": "train", "folder/p2/a": "validation", "folder/p1/a": "test"}
    assert divide(lists(tmp_path, train=["p1/a", "p1/a.b.mp4"], test=[]), found).by == "speaker"


@pytest.mark.parametrize("content,message", [
    ({"test": ["p1/a"]}, "holds no list of what trains; put train.txt in it"),
    ({"train": ["p1/a"], "test": ["p2/a", "folder/p1/a"]}, "'folder/p1/a' is folder/p1/a, which train lists as well"),
    ({"train": ["p1/p2/a"]}, "'p1/p2/a' could be folder/p1/a or folder/p2/a; write the key"),
    ({"train": ["p3/a"]}, "none of 2 clips to train on"),
    ({"train": ["p1/a"], "val": ["p2/a"], "dev": ["p2/a"]}, "dev.scp and .*val.scp both list what is for validation"),
])
def test_lists_that_cannot_be_used(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        divide(lists(tmp_path, **content), clips("folder/p1/a", "folder/p2/a"))


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe\x00p1")
    with pytest.raises(DataError, match="train.txt is no text"):
        divide(str(tmp_path), clips("folder/p1/a"))


def test_a_corpus_is_planned_by_lists(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for person in "pq":
        for clip in "ab":
            (tmp_path / "videos" / person).mkdir(parents=True, exist_ok=True)
            (tmp_path / "videos" / person / f"{clip}.mp4").write_bytes(person.encode() + clip.encode())
    (tmp_path / "train").mkdir()  # a split's name is a name, whatever lies about
    folder = tmp_path / "mine"
    folder.mkdir()
    lists(folder, train=["p/a.mp4"], test=["q/b.mp4"])
    words = ("--corpus", "folder", "--root", "videos")
    assert command.run(["scan", *words, "--split", "mine/"]) == 0
    assert "split mine (by speaker" in capsys.readouterr().out
    for split, said in (("mine", "1 train, 1 test"), ("train", "4 train")):
        assert command.run(["plan", *words, "--out", f"out_{split}", "--split", split]) == 0
        assert said in capsys.readouterr().out
