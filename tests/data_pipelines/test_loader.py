import dataclasses
import shutil
import threading

import numpy as np
import pytest

from data_pipelines import records, schema
from data_pipelines.loader import Loader, clips
from data_pipelines.schema import DataError
from data_pipelines.writer import Writer
from tests.data_pipelines.toy_corpus import damage, equal, toy_clip
from thjax.core.data_spec import CropSpec, DataSpec

STORED = CropSpec("none", 16, 16)


def rows_of(batches):
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_a_batch_has_the_shapes_and_types_of_the_schema(corpus, spec):
    batch = Loader(corpus, spec).batch_at(0)
    sizes = {"T": 8, "H": 16, "W": 12, "K": 4, "T * 640 + 6400": 8 * 640 + 6400}
    assert set(batch) == set(schema.BATCH_FIELDS)
    for name, field in schema.BATCH_FIELDS.items():
        assert batch[name].dtype == field.dtype, name
        assert batch[name].shape == (4, *(sizes.get(size, size) for size in field.shape)), name


def test_a_batch_is_the_examples_at_its_positions(corpus, spec):
    loader = Loader(corpus, spec, seed=5)
    batch = loader.batch_at(9)
    assert batch["example_id"].tolist() == [36, 37, 38, 39]
    for row in range(4):
        assert equal({name: value[row] for name, value in batch.items()}, loader.example_at(36 + row))


