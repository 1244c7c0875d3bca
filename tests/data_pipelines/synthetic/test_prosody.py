"""Loudness and fundamental frequency against planted tones."""

import numpy as np
import pytest
import scipy.signal

from data_pipelines import schema
from data_pipelines.synthetic import prosody


def tone(hertz, seconds=1.0, level=8000):
    times = np.arange(int(seconds * schema.SAMPLE_RATE)) / schema.SAMPLE_RATE
    return (level * scipy.signal.sawtooth(2 * np.pi * hertz * times)).astype(np.int16)


@pytest.mark.parametrize("hertz", [85, 120, 180, 250, 350])
def test_fundamental_frequency_of_a_sawtooth(hertz):
    f0 = prosody.analyse(tone(hertz)).f0[2:-2]
    np.testing.assert_allclose(f0, hertz, rtol=0.03)


def test_noise_is_unvoiced_and_silence_is_nothing():
    noise = np.random.default_rng(0).normal(0, 3000, schema.SAMPLE_RATE).astype(np.int16)
    assert np.mean(prosody.analyse(noise).f0 > 0) < 0.1
    silent = prosody.analyse(np.zeros(schema.SAMPLE_RATE, np.int16))
    for curve in (silent.log_energy, silent.log_f0, silent.f0):
        assert curve.shape == (25,) and not curve.any()


def test_loudness_is_seen_in_the_right_frames_and_ignores_the_recording_level():
    audio = np.concatenate([np.zeros(16000, np.int16), tone(150), np.zeros(16000, np.int16)])
    energy = prosody.analyse(audio).log_energy
    assert energy[26:49].min() > 1 and energy[:24].max() < -0.5 and energy[51:].max() < -0.5
    np.testing.assert_allclose(prosody.analyse(audio // 4).log_energy, energy, atol=1e-3)
    assert abs(energy.mean()) < 1e-9 and energy.std() == pytest.approx(1)


def test_melody_rises_with_the_voice():
    audio = np.concatenate([tone(120, 0.8), tone(180, 0.8)])
    melody = prosody.analyse(audio).log_f0
    assert melody[2:18].max() < melody[22:38].min()
