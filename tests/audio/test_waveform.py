"""Waveform windows against numpy's sliding windows and scipy's resampler."""

import numpy as np
import pytest
import scipy.signal

from thjax.audio.waveform import Windows

RNG = np.random.default_rng(0)


def expected(audio, spec, frames):
    """Silence around the clip, resample it all, slide from `(length - hop) / 2` samples before the first frame."""
    sound = np.pad(audio.astype(np.float64) / 32768, ((0, 0), (3200, 3200)))
    sound = scipy.signal.resample_poly(sound, spec.rate, spec.source_rate, axis=-1)
    start = 3200 * spec.rate // spec.source_rate - (spec.length - spec.hop) // 2
    windows = np.lib.stride_tricks.sliding_window_view(sound[:, start:], spec.length, axis=-1)
    return windows[:, : frames * spec.hop : spec.hop]


@pytest.mark.parametrize(
    "length, rate", [(2560, 16_000), (5600, 16_000), (641, 16_000), (8000, 50_000), (10_000, 50_000)]
)
def test_windows_are_centred_on_their_frames(length, rate):
    spec, frames = Windows(length, rate), 7
    audio = RNG.integers(-32768, 32768, (2, frames * 640), dtype=np.int16)
    padded = np.pad(audio, ((0, 0), (spec.behind, spec.ahead)))
    made = np.asarray(spec(padded))
    assert made.shape == (2, frames, length)
    np.testing.assert_allclose(made, expected(audio, spec, frames), atol=2e-6)


def test_the_papers_window_sees_960_samples_on_each_side():
    assert (Windows().behind, Windows().ahead) == (960, 960)


def test_chunks_give_the_windows_of_the_whole():
    spec = Windows(10_000, 50_000)
    audio = RNG.integers(-3000, 3000, (1, spec.behind + 6 * 640 + spec.ahead), dtype=np.int16)
    whole = np.asarray(spec(audio))
    pieces = [spec(audio[:, t * 640 : t * 640 + spec.behind + 1280 + spec.ahead]) for t in (0, 2, 4)]
    np.testing.assert_allclose(np.concatenate(pieces, 1), whole, atol=1e-6)


@pytest.mark.parametrize("bad", [dict(length=100), dict(rate=44_101), dict(rate=0)])
def test_impossible_windows_are_refused(bad):
    with pytest.raises(ValueError, match="window|multiple"):
        Windows(**bad)


def test_audio_of_half_a_frame_is_refused():
    with pytest.raises(ValueError, match="960 \\+ T x 640 \\+ 960"):
        Windows()(np.zeros((1, 960 + 320 + 960), np.int16))
