import json
import time

import numpy as np
import pytest

from data_pipelines import histograms, records, statistics
from data_pipelines.histograms import FROM_START, RANGES
from data_pipelines.schema import DataError
from data_pipelines.writer import Writer
from tests.data_pipelines.toy_corpus import COEFFICIENTS, toy_clip

HALF_STEP = 0.5 / histograms.STEPS_PER_UNIT


def make_labels(frames, seed=0):
    """Labels as trackers give them: faces lost, values beyond the ranges, a few that are no number."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 1, (frames, 6)).cumsum(0) * [3, 2, 9, 0.02, 0.03, 0.01] + [0, 0, 700, 0, 0, 0]
    pose[rng.random(frames) < 0.02] *= 50
    pose[0] = np.nan
    au = rng.uniform(-0.2, 5.3, (frames, 17))
    au[rng.random((frames, 17)) < 0.01] = np.nan
    return {"au": au.astype(np.float32), "pose": pose.astype(np.float32),
            "face_ok": (rng.random(frames) > 0.1).astype(np.uint8),
            "blink": (rng.random(frames) < 0.3).astype(np.uint8),
            "au_presence": rng.integers(0, 2, (frames, 18)).astype(np.uint8)}


def clip_of(frames, **labels):
    return {"segment": 0, "n": frames, "face_ok": np.ones(frames, np.uint8)} | labels


def make_clip(key):
    """A clip of one segment or two."""
    seed = int(key[-2:])
    frames = 150 if seed % 2 else 40
    return toy_clip(key, frames, 8, seed) | make_labels(frames, seed)


def make_records(key="toy/s0/c01"):
    clip = make_clip(key) | {"dataset": "toy", "split": "train"}
    return clip, [records.decode(records.encode(record)) for record in records.segments(clip)]


@pytest.fixture(scope="module")
def clips():
    """Statistics of 18 clips."""
    return [statistics.of_clip([clip_of(frames, **make_labels(frames, frames))]) for frames in range(20, 38)]


def counted(field, values):
    return histograms.count(field, np.asarray(values, np.float32))


def test_a_clip_says_what_numpy_says():
    clip, segments = make_records()
    made = statistics.of_clip(segments)
    found = clip["face_ok"] > 0
    assert (made["records"], made["clips"], made["frames"]) == (2, 1, 150)
    assert made["frames_masked"] == (~found).sum() > 0
    pose = clip["pose"][found]
    truth = {"au": clip["au"][found], "pose": pose, FROM_START: pose[:, :3] - pose[np.isfinite(pose).all(1)][0, :3]}
    for field, values in truth.items():
        values, ours = values.astype(np.float64), made["values"][field]
        mean, deviation = histograms.mean_and_deviation(ours)
        np.testing.assert_allclose(mean, np.nanmean(values, 0), rtol=1e-6, atol=HALF_STEP)
        np.testing.assert_allclose(deviation, np.nanstd(values, 0), rtol=1e-6, atol=HALF_STEP)
        np.testing.assert_allclose(ours["max"], np.nanmax(values, 0), rtol=1e-6)
        np.testing.assert_allclose(ours["min"], np.nanmin(values, 0), rtol=1e-6, atol=1e-6)
        assert ours["not_finite"] == np.isnan(values).sum(0).tolist()
    rate = made["rates"]["au_presence"]
    np.testing.assert_allclose(np.divide(rate["sum"], rate["count"]), clip["au_presence"][found].mean(0))
    assert made["blinks"] == (np.diff(clip["blink"][found].astype(int), prepend=0) > 0).sum() > 0


def test_moments_of_large_means_keep_their_small_deviations():
    values = np.zeros((4000, 6))
    values[:, 2] = 4000 + 1e-3 * np.random.default_rng(0).normal(size=4000)
    stored = values.astype(np.float32).astype(np.float64)
    mean, deviation = histograms.mean_and_deviation(counted("pose", values))
    assert mean[2] == pytest.approx(stored[:, 2].mean(), abs=1e-12)
    assert deviation[2] == pytest.approx(stored[:, 2].std(), rel=1e-9)  # 1e-3 of 4000: sums in float64 keep 6 digits


@pytest.mark.parametrize("shards", [1, 2, 5, 17])
def test_any_shards_in_any_order_give_the_same_bytes(clips, shards):
    whole = json.dumps(statistics.merge(clips))
    rng = np.random.default_rng(shards)
    for _ in range(3):
        owner = rng.integers(0, shards, len(clips))  # some shards may stay empty
        parts = [statistics.merge(clips[i] for i in rng.permutation(len(clips)) if owner[i] == s)
                 for s in rng.permutation(shards)]
        assert json.dumps(statistics.merge(json.loads(json.dumps(parts)))) == whole


def test_values_out_of_range_are_counted_and_never_lost():
    values = [-0.01, 0, 2.5, 5, 5.01, np.nan, np.inf, -3e38, 3e38]
    made = counted("au", np.repeat(np.array(values)[:, None], 17, 1))
    channel = histograms.histogram("au", made, 16)
    assert (channel.below, channel.above, made["not_finite"][16], made["count"][16]) == (2, 2, 2, 7)
    assert np.flatnonzero(channel.counts).tolist() == [0, 2048, 4095] and channel.counts.sum() == 3
    assert made["min"][16] == -made["max"][16] == pytest.approx(-3e38) and made["sum"][16] == counted(
        "au", np.repeat(np.array(values[:5])[:, None], 17, 1))["sum"][16]
    zeros = [json.dumps(counted("au", np.full((1, 17), zero))) for zero in (0.0, -0.0)]
    assert zeros[0] == zeros[1]


def test_clips_without_a_face_or_a_number_are_merged_like_others():
    _, (first, _) = make_records()
    blind = statistics.of_clip([first | {"face_ok": np.zeros(75, np.uint8)}])
    assert blind["frames_masked"] == 75 and blind["values"] == {} and blind["rates"] == {}
    assert statistics.merge([blind, statistics.empty()]) == blind
    lost = statistics.of_clip([clip_of(3, pose=np.full((3, 6), np.nan))])
    for field in ("pose", FROM_START):
        assert set(lost["values"][field]["not_finite"]) == {3} and set(lost["values"][field]["min"]) == {None}
        assert np.isnan(histograms.mean_and_deviation(lost["values"][field])).all()
    with pytest.raises(ValueError, match="quantile 0.5 of 0 values"):
        histograms.quantile(histograms.histogram("pose", lost["values"]["pose"], 0), 0.5)
    assert statistics.merge([lost, statistics.of_clip([first])])["values"]["pose"]["count"][0] > 0


def test_translation_counts_from_the_clips_first_found_frame_in_every_segment():
    pose = np.repeat(np.arange(4.0)[:, None], 6, 1)
    face = np.array([0, 1, 1, 1], np.uint8)
    parts = [clip_of(2, pose=pose[:2], face_ok=face[:2]), clip_of(2, pose=pose[2:], face_ok=face[2:]) | {"segment": 1}]
    made = statistics.of_clip(parts)["values"][FROM_START]
    assert (made["min"], made["max"], made["count"]) == ([0, 0, 0], [2, 2, 2], [3, 3, 3])
    for wrong in (parts[1:], parts[::-1]):
        with pytest.raises(ValueError, match="are no whole clip; give all its records, in order"):
            statistics.of_clip(wrong)


def test_a_blink_over_two_segments_or_a_lost_face_is_one():
    blink = np.array([0, 1, 1, 1, 0, 1], np.uint8)
    parts = [clip_of(2, blink=blink[:2]), clip_of(4, blink=blink[2:], face_ok=np.array([0, 1, 1, 1])) | {"segment": 1}]
    assert statistics.of_clip(parts)["blinks"] == 2


@pytest.mark.parametrize("field,channel", [("au", 0), ("pose", 2), ("pose", 4), (FROM_START, 1)])
def test_quantiles_are_within_a_bin_of_numpys(field, channel):
    low, high = RANGES[field][channel]
    rng = np.random.default_rng(channel)
    for count in (1, 2, 7, 2000):
        spread = rng.choice([0.001, 0.1], count)  # two heaps with bins between them that are empty
        values = np.clip(low + (high - low) * (0.5 + spread * rng.normal(size=count)), low, high).astype(np.float32)
        made = histograms.histogram(field, counted(field, np.repeat(values[:, None], len(RANGES[field]), 1)), channel)
        for q in (0, 0.001, 0.25, 0.5, 0.9, 0.999, 1):
            error = abs(histograms.quantile(made, q) - np.quantile(values.astype(np.float64), q))
            assert error <= made.width + HALF_STEP


def test_a_quantile_that_lies_out_of_range_is_the_end_of_the_range():
    values = np.repeat(np.array([[-9.0], [1.0], [9.0]]), 17, 1)
    made = histograms.histogram("au", counted("au", values), 3)
    assert (histograms.quantile(made, 0), histograms.quantile(made, 1)) == (0, 5)
    assert histograms.quantile(made, 0.5) == pytest.approx(1, abs=made.width)


def test_reports_are_small_and_merge_quickly():
    part = statistics.of_clip([clip_of(4800, **make_labels(4800))])
    assert len(json.dumps(part)) < 300_000  # 64 clips of 75 frames, as wild as can be; their pictures take 30 MB
    start = time.process_time()
    merged = statistics.merge([part] * 100)
    assert time.process_time() - start < 1.0  # 3,000 take less than 2 s of an idle core; this machine may be busy
    assert merged["values"]["pose"]["count"][1] == 100 * part["values"]["pose"]["count"][1]


def write(directory, clips_per_shard):
    writer = Writer(directory, dataset="toy", size=8, coefficients=COEFFICIENTS)
    shards = writer.plan({"train": [f"toy/s0/c{number:02d}" for number in range(6)]}, clips_per_shard=clips_per_shard)
    for shard in shards:
        writer.write_shard(shard, make_clip)
    return writer.finish(shards), writer, shards


def test_a_corpus_says_the_same_however_it_is_sharded(tmp_path):
    one, many = write(tmp_path / "one", 9)[0], write(tmp_path / "many", 1)[0]
    assert (len(one.content["shards"]), len(many.content["shards"])) == (1, 6)
    assert json.dumps(one.content["splits"]) == json.dumps(many.content["splits"])
    assert one.shard_statistics("train") == many.shard_statistics("train") == [one.content["splits"]["train"]]
    assert [shard["statistics"]["clips"] for shard in many.content["shards"]] == [1] * 6


def test_a_corpus_that_an_older_program_counted_is_counted_again_and_not_written(tmp_path):
    manifest, writer, shards = write(tmp_path, 4)
    described, old = (tmp_path / "dataset.json").read_bytes(), {"records": 9, "moments": {"pose": {"sum": [1.5]}}}
    for path in (tmp_path / "done").iterdir():
        path.write_text(json.dumps(json.loads(path.read_text()) | {"statistics": old}))
    with pytest.raises(DataError, match=r"statistics of form 1, this program merges 2: .*Rerun the command"):
        statistics.merge([old])
    assert not any(writer.write_shard(shard, lambda key: pytest.fail("made again")) for shard in shards)
    assert writer.finish(shards).hash == manifest.hash
    assert (tmp_path / "dataset.json").read_bytes() == described
