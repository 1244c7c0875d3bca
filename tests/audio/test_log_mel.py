"""Log-mel columns against a loop in numpy, tones and silence."""

import numpy as np
import pytest

from thjax.audio.log_mel import BANDS, FLOOR, HOP, MARGIN, RATE, log_mel


def tone(hertz, columns=6, amplitude=8_000.0):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(2 * MARGIN + HOP * columns) / RATE)


def test_columns_equal_a_loop_over_windows_and_bands():
    samples = np.random.default_rng(0).normal(0, 1_000, 2 * MARGIN + 3 * HOP)
    mel = np.linspace(2595 * np.log10(1 + 50 / 700), 2595 * np.log10(1 + 7_600 / 700), BANDS + 2)
    points = 700 * (10 ** (mel / 2595) - 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    expected = np.zeros((3, BANDS))
    for column in range(3):
        part = samples[column * HOP : column * HOP + 400] / 32_768 * window / window.sum()
        power = np.abs(np.fft.rfft(part, 512)) ** 2
        for band in range(BANDS):
            low, middle, high = points[band : band + 3]
            hertz = np.arange(257) * RATE / 512
            weights = np.clip(np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)), 0, None)
            expected[column, band] = (np.log((power * weights).sum() / weights.sum() + FLOOR) + 13) / 3
    np.testing.assert_allclose(log_mel(samples), expected, atol=2e-4)


@pytest.mark.parametrize(("hertz", "band"), [(200, 1), (1_000, 12), (4_000, 30)])
def test_a_tone_is_loudest_in_its_band_and_a_band_higher_up_where_it_is_higher(hertz, band):
    loudest = np.asarray(log_mel(tone(hertz))).mean(0).argmax()
    assert abs(loudest - band) <= 1


def test_gain_is_a_sum_and_silence_one_number():
    loud, quiet = (np.asarray(log_mel(tone(1_000, amplitude=a))).max() for a in (20_000.0, 2_000.0))
    assert loud - quiet == pytest.approx(2 * np.log(10) / 3, abs=1e-3)
    silence = np.asarray(log_mel(np.zeros((2, 2 * MARGIN + 2 * HOP), np.int16)))
    assert silence.shape == (2, 2, BANDS) and np.ptp(silence) == 0


@pytest.mark.parametrize("samples", [100, 2 * MARGIN, 2 * MARGIN + HOP + 1])
def test_samples_that_are_no_whole_columns_are_named(samples):
    with pytest.raises(ValueError, match=f"{samples} samples are not 240"):
        log_mel(np.zeros(samples))
