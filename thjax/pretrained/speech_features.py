"""Cepstral coefficients exactly as SyncNet's public script computes them, on the host."""

import numpy as np
from scipy.fft import dct

RATE = 16_000
COEFFICIENTS = 13
_WINDOW, _STEP = 400, 160
_FFT = 512
_BANDS = 26
_LIFTER = 22
_PRE_EMPHASIS = 0.97


def mfcc(samples: np.ndarray) -> np.ndarray:
    """As `python_speech_features.mfcc` 0.6 by default: 25 ms rectangular windows every 10 ms, 26 mel bands, log energy.

    Args:
        samples: [S] at 16 kHz, in the range of int16; the first coefficient depends on it.

    Returns:
        [N, 13] float64, N = 1 + ceil((S - 400) / 160), at least 1; the last window is filled with zeros.

    Raises:
        ValueError: not one channel, or no samples.
    """
    samples = np.asarray(samples, np.float64)
    if samples.ndim != 1 or not samples.size:
        raise ValueError(f"samples {samples.shape}: give [S], one channel, at least one sample")
    emphasised = np.append(samples[0], samples[1:] - _PRE_EMPHASIS * samples[:-1])
    count = 1 + max(0, -(-(len(samples) - _WINDOW) // _STEP))
    padded = np.zeros((count - 1) * _STEP + _WINDOW)
    padded[:len(samples)] = emphasised[:len(padded)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_STEP]
    power = np.square(np.abs(np.fft.rfft(windows, _FFT))) / _FFT
    tiny = np.finfo(np.float64).eps  # a silent window has no logarithm
    energy, bands = power.sum(1), power @ _filters().T
    cepstrum = dct(np.log(np.where(bands == 0, tiny, bands)), type=2, axis=1, norm="ortho")[:, :COEFFICIENTS]
    cepstrum *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / _LIFTER)
    cepstrum[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return cepstrum


def _filters() -> np.ndarray:
    """[26, 257] triangles between points at equal mel distances, rounded down to bins."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, _BANDS + 2) / 2595) - 1)
    bins = np.floor((_FFT + 1) * hertz / RATE)
    k = np.arange(_FFT // 2 + 1)
    low, middle, high = (bins[i:i + _BANDS, None] for i in range(3))
    rising, falling = (k - low) / (middle - low), (high - k) / (high - middle)
    # Half open, as in the reference: a bin belongs to the rising side below the middle and to the falling one from it.
    return np.where((k >= low) & (k < middle), rising, np.where((k >= middle) & (k < high), falling, 0.0))
