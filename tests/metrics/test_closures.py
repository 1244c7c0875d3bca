"""Bilabial closures planted by hand."""

import numpy as np
import pytest

from thjax.metrics.closures import CLOSED_GAP, closures, false_closures, lips_closed
from thjax.metrics.merging import merge

LENGTH = 40
BILABIALS = np.array([[5.2, 7.6], [15.0, 16.0], [25.4, 26.1]])
SPEECH = np.arange(LENGTH) < 35


def track(*frames):
    closed = np.zeros(LENGTH, bool)
    closed[list(frames)] = True
    return closed


TRUTH = track(6, 15, 26)


def test_the_truth_itself_is_perfect():
    found = closures(BILABIALS, TRUTH, TRUTH, SPEECH)
    assert (found.recall.value, found.precision.value) == (1, 1)


@pytest.mark.parametrize("frame, recalled", [(3, 0), (4, 1), (7, 1), (8, 1), (9, 0)])
def test_one_frame_beside_the_sound_counts_and_two_do_not(frame, recalled):
    """The first bilabial touches frames 5 to 7."""
    found = closures(BILABIALS, track(frame), TRUTH, SPEECH)
    assert (found.recall.above, found.recall.below) == (recalled, 3)
    assert found.precision.value == recalled


def test_a_bilabial_that_the_truth_leaves_open_is_not_asked_for():
    found = closures(BILABIALS, track(15), track(15, 26), SPEECH)
    assert (found.recall.above, found.recall.below) == (1, 2)


def test_closures_elsewhere_in_speech_cost_precision_and_silence_is_free():
    found = closures(BILABIALS, track(6, 10, 11, 20, 37, 38), TRUTH, SPEECH)
    assert found.recall.value == pytest.approx(1 / 3)
    assert (found.precision.above, found.precision.below) == (1, 3)  # runs at 6, 10-11 and 20


def test_silence_beside_a_bilabial_closes_nothing_for_free():
    found = closures(np.array([[5.0, 6.0]]), track(4), track(4), np.arange(LENGTH) >= 5)
    assert found.recall.below == 0 and np.isnan(found.recall.value)


def test_closed_all_the_time_recalls_all_and_is_one_closure():
    found = closures(BILABIALS, np.ones(LENGTH, bool), TRUTH, SPEECH)
    assert found.recall.value == 1 and found.precision.below == 1
    open_all = closures(BILABIALS, track(), TRUTH, SPEECH)
    assert open_all.recall.value == 0 and np.isnan(open_all.precision.value)


def test_clips_pool_by_addition():
    both = merge([closures(BILABIALS, TRUTH, TRUTH, SPEECH), closures(BILABIALS, track(), TRUTH, SPEECH)])
    assert both.recall.value == 0.5 and both.precision.value == 1


def test_the_gap_threshold_and_wrong_arguments():
    np.testing.assert_array_equal(lips_closed(np.array([0, CLOSED_GAP, 0.1])), [True, False, False])
    assert closures(np.zeros((0, 2)), TRUTH, TRUTH, SPEECH).recall.below == 0
    assert closures([], TRUTH, TRUTH, SPEECH).precision.above == 0
    with pytest.raises(ValueError, match=r"bilabials must be \[K, 2\].*\(2, 3\)"):
        closures(np.zeros((2, 3)), TRUTH, TRUTH, SPEECH)
    with pytest.raises(ValueError, match="7.0 to 5.0"):
        closures(np.array([[7.0, 5.0]]), TRUTH, TRUTH, SPEECH)
    with pytest.raises(ValueError, match=r"truth_closed.*\(39,\)"):
        closures(BILABIALS, TRUTH, TRUTH[:-1], SPEECH)


def test_closed_lips_far_from_every_bilabial_are_counted_in_speech_alone():
    """The bilabials reach frames 5..7, 15 and 25..26; three frames beside them are near."""
    found = false_closures(BILABIALS, track(2, 1, 10, 11, 22, 29, 30, 37), SPEECH)
    assert (found.above, found.below) == (3, 35)  # 1, 11 and 30; 37 lies in silence
    assert false_closures(np.zeros((0, 2)), track(3), SPEECH).above == 1
