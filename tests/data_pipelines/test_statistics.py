import numpy as np

from data_pipelines import records, statistics
from tests.data_pipelines.toy_corpus import toy_clip


def make_records():
    clip = toy_clip("toy/s00/c00", 150, 8, 0) | {"dataset": "toy", "split": "train"}
    rng = np.random.default_rng(0)
    clip |= {"au": rng.uniform(0, 5, (150, 17)).astype(np.float32),
             "pose": rng.normal(0, 9, (150, 6)).astype(np.float32),
             "face_ok": (rng.random(150) > 0.1).astype(np.uint8)}
    return clip, [records.decode(records.encode(record)) for record in records.segments(clip)]


def test_merged_parts_are_the_statistics_of_the_whole():
    clip, parts = make_records()
    merged = statistics.merge(statistics.of_record(part) for part in parts)
    found = clip["face_ok"] > 0
    assert (merged["records"], merged["clips"], merged["frames"]) == (2, 1, 150)
    assert merged["frames_masked"] == (~found).sum() > 0
    for name in ("au", "pose"):
        mean, deviation = statistics.mean_and_deviation(merged["moments"][name])
        np.testing.assert_allclose(mean, clip[name][found].mean(0, dtype=np.float64), rtol=1e-6)
        np.testing.assert_allclose(deviation, clip[name][found].std(0, dtype=np.float64), rtol=1e-6)
        np.testing.assert_array_equal(merged["moments"][name]["max"], clip[name][found].max(0))
        np.testing.assert_array_equal(merged["moments"][name]["min"], clip[name][found].min(0))
    rate = merged["rates"]["au_presence"]
    np.testing.assert_allclose(np.divide(rate["sum"], rate["count"]), clip["au_presence"][found].mean(0))


def test_a_record_without_a_face_counts_as_masked_alone():
    _, (part, _) = make_records()
    counted = statistics.of_record(part | {"face_ok": np.zeros(75, np.uint8)})
    assert counted["frames_masked"] == 75 and counted["moments"] == {} and counted["rates"] == {}
    assert statistics.merge([counted, statistics.empty()]) == counted
