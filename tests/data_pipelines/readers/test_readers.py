"""Every reader on a small corpus in its layout: all that is planted is found, as what it is, and can be opened."""

import dataclasses

import pytest

from data_pipelines import media
from data_pipelines.fixtures.corpora import CORPORA
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import AUDIO_FALLBACK, REASONS, ClipReference
from data_pipelines.schema import DataError


def scan(name, root, workers=2):
    return list(READERS[CORPORA[name][0]].scan(root, workers))


@pytest.mark.parametrize("name", CORPORA)
def test_all_that_is_planted_is_found(planted, name):
    root, expected = planted(name)
    found = scan(name, root)
    assert [item.key for item in found] == sorted(expected)
    for item in found:
        fate = expected[item.key]
        if isinstance(item, ClipReference):
            assert fate.stage in ("usable", "prepare"), fate
        else:
            assert (fate.stage, fate.reason) == ("scan", item.reason), fate
            assert item.reason in REASONS and len(item.detail) > 20
    assert any(fate.defect for fate in expected.values())
    assert scan(name, root, workers=5) == found


@pytest.mark.parametrize("name", CORPORA)
def test_references_lead_to_the_media(planted, name, tmp_path):
    root, expected = planted(name)
    for clip in scan(name, root):
        if not isinstance(clip, ClipReference) or expected[clip.key].stage != "usable":
            continue
        assert clip.key.startswith(clip.speaker + "/") and clip.speaker.startswith(CORPORA[name][0] + "/")
        probe = media.probe(cut_out(clip.video, tmp_path / "video"))
        assert probe.frames >= 29 and probe.width > 0
        if clip.audio is None:
            assert probe.audio_samples > 0, clip.key
        else:
            assert clip.notes["audio"] == AUDIO_FALLBACK
            assert media.probe(cut_out(clip.audio, tmp_path / "sound")).audio_samples > 0


def cut_out(location, path):
    """The bytes that a location names, as a file."""
    with open(location.path, "rb") as file:
        file.seek(location.start)
        path.write_bytes(file.read() if location.size is None else file.read(location.size))
    return path


def of(name, root):
    return {item.key: item for item in scan(name, root)}


def test_alignments_in_the_wrong_folder_find_their_speaker(planted):
    clips = of("grid", planted("grid")[0])
    clip = clips["grid/s1/bbaf2n"]
    assert clip.notes["alignment"] == "alignments/s2" and clip.sentence == "bin blue at f two now"
    assert [word for word, _, _ in clip.words] == clip.sentence.split() and clip.words[-1][2] < 3
    assert clips["grid/s2/prau6n"].words is None and clips["grid/s2/prau6n"].notes == {"labels": "missing"}
    assert "lay green by s one again" in clips["grid/s1/sgwp8a"].detail


def test_alignments_without_videos_are_one_reject_a_folder(tmp_path):
    (tmp_path / "s1").mkdir()
    (tmp_path / "alignments" / "s1").mkdir(parents=True)
    for stem in ("bbaf2n", "lgbs1a", "pria7p"):
        (tmp_path / "alignments" / "s1" / f"{stem}.align").write_text("0 74500 sil\n")
    (tmp_path / "s1" / "bbaf2n.mpg").write_bytes(b"x")
    (tmp_path / "bbaf2n.mpg").write_bytes(b"x")
    lost, astray, clip = scan("grid", tmp_path)
    assert (clip.key, clip.notes["labels"]) == ("grid/s1/bbaf2n", "unreadable: no word in the alignment; get it again, "
                                                                  "or remove it")
    assert (lost.key, lost.reason) == ("grid/alignments/s1", "no_video") and "2 of 3" in lost.detail
    assert (astray.key, astray.reason) == ("grid/bbaf2n.mpg", "unknown_place")


