"""What a window and a whole clip hold: everything of the same moment, nothing dropped."""

import dataclasses
import json

import numpy as np

from data_pipelines import schema
from data_pipelines.loader import Loader, clips
from data_pipelines.writer import Writer
from tests.data_pipelines.conftest import numbered_clip
from tests.data_pipelines.toy_corpus import equal
from thjax.core.data_spec import CropSpec, DataSpec

CONTEXT, PER_FRAME = schema.AUDIO_CONTEXT, schema.SAMPLES_PER_FRAME
STORED = CropSpec("none", 16, 16)


def test_everything_in_a_window_is_of_the_same_moment(numbered):
    spec = DataSpec(fields=("frames", "audio", "pose"), window=5, batch=1, crop=STORED)
    loader = Loader(numbered, spec)
    for position in range(40):
        example = loader.example_at(position)
        count = int(example["valid"].sum())
        time = example["pose"][:count, 0]
        # Recorded grey is twice the time; JPEG may move it by one.
        np.testing.assert_allclose(example["frames"][:count].mean((1, 2, 3)), 2 * time, atol=1)
        middles = example["audio"][CONTEXT + PER_FRAME // 2 :: PER_FRAME][:count]
        np.testing.assert_array_equal(middles, time + 1)
        assert (np.diff(time) == 1).all()


def test_windows_start_everywhere(numbered):
    spec = DataSpec(fields=("pose", "speaker"), window=58, batch=1)
    loader = Loader(numbered, spec)
    examples = [loader.example_at(position) for position in range(300)]
    starts = [int(e["pose"][0, 0]) for e in examples if e["speaker"] == 0]
    # 60 frames hold three windows of 58.
    assert set(starts) == {0, 1, 2} and min(np.bincount(starts)) > 12


def test_a_stride_skips_frames_and_hears_all_of_the_time(numbered):
    spec = DataSpec(fields=("pose", "audio", "speaker"), window=6, stride=4, batch=1)
    loader = Loader(numbered, spec)
    for example in map(loader.example_at, range(12)):
        count = int(example["valid"].sum())
        time = example["pose"][:, 0]
        assert (np.diff(time[:count]) == 4).all()
        assert len(example["audio"]) == 6 * 4 * PER_FRAME + 2 * CONTEXT
        assert example["audio"][CONTEXT] == time[0] + 1


def test_short_records_are_masked_and_never_dropped(numbered):
    spec = DataSpec(fields=("frames", "audio", "pose", "speaker"), window=12, batch=1, crop=STORED)
    loader = Loader(numbered, spec)
    example = next(e for e in map(loader.example_at, range(8)) if e["speaker"] == 1)
    # 9 frames, the first without a face.
    assert example["valid"].tolist() == [0] + [1] * 8 + [0] * 3
    assert not example["frames"][9:].any() and not example["pose"][9:].any()
    assert not example["audio"][CONTEXT + 9 * PER_FRAME :].any() and example["audio"][CONTEXT + 9 * PER_FRAME - 1] == 9


def test_a_window_of_zero_is_the_whole_record(numbered):
    loader = Loader(numbered, DataSpec(fields=("pose",), window=0, batch=4))
    assert loader.length == 75
    assert sorted(loader.batch_at(0)["valid"].sum(1)) == [8, 35, 60, 75]


def test_the_still_is_the_first_frame_with_a_face_or_any_of_them(numbered):
    spec = DataSpec(fields=("still", "speaker"), window=3, batch=1, crop=STORED)
    first = [Loader(numbered, spec).example_at(position) for position in range(12)]
    levels = {(int(e["speaker"]), round(float(e["still"].mean()) / 2)) for e in first}
    # The second record of speaker 2 starts at frame 75 of its clip.
    assert levels == {(0, 0), (1, 1), (2, 0), (2, 75)}
    loader = Loader(numbered, dataclasses.replace(spec, still="random"))
    drawn = [loader.example_at(position) for position in range(120)]
    short = {round(float(e["still"].mean()) / 2) for e in drawn if e["speaker"] == 1}
    assert short == set(range(1, 9))


def test_whole_clips_come_in_order_with_their_sound(numbered):
    spec = DataSpec(fields=("frames", "still", "audio", "pose", "landmarks"), window=5, mirror=True, crop=STORED)
    whole = clips(numbered, "train", spec)
    assert whole.keys == ["toy/s0/c0", "toy/s1/c0", "toy/s2/c0"] and whole.speakers == ["toy/s0", "toy/s1", "toy/s2"]
    assert whole.length == 110 and len(whole) == 3
    example = whole[2]
    np.testing.assert_array_equal(example["pose"][:, 0], np.arange(110))
    np.testing.assert_allclose(example["frames"].mean((1, 2, 3)), 2 * np.arange(110), atol=1)
    np.testing.assert_array_equal(example["audio"][CONTEXT:-CONTEXT], np.repeat(np.arange(110) + 1, PER_FRAME))
    assert example["landmarks"].shape == (110, 68, 2) and example["example_id"] == 2
    assert whole[1]["valid"].sum() == 8 and not whole[1]["frames"][9:].any()
    assert equal({name: value[0] for name, value in whole.batch([2, 0]).items()}, example)


def test_the_still_of_a_whole_clip_is_its_first_frame_with_a_face_in_whatever_record(tmp_path):
    writer = Writer(tmp_path, dataset="toy", size=16, coefficients=tuple("abcd"))
    shard = writer.plan({"train": ["toy/s0/c0"]})[0]
    seen = {"face_ok": (np.arange(110) >= 80).astype(np.uint8)}
    writer.write_shard(shard, lambda key: numbered_clip(key, 110) | seen)
    writer.finish([shard])
    whole = clips(tmp_path, "train", DataSpec(fields=("still",), crop=STORED))
    assert round(float(whole[0]["still"].mean()) / 2) == 80


def test_whole_clips_keep_the_stride_over_segments(numbered):
    whole = clips(numbered, "train", DataSpec(fields=("pose",), stride=4))
    assert whole.length == 28
    np.testing.assert_array_equal(whole[2]["pose"][:, 0], np.arange(0, 110, 4))


def test_the_manifest_counts_clips_as_the_loader_sees_them(numbered):
    content = json.loads((numbered / "dataset.json").read_text())
    assert content["splits"]["train"]["frames_masked"] == 1
    assert content["splits"]["train"]["records"] == Loader(numbered, DataSpec(fields=("pose",))).examples
