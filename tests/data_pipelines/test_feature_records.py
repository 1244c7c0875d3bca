"""Feature records: audio and labels without a pixel, a clip in one piece."""

import numpy as np
import pytest

from data_pipelines import command, records, schema
from data_pipelines.loader import Loader, clips
from data_pipelines.manifest import Manifest
from data_pipelines.schema import DataError
from data_pipelines.writer import Writer
from tests.data_pipelines.toy_corpus import COEFFICIENTS, toy_clip
from thjax.core.data_spec import CropSpec, DataSpec

FIELDS = ("audio", "au", "pose", "start_pose", "start_frame")


def features_of(key, frames=200):
    clip = toy_clip(key, frames, 16, 0)
    return {name: value for name, value in clip.items() if name not in ("frames", "landmarks")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("features")
    writer = Writer(directory, dataset="toy", size=0, codec="none", coefficients=COEFFICIENTS)
    shards = writer.plan({"train": [f"toy/s{i}/c0" for i in range(3)], "test": ["toy/s9/c0"]})
    for shard in shards:
        writer.write_shard(shard, features_of)
    writer.finish(shards)
    return directory


def spec(**changes):
    return DataSpec(**({"fields": FIELDS, "window": 150, "batch": 2, "crop": CropSpec("none", 16, 16)} | changes))


def test_a_clip_is_one_record_and_a_window_may_be_longer_than_a_pixel_record(corpus):
    manifest = Manifest.load(corpus)
    assert not manifest.pixels and len(manifest.rows("train")) == 3
    assert manifest.content["shards"][0]["name"].startswith("toy-train-features-00000-of-")
    example = Loader(corpus, spec()).example_at(0)
    assert example["au"].shape == (150, 17) and example["valid"].all()
    assert example["audio"].shape == (150 * 640 + 6400,)


def test_a_window_in_the_middle_hears_what_lies_around_it(corpus):
    whole = clips(corpus, "test", spec())[0]
    reader = Loader(corpus, spec(split="test", window=50, batch=1))
    example = reader.example_at(5)
    start = next(t for t in range(151) if np.array_equal(whole["au"][t : t + 50], example["au"]))
    assert start > 0 and example["start_frame"] == start and whole["start_frame"] == 0
    np.testing.assert_array_equal(example["start_pose"], whole["pose"][0])
    np.testing.assert_array_equal(whole["start_pose"], whole["pose"][0])
    np.testing.assert_array_equal(example["audio"], whole["audio"][start * 640 :][: 50 * 640 + 6400])


def test_pixels_are_refused_by_name(corpus):
    with pytest.raises(DataError, match=r"no field 'frames' \(feature records, written without pixels\); it has"):
        Loader(corpus, spec(fields=("frames",)))


def test_landmarks_without_frames_refuse_a_crop_that_needs_the_frames_size(tmp_path):
    writer = Writer(tmp_path, dataset="toy", size=0, codec="none", coefficients=COEFFICIENTS)
    shards = writer.plan({"train": ["toy/s0/c0"]})
    writer.write_shard(shards[0], lambda key: features_of(key) | {"landmarks": toy_clip(key, 200, 16, 0)["landmarks"]})
    writer.finish(shards)
    of = lambda recipe: spec(fields=("landmarks",), crop=CropSpec(recipe, 16, 16), batch=1)
    with pytest.raises(DataError, match="landmarks of frames that were not kept, and crop recipe 'centre' needs"):
        Loader(tmp_path, of("centre"))
    assert Loader(tmp_path, of("canonical")).batch_at(0)["landmarks"].shape == (1, 150, 68, 2)
    assert Loader(tmp_path, of("none")).batch_at(0)["landmarks"].shape == (1, 150, 68, 2)


@pytest.mark.parametrize("frames,lengths", [(1, [1]), (1500, [1500]), (1501, [1500, 1]), (3200, [1500, 1500, 200])])
def test_only_what_is_longer_than_a_minute_is_cut(frames, lengths):
    bounds = records.segment_bounds(frames, pixels=False)
    assert [end - first for first, end in bounds] == lengths and schema.MAX_FEATURE_FRAMES == 1500


def test_a_clip_of_several_minutes_comes_back_whole(tmp_path):
    writer = Writer(tmp_path, dataset="toy", size=0, codec="none", coefficients=COEFFICIENTS)
    shards = writer.plan({"test": ["toy/s9/c0"]})
    writer.write_shard(shards[0], lambda key: features_of(key, 1600))
    writer.finish(shards)
    whole, clip = clips(tmp_path, "test", spec())[0], features_of("toy/s9/c0", 1600)
    np.testing.assert_array_equal(whole["au"], clip["au"])
    np.testing.assert_array_equal(whole["audio"][3200:-3200], clip["audio"])


@pytest.mark.parametrize("options", [{"size": 16, "codec": "none"}, {"size": 0}])
def test_size_and_codec_must_agree(tmp_path, options):
    with pytest.raises(DataError, match="feature records have codec 'none' and size 0"):
        Writer(tmp_path, dataset="toy", **options)


def test_a_clip_without_frames_and_labels_is_refused():
    with pytest.raises(DataError, match="toy/a/b: no frames and no labels"):
        next(records.segments({"key": "toy/a/b", "codec": "none", "audio": np.zeros(640, np.int16)}))


def test_the_other_commands_take_them_or_say_why_not(corpus, tmp_path, capsys):
    assert command.run(["verify", "--data", str(corpus)]) == 0
    assert command.run(["stats", "--data", str(corpus), "--out", str(tmp_path / "card")]) == 0
    assert "Feature records, no pixels" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "card").iterdir()] == ["card.md"]
    assert command.run(["export", "--data", str(corpus), "--out", str(tmp_path / "out"), "--limit", "1"]) == 0
    names = sorted(path.name.partition(".")[2] for path in (tmp_path / "out").rglob("*.*"))
    assert names == ["csv", "identity.csv", "wav"]
    with pytest.raises(DataError, match="bench times how fast pixels are decoded; give a corpus with frames"):
        command.run(["bench", "--data", str(corpus)])


def test_the_embedded_corpus_comes_without_pixels_and_says_how_to_make_it_again(tmp_path, capsys):
    words = ["synth", "--no_pixels", "--speakers", "3", "--clips", "1", "--workers", "1", "--out", str(tmp_path)]
    assert command.run(words) == 0
    manifest = Manifest.load(tmp_path)
    assert not manifest.pixels and manifest.labels == ["au", "au_presence", "blink", "pose"]
    assert "--no_pixels --motion" in manifest.content["rebuild"]
    assert "3 clips (1 train, 1 validation, 1 test)" in capsys.readouterr().out