def test_texts_of_tracks_that_are_not_there_are_one_reject(tmp_path):
    """The archive of texts is of the whole corpus: who has a part of its videos keeps below `--max-bad`."""
    for person, tracks in (("id00012", 2), ("id00015", 60)):
        for track in range(tracks):
            text = tmp_path / "txt" / person / "21Uxsk56VDQ" / f"{track:05d}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text("Offset : \t1\n")
    for name in ("mp4/id00012/21Uxsk56VDQ/00000.mp4", "aac/id00012/21Uxsk56VDQ/00001.m4a"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    clip, sound, texts = scan("voxceleb2", tmp_path)
    assert clip.av_offset == 1 and sound.key == "voxceleb2/id00012/21Uxsk56VDQ/00001"
    assert (texts.key, texts.reason, str(texts.location)) == ("voxceleb2/txt", "no_video", str(tmp_path / "txt"))
    assert "60 of 62 texts of tracks have neither video nor sound" in texts.detail and "id00" not in texts.detail


def test_phones_of_clips_that_are_not_there_are_one_reject(tmp_path):
    entries = "".join(f'"/x/volunteers/{who}/Clips/straightcam/sa{number}.mp4"\n0 500 sil\n.\n'
                      for who in ("01M", "02M") for number in range(30))
    (tmp_path / "all.mlf").write_text("#!MLF!#\n" + entries)
    video = tmp_path / "volunteers" / "01M" / "Clips" / "straightcam" / "sa1.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"x")
    clip, phones = scan("tcd_timit", tmp_path)
    assert clip.phonemes and (phones.key, phones.reason) == ("tcd_timit/mlf", "no_video")
    assert "59 of 60 clips in the label files have neither video nor sound" in phones.detail


def test_members_of_archives_are_byte_ranges(planted):
    assert of("grid_sheffield", planted("grid_sheffield")[0])["grid/s2/swwz9s"].video.start > 0
    clip = of("voxceleb2", planted("voxceleb2")[0])["voxceleb2/id00017/01dfn2spqyE/00001"]
    assert clip.video.member == "mp4/id00017/01dfn2spqyE/00001.mp4" and clip.video.path.endswith("vox2_test_mp4.zip")
    assert clip.audio.path.endswith("vox2_test_aac.zip") and clip.split == "test"


def test_voxceleb2_keeps_what_its_makers_measured(planted):
    clips = of("voxceleb2", planted("voxceleb2")[0])
    clip = clips["voxceleb2/id00012/21Uxsk56VDQ/00002"]
    assert clip.av_offset == 1 and clip.split == "train"
    assert clip.notes == {"source": "21Uxsk56VDQ", "audio": AUDIO_FALLBACK, "gender": "m", "asd": "5.142",
                          "fv": "16.14"}
    assert clips["voxceleb2/id00015/3mzoYSpnS1E/00001"].notes["labels"] == "missing"
    assert clips["voxceleb2/id00015/3mzoYSpnS1E/00002"].notes["labels"].startswith("unreadable: ")


@pytest.mark.parametrize("folder,root,person,split", [
    ("dev/mp4", ".", "id00017", "train"), ("dev/mp4", "dev", "id00017", "train"),
    ("dev/mp4", "dev/mp4", "id00017", "train"),
    ("test/mp4", ".", "id00012", "test"), ("test/mp4", "test", "id00012", "test"),
    ("test/mp4", "test/mp4", "id00012", "test"),
    # Where no folder says it, the corpus's own list of those who test does.
    ("mp4", ".", "id00017", "test"), ("mp4", "mp4", "id00017", "test"), ("mp4", "mp4", "id00012", "train"),
])
def test_voxceleb2_is_read_from_any_of_its_roots(tmp_path, folder, root, person, split):
    video = tmp_path / folder / person / "21Uxsk56VDQ" / "00001.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"x")
    (clip,) = scan("voxceleb2", tmp_path / root)
    assert clip.key == f"voxceleb2/{person}/21Uxsk56VDQ/00001" and clip.speaker == f"voxceleb2/{person}"
    assert clip.split == split


def test_lrw_has_the_word_in_the_middle(planted):
    clips = of("lrw", planted("lrw")[0])
    ((word, start, end),) = clips["lrw/unknown_test/WATER_00001"].words
    assert word == "water" and start + end == pytest.approx(1.16) and 0.1 < end - start < 1
    assert clips["lrw/unknown_train/ABOUT_00002"].words is None
    assert clips["lrw/unknown_train/ABOUT_00002"].sentence == "about"
    assert {clip.split for clip in clips.values() if isinstance(clip, ClipReference)} == {"train", "validation", "test"}


def test_tcd_timit_joins_names_that_differ_between_copies(planted):
    clip = of("tcd_timit", planted("tcd_timit")[0])["tcd_timit/30M/straightcam/sx337"]
    assert clip.notes == {"view": "straightcam", "audio": AUDIO_FALLBACK, "labels": "doubled phones merged",
                          "folder": "30F"}
    names = [name for name, _, _ in clip.phonemes]
    assert all(one != other for one, other in zip(names, names[1:], strict=False)) and names[0] == "sil"
    assert clip.phonemes[-1][2] == pytest.approx(32 * 1001 / 30000, abs=1e-6)


def test_mead_gives_one_sound_to_all_sides(planted):
    clips = of("mead", planted("mead")[0])
    front, left = (clips[f"mead/M003/{view}/angry/level_1/001"] for view in ("front", "left_30"))
    assert front.audio == left.audio and front.video != left.video
    assert front.notes == {"view": "front", "emotion": "angry", "level": "1", "audio": AUDIO_FALLBACK}


def test_videos_in_no_folder_are_one_speaker(tmp_path):
    for name in ("a.mp4", "b.mov"):
        (tmp_path / name).write_bytes(b"x")
    assert [(clip.key, clip.speaker) for clip in scan("folder", tmp_path)] == [
        ("folder/unnamed/a", "folder/unnamed"), ("folder/unnamed/b", "folder/unnamed")]


def test_what_is_no_corpus_is_told(tmp_path):
    for reader in READERS.values():
        with pytest.raises(DataError, match="holds nothing in the layout"):
            list(reader.scan(tmp_path, 1))
        with pytest.raises(DataError, match="no such folder"):
            list(reader.scan(tmp_path / "gone", 1))


def test_a_reference_is_a_value(planted):
    clip = next(iter(of("grid", planted("grid")[0]).values()))
    assert dataclasses.is_dataclass(clip) and str(clip.location).endswith(".align")
