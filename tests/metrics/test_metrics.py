"""Metrics against scikit-image, closed forms and planted errors."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from thjax.metrics.bootstrap import bootstrap
from thjax.metrics.image import PSNR_CAP, psnr, ssim
from thjax.metrics.motion import jitter
from thjax.metrics.mouth import correlation, fit_lip_gap_probe, lip_gap, mouth_mask, mouth_psnr


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (4, 32, 24, 3)).astype(np.uint8)
    noisy = np.clip(truth + rng.normal(0, 12, truth.shape), 0, 255).astype(np.uint8)
    return truth, noisy


def test_psnr_equals_scikit_image_on_the_pooled_clip(clips):
    assert psnr(*clips) == pytest.approx(peak_signal_noise_ratio(*clips, data_range=255), abs=1e-9)


def test_psnr_of_a_known_error_and_of_identical_clips():
    truth = np.full((2, 16, 16, 3), 100, np.uint8)
    assert psnr(truth, truth + 10) == pytest.approx(20 * np.log10(255 / 10))
    assert psnr(truth, truth) == PSNR_CAP


def test_psnr_does_not_wrap_around_below_zero():
    truth, other = np.full((1, 16, 16, 3), 0, np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    assert psnr(truth, other) == pytest.approx(0)


def test_psnr_refuses_an_empty_mask_and_other_shapes(clips):
    with pytest.raises(ValueError, match="mask is empty"):
        psnr(*clips, mask=np.zeros((4, 32, 24), bool))
    with pytest.raises(ValueError, match="one shape"):
        psnr(clips[0], clips[1][:2])


def test_ssim_names_frames_that_are_too_small():
    with pytest.raises(ValueError, match="10 x 24"):
        ssim(np.zeros((1, 10, 24, 3)), np.zeros((1, 10, 24, 3)))


def mouth_landmarks(frames, gaps):
    """Landmarks with a mouth 10 pixels wide around (12, 24), the inner lips `gaps` pixels apart, eyes 16 apart."""
    landmarks = np.zeros((frames, 68, 2))
    landmarks[:, 36], landmarks[:, 45] = (4, 8), (20, 8)
    landmarks[:, 48:, 0] = 12
    landmarks[:, 48, 0], landmarks[:, 54, 0] = 7, 17
    landmarks[:, 48:, 1] = 24
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        landmarks[:, upper, 1] = 24 - gaps / 2
        landmarks[:, lower, 1] = 24 + gaps / 2
    return landmarks


def test_lip_gap_in_units_of_the_eye_distance():
    gaps = np.array([0.0, 2.0, 4.0])
    np.testing.assert_allclose(lip_gap(mouth_landmarks(3, gaps)), gaps / 16)


def test_mouth_psnr_sees_the_mouth_alone(clips):
    truth = clips[0]
    landmarks = mouth_landmarks(4, np.full(4, 6.0))
    mask = mouth_mask(landmarks, 32, 24)
    assert mask[0].sum() == 16 * 12  # centres from 4.5 to 19.5 across and from 18.5 to 29.5 down
    outside = np.where(mask[..., None], truth, 255 - truth)
    assert mouth_psnr(truth, outside, landmarks) == PSNR_CAP
    inside = np.where(mask[..., None], 255 - truth, truth)
    assert mouth_psnr(truth, inside, landmarks) < 12


def test_the_probe_reads_a_planted_gap_from_pixels():
    rng = np.random.default_rng(1)

    def clip():
        gaps = rng.uniform(0, 8, 40)
        still = rng.integers(90, 160, (32, 24, 3)).astype(np.uint8)
        frames = np.repeat(still[None], 40, axis=0)
        rows = np.abs(np.arange(32) + 0.5 - 24)[None, :] < gaps[:, None] / 2
        frames[:, :, 7:17] = np.where(rows[:, :, None, None], 20, frames[:, :, 7:17])
        return frames, still, mouth_landmarks(40, gaps)

    probe = fit_lip_gap_probe([clip() for _ in range(12)])
    frames, still, landmarks = clip()
    assert correlation(probe.read(frames, still), lip_gap(landmarks)) > 0.95
    assert abs(correlation(probe.read(frames[::-1], still), lip_gap(landmarks))) < 0.5


def test_correlation_of_a_still_track_is_zero():
    assert correlation(np.ones(5), np.arange(5.0)) == 0
    assert correlation(np.arange(5.0), -np.arange(5.0)) == pytest.approx(-1)


def test_jitter_of_frozen_linear_and_alternating_clips():
    ramp = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    assert jitter(np.zeros((5, 4, 4, 3), np.uint8)) == 0
    assert jitter(ramp) == 0
    assert jitter(ramp % 2 * 10) == pytest.approx(20)
    with pytest.raises(ValueError, match="at least 3"):
        jitter(ramp[:2])


def test_bootstrap_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(2).normal(3, 1, 400)
    interval = bootstrap(values)
    half = 1.96 * values.std() / 20
    assert interval.mean == pytest.approx(values.mean())
    np.testing.assert_allclose(interval.ci95, (values.mean() - half, values.mean() + half), atol=0.01)
    assert bootstrap(values).ci95 == interval.ci95


def test_clips_of_one_speaker_widen_the_interval_over_speakers():
    rng = np.random.default_rng(3)
    speakers = np.repeat(np.arange(10), 20)
    values = rng.normal(0, 1, 10)[speakers] + rng.normal(0, 0.1, 200)
    interval = bootstrap(values, speakers)
    width = np.diff(interval.ci95)[0]
    assert np.diff(interval.ci95_speakers)[0] > 3 * width
    few = bootstrap(values[:60], speakers[:60]).as_json()
    assert few["speakers"] == 3 and not few["speakers_reliable"]


def test_bootstrap_refuses_nothing_and_not_a_number():
    for values in ([], [1.0, np.nan]):
        with pytest.raises(ValueError, match="finite"):
            bootstrap(np.array(values))
