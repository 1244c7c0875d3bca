"""Named splits: the lists of their sources, nobody on two sides, the same video never for training and testing."""

import collections

import pytest

from data_pipelines import named_splits
from data_pipelines.named_splits import NAMED_SPLITS, divide
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.schema import DataError


def clip(key, split=None, path=None, **notes):
    speaker = "/".join(key.split("/")[:2])
    return ClipReference(key, speaker, Location(path or f"/nowhere/{key}"), split=split, notes=notes)


def grid(clips=10):
    return [clip(f"grid/s{n}/c{i}") for n in range(1, 35) if n != 21 for i in range(clips)]


def tcd():
    views = ("straightcam", "30degcam")
    volunteers = [f"{n:02d}{'F' if n % 2 else 'M'}" for n in range(1, 60)]
    return [clip(f"tcd_timit/{who}/{view}/sa1", view=view)
            for who in (*volunteers, "Lipspkr1", "Lipspkr2", "Lipspkr3") for view in views]


def vox(dev=130, test=5):
    return [clip(f"voxceleb2/id{n:05d}/v{n}/{i:05d}", "train" if n < dev else "test", source=f"v{n}")
            for n in range(dev + test) for i in range(2)]


def corpus(name):
    return {"grid": grid, "tcd_timit": tcd, "voxceleb2": vox, "lrw": lambda: [
        clip(f"lrw/unknown_{part}/A_{i}", part) for part in ("train", "validation", "test") for i in range(4)],
            "mead": lambda: [clip(f"mead/M{n:03d}/front/angry/level_1/001") for n in range(20)],
            "folder": lambda: [clip(f"folder/p{n}/c") for n in range(20)]}[name]()


def sizes(division):
    return {side: len(people) for side, people in division.speakers.items()}


@pytest.mark.parametrize("name", NAMED_SPLITS)
def test_every_clip_has_one_fate_and_nobody_two_sides(name):
    split = NAMED_SPLITS[name]
    clips = corpus(split.corpus or "folder")
    division = divide(name, clips, seed=3)
    assert division.splits.keys() | division.excluded.keys() == {item.key for item in clips}
    assert not division.splits.keys() & division.excluded.keys()
    assert "train" in division.speakers and "test" in division.speakers
    if split.by == "speaker":
        sides = collections.defaultdict(set)
        for item in clips:
            if item.key in division.splits:
                sides[item.speaker].add(division.splits[item.key])
        assert all(len(found) == 1 for found in sides.values())
    assert divide(name, clips[::-1], seed=3) == division
    assert division.content()["speakers"] == division.speakers and name in division.report()


def test_every_corpus_has_a_default_with_a_validation_part():
    assert named_splits.DEFAULTS.keys() == set(READERS)
    for name, split in named_splits.DEFAULTS.items():
        assert set(divide(split, corpus(name)).speakers) == {"train", "validation", "test"}


def test_grid():
    unseen = divide("grid_lipnet_unseen", grid())
    assert unseen.speakers["test"] == ["grid/s1", "grid/s2", "grid/s20", "grid/s22"]
    assert sizes(unseen) == {"train": 29, "test": 4}
    remembered = divide("grid_vougioukas2020", grid())
    assert sizes(remembered) == {"train": 16, "validation": 7, "test": 10} and not remembered.verified
    assert "UNVERIFIED" in remembered.report()
    held = {side: {int(who.removeprefix("grid/s")) for who in remembered.speakers[side]}
            for side in ("test", "validation")}
    assert held == {"test": {2, 4, 11, 13, 15, 18, 19, 25, 31, 33}, "validation": {9, 20, 23, 27, 29, 30, 34}}
    shares = [divide("grid_vougioukas2019", grid(), seed) for seed in (0, 1)]
    assert sizes(shares[0]) == {"train": 16, "validation": 7, "test": 10} and shares[0].speakers != shares[1].speakers
    last = divide("grid_chen2021_sorted", grid())
    assert sizes(last) == {"train": 27, "test": 6} and last.speakers["test"] == [f"grid/s{n}" for n in range(29, 35)]


def test_grid_by_clip_says_so():
    division = divide("grid_wang2020_clip90", grid())
    counts = collections.Counter(division.splits.values())
    assert counts == {"train": 297, "test": 33} and division.by == "clip"
    assert set(division.speakers["train"]) & set(division.speakers["test"])


