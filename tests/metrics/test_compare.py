"""Paired comparisons: Holm's rule by definition, p-values against SciPy's t test, ratios against closed forms."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from thjax.metrics.bootstrap import DRAWS, bootstrap, bootstrap_ratio
from thjax.metrics.compare import compare, holm


def test_holm_of_a_worked_example():
    """0.01 x 4, 0.03 x 2 raised to 0.06, 0.04 raised to 0.06, 0.005 x 4."""
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])


def test_holm_rejects_what_the_step_down_rule_rejects():
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.random(6) ** 3
        rejected = np.zeros(6, bool)
        for rank, index in enumerate(np.argsort(p)):
            if p[index] > 0.05 / (6 - rank):
                break
            rejected[index] = True
        np.testing.assert_array_equal(holm(p) <= 0.05, rejected)


def test_pairing_finds_what_the_spread_of_clips_hides():
    rng = np.random.default_rng(1)
    clips = rng.normal(30, 5, 60)
    systems = {"ours": clips + 0.3 + rng.normal(0, 0.3, 60), "copy": clips, "other": clips + rng.normal(0, 0.3, 60)}
    found = {(c.first, c.second): c for c in compare(systems)}
    assert list(found) == [("ours", "copy"), ("ours", "other"), ("copy", "other")]
    win = found["ours", "copy"]
    assert win.p_holm < 0.01 and win.difference.ci95[0] > 0
    assert win.difference == bootstrap(systems["ours"] - systems["copy"])
    assert found["copy", "other"].p_holm > 0.05
    assert all(c.p_holm >= c.p >= 2 / (DRAWS + 1) for c in found.values())


def test_p_agrees_with_the_paired_t_test_on_normal_differences():
    rng = np.random.default_rng(2)
    for shift in (0.0, 0.1, 0.2):
        a, b = rng.normal(shift, 1, 200), np.zeros(200)
        assert compare({"a": a, "b": b})[0].p == pytest.approx(ttest_rel(a, b).pvalue, abs=0.03)


def test_equal_systems_differ_with_no_confidence():
    same = np.arange(10.0)
    found = compare({"a": same, "b": same})[0]
    assert found.p == found.p_holm == 1 and found.difference.mean == 0


def test_speakers_decide_where_there_are_speakers_and_few_are_marked():
    rng = np.random.default_rng(3)
    speakers = np.repeat(np.arange(5), 20)
    effect = rng.normal(0.5, 1.0, 5)[speakers] + rng.normal(0, 0.1, 100)
    alone, grouped = (compare({"a": effect, "b": 0 * effect}, labels)[0] for labels in (None, speakers))
    assert alone.p < grouped.p
    row = grouped.as_json()
    assert row["systems"] == ["a", "b"] and row["speakers_reliable"] is False and row["p_holm"] == grouped.p_holm


def test_a_ratio_is_pooled_and_its_interval_that_of_the_delta_method():
    rng = np.random.default_rng(4)
    seconds = rng.uniform(2, 6, 300)
    blinks = rng.poisson(0.4 * seconds)
    interval = bootstrap_ratio(blinks, seconds)
    rate = blinks.sum() / seconds.sum()
    half = 1.96 * (blinks - rate * seconds).std() / seconds.mean() / np.sqrt(300)
    assert interval.mean == pytest.approx(rate)
    np.testing.assert_allclose(interval.ci95, (rate - half, rate + half), atol=0.01)
    assert bootstrap_ratio(blinks, seconds, np.arange(300) // 20).speakers == 15


def test_draws_without_a_denominator_are_left_out():
    interval = bootstrap_ratio(np.array([0, 1, 0]), np.array([0, 1, 0]))
    assert interval.mean == 1 and interval.ci95 == (1, 1)
    with pytest.raises(ValueError, match="add up to 0"):
        bootstrap_ratio(np.zeros(3), np.zeros(3))


def test_what_cannot_be_paired_is_named():
    with pytest.raises(ValueError, match="two systems.*add a control"):
        compare({"ours": np.zeros(3)})
    with pytest.raises(ValueError, match=r"'copy' \(clips of 'ours'\).*\(2,\)"):
        compare({"ours": np.zeros(3), "copy": np.zeros(2)})
