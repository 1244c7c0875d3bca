"""Lower face, lip width and correlations within speech, on planted landmarks and tracks."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from thjax.metrics.image import PSNR_CAP
from thjax.metrics.mouth import correlation_in_speech, lip_width, lower_face_mask, lower_face_psnr


def face(frames=2):
    """Eyes 16 apart, nose tip at row 14, jaw from column 3 to 21, chin at row 28, mouth corners 8 apart."""
    landmarks = np.full((frames, 68, 2), (12.0, 20.0))
    landmarks[:, 36], landmarks[:, 45] = (4, 8), (20, 8)
    landmarks[:, :17, 0] = np.linspace(1, 23, 17)
    landmarks[:, 2, 0], landmarks[:, 14, 0] = 3, 21
    landmarks[:, 8, 1] = 28
    landmarks[:, 30, 1] = 14
    landmarks[:, 48, 0], landmarks[:, 54, 0] = 8, 16
    return landmarks


def test_the_lower_face_reaches_from_nose_tip_to_chin_across_the_jaw():
    mask = lower_face_mask(face(), 32, 24)
    rows, columns = np.flatnonzero(mask[0].any(1)), np.flatnonzero(mask[0].any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (14, 27, 3, 20)
    assert mask[0].sum() == 14 * 18


def test_lower_face_psnr_sees_the_lower_face_alone():
    truth = np.random.default_rng(0).integers(0, 246, (2, 32, 24, 3)).astype(np.uint8)
    mask = lower_face_mask(face(), 32, 24)[..., None]
    assert lower_face_psnr(truth, np.where(mask, truth, truth + 9), face()) == PSNR_CAP
    assert lower_face_psnr(truth, np.where(mask, truth + 10, truth), face()) == pytest.approx(20 * np.log10(25.5))


def test_lip_width_in_units_of_the_eye_distance():
    np.testing.assert_allclose(lip_width(face()), [0.5, 0.5])
    np.testing.assert_allclose(lip_width(3 * face() + 7), [0.5, 0.5])


def test_correlation_within_speech_equals_scipy_there_and_ignores_silence():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=80), rng.normal(size=80)
    speech = (np.arange(80) >= 20) & (np.arange(80) < 60)
    y[speech] += x[speech]
    expected = pearsonr(x[speech], y[speech]).statistic
    assert correlation_in_speech(x, y, speech) == pytest.approx(expected, abs=1e-12)
    assert correlation_in_speech(x, np.where(speech, y, 100.0), speech) == pytest.approx(expected, abs=1e-12)


def test_resting_together_in_silence_earns_nothing():
    rng = np.random.default_rng(1)
    speech = np.arange(90) >= 45
    x, y = (np.where(speech, 0.1 + 0.02 * rng.normal(size=90), 0.0) for _ in range(2))
    assert correlation_in_speech(x, y, np.ones(90, bool)) > 0.8 > 0.4 > abs(correlation_in_speech(x, y, speech))


def test_too_little_speech_and_wrong_lengths_are_named():
    with pytest.raises(ValueError, match="1 of 5 frames"):
        correlation_in_speech(np.arange(5.0), np.arange(5.0), np.arange(5) == 2)
    with pytest.raises(ValueError, match=r"generated track.*\(4,\)"):
        correlation_in_speech(np.arange(5.0), np.arange(4.0), np.ones(5, bool))
