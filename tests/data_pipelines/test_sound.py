"""WAV reading against soundfile's files and scipy's resampling."""

import struct

import numpy as np
import pytest
import soundfile
from scipy import signal

from data_pipelines import sound
from data_pipelines.schema import DataError


def speech_like(samples: int, rate: int, seed: int = 0) -> np.ndarray:
    """Voiced noise bursts: a pulse train through two formants, switched on and off four times a second. [-0.9, 0.9]."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    pulses = (np.diff(np.floor(time * 120), prepend=0) > 0).astype(float) + 0.01 * rng.standard_normal(samples)
    for formant in (600, 1500):
        b, a = signal.iirpeak(formant, 6, fs=rate)
        pulses = pulses + signal.lfilter(b, a, pulses) * 5
    voiced = pulses * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * time))
    return 0.9 * voiced / np.abs(voiced).max()


def read_all(path) -> np.ndarray:
    return np.concatenate(list(sound.wav_blocks(sound.open_wav(path))))


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_plain_sample_format_is_read(tmp_path, subtype, channels):
    path = tmp_path / "speech.wav"
    wave = speech_like(4000, 16_000)
    stereo = np.stack([wave, 0.5 * wave], axis=1)[:, :channels]
    soundfile.write(path, stereo, 16_000, subtype=subtype)
    truth, _ = soundfile.read(path, dtype="float64", always_2d=True)
    assert np.abs(read_all(path) / 32768 - truth.mean(axis=1)).max() <= 0.51 / 32768


def test_int16_at_16_khz_is_returned_untouched(tmp_path):
    samples = np.random.default_rng(0).integers(-32768, 32768, 5000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="PCM_16")
    np.testing.assert_array_equal(read_all(tmp_path / "a.wav"), samples)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 50_000])
def test_other_rates_are_resampled_as_scipy_does_across_blocks(tmp_path, monkeypatch, rate):
    monkeypatch.setattr(sound, "BLOCK", 1000)
    wave = speech_like(rate // 2 + 7, rate)
    soundfile.write(tmp_path / "a.wav", wave, rate, subtype="FLOAT")
    ours = read_all(tmp_path / "a.wav").astype(int)
    divisor = np.gcd(rate, 16_000)
    truth = sound.to_int16(signal.resample_poly(wave, 16_000 // divisor, rate // divisor)).astype(int)
    assert ours.shape == truth.shape
    assert np.abs(ours - truth).max() <= 1


def test_a_file_cut_off_is_read_as_far_as_it_goes_and_says_so(tmp_path, caplog):
    soundfile.write(tmp_path / "a.wav", speech_like(8000, 16_000), 16_000)
    whole = read_all(tmp_path / "a.wav")
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(content[: len(content) // 2])
    part = read_all(tmp_path / "b.wav")
    assert "b.wav: cut off, 7978 of 16000 bytes" in caplog.text
    np.testing.assert_array_equal(part, whole[: part.size])
    assert 3900 < part.size < 4000


def test_a_length_that_a_pipe_left_open_means_to_the_end(tmp_path):
    samples = np.arange(1, 101, dtype="<i2")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    head = b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + form + b"data" + struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(head + samples.tobytes())
    np.testing.assert_array_equal(read_all(tmp_path / "a.wav"), samples)


def test_a_wav_file_without_sound_is_named(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", 4) + b"WAVE")
    with pytest.raises(DataError, match=r"a\.wav: a WAV file without a format"):
        sound.open_wav(tmp_path / "a.wav")
