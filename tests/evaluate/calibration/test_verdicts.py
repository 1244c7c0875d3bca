import numpy as np
import pytest

from thjax.evaluate.calibration.verdicts import KINDS, judge, share_of_worst, spearman

RISING = np.arange(9.0)


def test_a_metric_that_rises_in_most_clips_is_up_and_nothing_else():
    values = np.stack([RISING**2, np.log1p(RISING), RISING + 3, -RISING])
    controls = np.full((4, 1), 100.0)
    assert judge("up", values, controls).spearman == 1.0
    assert [judge(kind, values, controls).holds for kind in ("up", "down", "free")] == [True, False, True]


def test_one_swap_of_nine_doses_still_counts_as_rising_and_two_far_ones_do_not():
    near, far = RISING.copy(), RISING.copy()
    near[[3, 4]] = near[[4, 3]]
    far[[1, 7]] = far[[7, 1]]
    # 1 - 6 sum(d^2) / (n (n^2 - 1)) with n = 9
    assert spearman(near[None]) == pytest.approx(1 - 6 * 2 / 720)
    assert spearman(far[None]) == pytest.approx(1 - 6 * 72 / 720)
    assert judge("up", near[None], np.ones((1, 1))).holds and not judge("up", far[None], np.ones((1, 1))).holds


def test_silent_is_a_tenth_of_the_way_to_the_worst_control():
    values = np.full((3, 9), 40.0)
    controls = np.array([[40.0, 30.0], [40.0, 30.0], [40.0, 30.0]])
    values[:, -1] = 39.1
    assert judge("silent", values, controls).change == pytest.approx(-0.09) and judge("silent", values, controls).holds
    values[:, -1] = 38.9
    assert not judge("silent", values, controls).holds


def test_changes_that_cancel_over_clips_are_silent_but_rank_correlations_do_not_cancel():
    values = np.stack([RISING, -RISING, RISING])
    cell = judge("silent", np.concatenate([values, -values]), np.full((6, 1), 9.0))
    assert cell.change == 0.0 and cell.holds
    assert spearman(values) == 1.0


def test_clips_in_which_the_metric_does_not_exist_are_left_out():
    values = np.stack([RISING, np.full(9, np.nan)])
    assert judge("up", values, np.ones((2, 1))).holds
    nothing = {kind: judge(kind, values[1:], np.ones((1, 1))) for kind in KINDS}
    assert [kind for kind, cell in nothing.items() if cell.holds] == ["free"]
    assert nothing["up"].as_json()["spearman"] is None


def test_a_metric_no_control_moves_has_no_scale():
    truth = np.ones(3)
    assert np.isnan(share_of_worst(0.5, truth, np.ones((3, 2))))
    assert share_of_worst(0.0, truth, np.ones((3, 2))) == 0.0
    assert judge("silent", np.tile(RISING, (3, 1)), np.zeros((3, 1))).as_json() == {
        "class": "silent", "spearman": 1.0, "change": None, "holds": False}