def test_seeds_differ_and_repeat(corpus, spec):
    assert equal(Loader(corpus, spec, seed=5).batch_at(3), Loader(corpus, spec, seed=5).batch_at(3))
    assert not equal(Loader(corpus, spec, seed=5).batch_at(3), Loader(corpus, spec, seed=6).batch_at(3))


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_the_batch_of_one_host(corpus, spec, hosts):
    whole = Loader(corpus, spec, seed=1)
    parts = [Loader(corpus, spec, seed=1, process_index=h, process_count=hosts) for h in range(hosts)]
    assert {part.local_batch for part in parts} == {4 // hosts}
    for step in (0, 7):
        assert equal(rows_of([part.batch_at(step) for part in parts]), whole.batch_at(step))


def test_a_small_split_is_decoded_once_and_changes_no_byte(corpus, spec, monkeypatch):
    kept = Loader(corpus, spec, seed=1)
    monkeypatch.setattr("data_pipelines.loader.KEPT_BYTES", 0)
    fresh = Loader(corpus, spec, seed=1)
    decoded, here, decode = [], threading.get_ident(), records.decode_frames

    def decode_and_note(record, places, out=None):
        if threading.get_ident() == here:  # a prefetching thread of an earlier test may still be at its last batch
            decoded.extend((record["key"], place) for place in places)
        return decode(record, places, out)

    monkeypatch.setattr(records, "decode_frames", decode_and_note)
    batches = [kept.batch_at(step) for step in range(40)]
    assert len(set(decoded)) == len(decoded) <= 378  # frames of the 9 clips
    decoded.clear()
    assert all(equal(batch, kept.batch_at(step)) for step, batch in enumerate(batches))
    assert not decoded
    assert all(equal(batch, fresh.batch_at(step)) for step, batch in enumerate(batches[:10]))
    assert len(decoded) > len(set(decoded))


def test_an_epoch_shows_every_record_once(corpus, spec):
    loader = Loader(corpus, dataclasses.replace(spec, batch=2), seed=2)
    assert loader.examples == 9 + 2 and loader.batches_per_epoch == 5.5  # 9 clips, two of them of two records
    keys = loader.describe(range(22))
    assert sorted(keys[:11]) == sorted(keys[11:]) and keys[:11] != keys[11:]
    assert {key: keys.count(key) for key in keys}["toy/s00/c02"] == 4


def test_every_speaker_comes_equally_often_whoever_has_more_records(corpus, spec):
    loader = Loader(corpus, dataclasses.replace(spec, batch=2, order="speakers"), seed=2)
    assert loader.examples == 11
    keys = loader.describe(range(60))
    rows = loader.manifest.rows(spec.split)
    records_of = np.unique(loader.manifest.index["speaker"][rows], return_counts=True)[1]
    assert len(set(records_of.tolist())) > 1
    speakers = [key.rsplit("/", 1)[0] for key in keys]
    for start in range(0, 60, len(records_of)):
        assert len(set(speakers[start : start + len(records_of)])) == len(records_of)
    assert len(set(keys)) == 9


def test_describe_names_the_clips_of_a_batch(corpus, spec):
    loader = Loader(corpus, spec, seed=2)
    batch = loader.batch_at(6)
    speakers = [loader.manifest.speakers[index] for index in batch["speaker"]]
    assert [key.rsplit("/", 1)[0] for key in loader.describe(batch["example_id"])] == speakers


def test_half_of_the_examples_are_mirrored_labels_included(corpus, spec):
    plain = Loader(corpus, dataclasses.replace(spec, mirror=False))
    mirrored = Loader(corpus, spec)
    turned = 0
    for position in range(60):
        a, b = plain.example_at(position), mirrored.example_at(position)
        if equal(a, b):
            continue
        turned += 1
        np.testing.assert_array_equal(b["frames"], a["frames"][:, :, ::-1])
        np.testing.assert_array_equal(b["still"], a["still"][:, ::-1])
        for name in ("pose", "start_pose"):
            np.testing.assert_array_equal(b[name], a[name] * [-1, 1, 1, 1, -1, -1])
        # Names end in _left and _right, and yaw is odd: see the toy corpus.
        np.testing.assert_array_equal(b["coefficients"], a["coefficients"][:, [0, 1, 3, 2]] * [1, -1, 1, 1])
        np.testing.assert_allclose(b["landmarks"][:, 48, 0], 12 - a["landmarks"][:, 54, 0], atol=1e-5)
        np.testing.assert_array_equal(b["audio"], a["audio"])
    assert 18 <= turned <= 42


def test_the_start_frame_says_where_in_its_clip_a_window_lies(corpus, spec):
    spec = dataclasses.replace(spec, fields=("pose", "start_frame"), mirror=False)
    loader, starts = Loader(corpus, spec), set()
    poses = [clip["pose"] for clip in clips(corpus, "train", spec)]
    for position in range(60):
        example = loader.example_at(position)
        start = int(example["start_frame"])
        starts.add(start)
        seen = int(example["valid"].sum())
        assert any(np.array_equal(pose[start : start + seen], example["pose"][:seen]) for pose in poses)
    assert 0 in starts and max(starts) >= 75  # the second record of the longest clip, too


def test_choices_do_not_depend_on_the_other_fields(corpus, spec):
    all_fields, few = Loader(corpus, spec), Loader(corpus, dataclasses.replace(spec, fields=("pose",)))
    for position in range(10):
        np.testing.assert_array_equal(few.example_at(position)["pose"], all_fields.example_at(position)["pose"])


def test_a_frame_without_a_face_takes_the_crop_of_its_neighbour(tmp_path):
    writer = Writer(tmp_path, dataset="toy", size=32, coefficients=tuple("abcd"))
    shard = writer.plan({"train": ["toy/s0/c0"]})[0]
    clip = toy_clip("toy/s0/c0", 6, 32, 0) | {"face_ok": np.array([1, 0, 1, 1, 0, 0], np.uint8)}
    clip["landmarks"][[1, 4, 5]] = np.nan
    clip["au"][4] = np.nan
    clip["frames"][:] = clip["frames"][0]
    writer.write_shard(shard, lambda key: clip)
    spec = DataSpec(fields=("frames", "landmarks", "au"), window=6, batch=1, crop=CropSpec("canonical", 16, 12))
    example = Loader(writer.finish([shard]).directory, spec).example_at(0)
    assert example["valid"].tolist() == [1, 0, 1, 1, 0, 0]
    np.testing.assert_array_equal(example["frames"][1], example["frames"][0])
    np.testing.assert_array_equal(example["frames"][5], example["frames"][3])
    assert np.isfinite(example["landmarks"]).all() and np.isfinite(example["au"]).all()
    assert (example["landmarks"][[0, 2, 3]] > 0).any((1, 2)).all() and not example["landmarks"][[1, 4, 5]].any()


def test_labels_that_are_not_finite_pass_through(tmp_path):
    """The step's guard must see them."""
    writer = Writer(tmp_path, dataset="toy", size=16, coefficients=tuple("abcd"))
    shard = writer.plan({"train": ["toy/s0/c0"]})[0]
    clip = toy_clip("toy/s0/c0", 6, 16, 0)
    clip["au"][3, 2] = np.nan
    writer.write_shard(shard, lambda key: clip)
    batch = Loader(writer.finish([shard]).directory, DataSpec(fields=("au",), window=6, batch=2)).batch_at(0)
    assert np.isnan(batch["au"][:, 3, 2]).all() and np.isnan(batch["au"]).sum() == 2


@pytest.mark.parametrize("points", [slice(None), slice(33, 34), slice(60, 61)])
def test_landmarks_that_are_not_finite_reach_the_guard_whatever_the_crop(tmp_path, points):
    writer = Writer(tmp_path, dataset="toy", size=32, coefficients=tuple("abcd"))
    shard = writer.plan({"train": ["toy/s0/c0"]})[0]
    clip = toy_clip("toy/s0/c0", 6, 32, 0)
    clip["landmarks"][3, points] = np.nan
    writer.write_shard(shard, lambda key: clip)
    spec = DataSpec(fields=("frames", "landmarks"), window=6, batch=1, crop=CropSpec("canonical", 16, 12))
    example = Loader(writer.finish([shard]).directory, spec).example_at(0)
    bad = np.isnan(example["landmarks"]).any(-1)
    assert bad[3, points].all() and bad.sum() == bad[3, points].sum()
    assert example["frames"][3].any()


def test_example_ids_wrap(corpus, spec):
    example = Loader(corpus, spec).example_at(2**32 + 5)
    assert example["example_id"] == 5 and example["example_id"].dtype == np.uint32


@pytest.mark.parametrize("change,options,message", [
    ({"batch": 6}, {"process_count": 4}, "batch 6 does not divide over 4 hosts; use a multiple of 4"),
    ({}, {"process_index": 2, "process_count": 2}, "process index 2 must be 0 to 1"),
    ({"fields": ("smile",)}, {}, "unknown batch field 'smile'; known: .*landmarks"),
    ({"split": "dev"}, {}, "has no split 'dev'; it has: train, validation, test"),
    ({"crop": CropSpec("none", 8, 8)}, {}, "takes frames as stored, 32 x 32"),
])
def test_wrong_use_is_named(corpus, spec, change, options, message):
    with pytest.raises(DataError, match=message):
        Loader(corpus, dataclasses.replace(spec, **change), **options).batch_at(0)


def test_what_a_corpus_lacks_is_named(tmp_path, spec):
    writer = Writer(tmp_path, dataset="toy", size=16)
    shard = writer.plan({"train": ["toy/s0/c0"]})[0]
    kept = ("key", "speaker", "frames", "audio")
    writer.write_shard(shard, lambda key: {name: toy_clip(key, 6, 16, 0)[name] for name in kept})
    directory = writer.finish([shard]).directory
    with pytest.raises(DataError, match="has no field 'landmarks'; it has: audio, .*still"):
        Loader(directory, spec)
    pixels = dataclasses.replace(spec, fields=("frames", "still"))
    with pytest.raises(DataError, match="'canonical' needs landmarks and .* has none; label the corpus, or set"):
        Loader(directory, pixels)
    assert Loader(directory, dataclasses.replace(pixels, crop=STORED)).batch_at(0)["frames"].shape == (4, 8, 16, 16, 3)


def test_coefficients_mirror_only_where_the_corpus_says_how(numbered, spec):
    with pytest.raises(DataError, match="does not say how its coefficients mirror; set mirror to False"):
        Loader(numbered, dataclasses.replace(spec, fields=("coefficients",)))
    batch = Loader(numbered, dataclasses.replace(spec, fields=("coefficients",), mirror=False)).batch_at(0)
    assert batch["coefficients"].shape == (4, 8, 4)


def test_a_small_corpus_is_hashed_at_the_start(corpus, spec, tmp_path):
    directory = shutil.copytree(corpus, tmp_path / "copy")
    name = damage(directory)
    with pytest.raises(DataError, match=f"{name} has sha256 .*; rerun"):
        Loader(directory, spec)


def test_a_large_corpus_is_opened_without_its_shards(corpus, spec, monkeypatch):
    monkeypatch.setattr("data_pipelines.loader.HASHED_AT_START", 0)
    monkeypatch.setattr("data_pipelines.shards.ArrayRecordReader", None)
    loader = Loader(corpus, spec)
    with pytest.raises(TypeError):  # of None, when the first record is wanted
        loader.batch_at(0)


def test_a_limit_spreads_over_the_clips(corpus, spec):
    assert len(clips(corpus, "train", spec)) == 9
    assert clips(corpus, "train", spec, 3).speakers == ["toy/s00", "toy/s01", "toy/s02"]
    assert len(clips(corpus, "train", spec, 100)) == 9
    with pytest.raises(IndexError):
        clips(corpus, "train", spec, 3)[3]


