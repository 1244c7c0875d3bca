"""F1 and accuracy of action units against scikit-learn and counts by hand."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from thjax.metrics.action_units import action_unit_counts, mean_over_units
from thjax.metrics.merging import merge

NAMES = ("AU10", "AU14", "AU20", "AU25", "AU26")


@pytest.fixture
def presence():
    rng = np.random.default_rng(0)
    truth = (rng.random((90, 5)) < [0.1, 0.3, 0.5, 0.7, 0.9]).astype(np.uint8)
    return truth, np.where(rng.random(truth.shape) < 0.2, 1 - truth, truth)


def test_every_unit_equals_scikit_learn(presence):
    truth, made = presence
    counts = action_unit_counts(truth, made, NAMES)
    for index, name in enumerate(NAMES):
        assert counts.f1()[name] == pytest.approx(f1_score(truth[:, index], made[:, index]), abs=1e-12)
        assert counts.accuracy()[name] == pytest.approx(accuracy_score(truth[:, index], made[:, index]), abs=1e-12)
    assert mean_over_units(counts.f1()) == pytest.approx(f1_score(truth, made, average="macro"), abs=1e-12)


def test_clips_pool_by_addition(presence):
    whole = action_unit_counts(*presence, NAMES)
    parts = merge(action_unit_counts(presence[0][part], presence[1][part], NAMES)
                  for part in (slice(0, 7), slice(7, 60), slice(60, 90)))
    assert parts.f1() == whole.f1() and parts.accuracy() == whole.accuracy()
    with pytest.raises(ValueError, match="same action units"):
        whole + action_unit_counts(presence[0][:, :1], presence[1][:, :1], NAMES[:1])


def test_frames_that_the_detector_distrusts_do_not_count():
    truth, made = np.array([[1], [0], [1], [1]]), np.array([[1], [1], [0], [0]])
    counts = action_unit_counts(truth, made, ("AU25",), np.array([True, True, True, False]))
    assert counts.f1() == {"AU25": 0.5}  # 2 / (2 + 1 + 1)
    assert counts.accuracy() == {"AU25": pytest.approx(1 / 3)}


def test_a_unit_that_never_shows_has_no_f1_and_leaves_the_mean_alone():
    truth = np.array([[0, 1], [0, 1]])
    f1 = action_unit_counts(truth, truth, ("AU10", "AU25")).f1()
    assert np.isnan(f1["AU10"]) and mean_over_units(f1) == 1
    assert np.isnan(mean_over_units({"AU10": float("nan")}))


def test_intensities_are_refused(presence):
    with pytest.raises(ValueError, match="threshold"):
        action_unit_counts(presence[0] * 3.5, presence[1], NAMES)