def test_tcd_timit():
    division = divide("tcd_timit_speaker_independent", tcd())
    assert sizes(division) == {"train": 39, "test": 17} and "tcd_timit/08M" in division.speakers["test"]
    assert collections.Counter(division.excluded.values()) == {"other_view": 62, "accent": 3, "lipspeaker": 3}
    held = divide("tcd_timit_speaker_independent_validation", tcd())
    assert sizes(held) == {"train": 39, "validation": 5, "test": 12}
    assert held.speakers["train"] == division.speakers["train"]
    assert sizes(divide("tcd_timit_lipspeakers", tcd())) == {"train": 2, "test": 1}
    assert sizes(divide("tcd_timit_chen2021_sorted", tcd())) == {"train": 49, "test": 10}


def test_voxceleb2_holds_120_of_the_dev_speakers():
    division = divide("voxceleb2_validation120", vox())
    assert sizes(division) == {"train": 10, "validation": 120, "test": 5}
    assert division.speakers["test"] == divide("voxceleb2_official", vox()).speakers["test"]
    with pytest.raises(DataError, match="120 are to validate"):
        divide("voxceleb2_validation120", vox(dev=120))


def test_one_video_on_both_sides_is_taken_from_training(tmp_path):
    clips = [clip("voxceleb2/id00001/same/00001", "train", source="same"),
             clip("voxceleb2/id00001/own/00001", "train", source="own"),
             clip("voxceleb2/id00017/same/00001", "test", source="same")]
    division = divide("voxceleb2_official", clips)
    assert division.excluded == {"voxceleb2/id00001/same/00001": "same_video"}
    clips += [clip("voxceleb2/id00002/both/00001", "train", source="both"),
              clip("voxceleb2/id00003/both/00001", "validation", source="both"),
              clip("voxceleb2/id00017/both/00001", "test", source="both")]
    assert divide("voxceleb2_official", clips).excluded == dict.fromkeys(
        (f"voxceleb2/{name}/00001" for name in ("id00001/same", "id00002/both", "id00003/both")), "same_video")
    # Two names of one file, by a link.
    (tmp_path / "a").write_bytes(b"a" * 50)
    (tmp_path / "b").symlink_to("a")
    twins = [clip(f"lrw/unknown_{part}/{name}", part, str(tmp_path / name))
             for part, name in (("train", "a"), ("test", "b"))]
    with pytest.raises(DataError, match="none of 2 clips to train on"):
        divide("lrw_official", twins)


def test_one_content_on_both_sides_is_found_when_asked(tmp_path):
    for name, content in (("a", b"1" * 99), ("b", b"1" * 99), ("c", b"2" * 99), ("pack", b"__" + b"1" * 99)):
        (tmp_path / name).write_bytes(content)
    clips = [clip("lrw/unknown_train/a", "train", str(tmp_path / "a")),
             clip("lrw/unknown_train/c", "train", str(tmp_path / "c")),
             ClipReference("lrw/unknown_test/p", "lrw/unknown_test", Location(str(tmp_path / "pack"), "p", 2, 99),
                           split="test")]
    assert divide("lrw_official", clips).excluded == {}
    assert divide("lrw_official", clips, content=True).excluded == {"lrw/unknown_train/a": "same_video"}
    clips.append(clip("lrw/unknown_val/b", "validation", str(tmp_path / "b")))
    assert divide("lrw_official", clips, content=True).excluded == dict.fromkeys(
        ("lrw/unknown_train/a", "lrw/unknown_val/b"), "same_video")


def test_wrong_names_are_told():
    with pytest.raises(DataError, match="no split 'lrw_official' of grid; there are grid_vougioukas2020"):
        divide("lrw_official", grid())
    with pytest.raises(DataError, match="one corpus, these clips are of folder, grid"):
        divide("grid_lipnet_unseen", [*grid(), clip("folder/a/b")])
    with pytest.raises(DataError, match="these clips are of none"):
        divide("grid_lipnet_unseen", [])
    with pytest.raises(DataError, match="none of 4 clips to train on"):
        divide("grid_lipnet_unseen", [item for item in grid(4) if item.speaker == "grid/s1"])
