"""Loudness and melody of speech at the frame rate: what head motion follows."""

import dataclasses

import numpy as np

from data_pipelines import schema

WINDOW = 1024
"""Samples of an analysis window, 64 ms, centred on a frame's middle."""
ENERGY_FLOOR = 0.02
"""Loudness of silence relative to the clip's loudest frame."""
F0_HERTZ = (70, 400)
VOICING_THRESHOLD = 0.5
"""Normalised autocorrelation above which a frame is voiced."""
VOICED_ENERGY = 0.05
"""Loudness relative to the loudest frame below which a frame is never voiced."""
OCTAVE_PREFERENCE = 0.85
"""The shortest lag whose peak reaches this share of the best one is taken: longer ones are its multiples."""


@dataclasses.dataclass(frozen=True)
class Prosody:
    """Curves at 25 frames per second.

    Attributes:
        log_energy: [T] natural logarithm of loudness, zero mean and unit standard deviation over the clip.
        log_f0: [T] natural logarithm of the fundamental frequency over the clip's median, divided by its standard
            deviation; linear across short unvoiced stretches, 0 where nobody speaks.
        f0: [T] Hz, 0 where unvoiced.
    """

    log_energy: np.ndarray
    log_f0: np.ndarray
    f0: np.ndarray


def analyse(audio: np.ndarray) -> Prosody:
    """Prosody of int16 audio [T * 640] at 16 kHz; silent audio gives zeros."""
    frames = _windows(audio)
    loudness = np.sqrt((frames**2).mean(axis=1))
    relative = loudness / max(loudness.max(), 1e-9)
    f0 = np.where(relative > VOICED_ENERGY, fundamental_frequency(frames), 0.0)
    return Prosody(log_energy=_standardise(np.log(np.maximum(relative, ENERGY_FLOOR))),
                   log_f0=_log_f0(f0, relative > ENERGY_FLOOR), f0=f0)


def fundamental_frequency(frames: np.ndarray) -> np.ndarray:
    """Hz by normalised autocorrelation: windows [T, S] at 16 kHz -> [T], 0 where unvoiced."""
    length = frames.shape[1]
    taper = np.hanning(length)
    tapered = (frames - frames.mean(axis=1, keepdims=True)) * taper
    correlation = np.fft.irfft(np.abs(np.fft.rfft(tapered, 2 * length)) ** 2)[:, :length]
    # the taper's own autocorrelation is divided out (Boersma 1993), else long lags look weak
    reference = np.fft.irfft(np.abs(np.fft.rfft(taper, 2 * length)) ** 2)[:length]
    shortest, longest = schema.SAMPLE_RATE // F0_HERTZ[1], schema.SAMPLE_RATE // F0_HERTZ[0]
    normalised = correlation[:, :longest + 2] / np.maximum(correlation[:, :1], 1e-9) * (
        reference[0] / reference[:longest + 2])
    middle = normalised[:, shortest:longest + 1]
    peaks = (middle >= normalised[:, shortest - 1:longest]) & (middle > normalised[:, shortest + 1:longest + 2])
    heights = np.where(peaks, middle, 0.0)
    best = heights.max(axis=1)
    first = np.argmax(heights >= OCTAVE_PREFERENCE * best[:, None], axis=1)
    return np.where(best > VOICING_THRESHOLD, schema.SAMPLE_RATE / (shortest + first), 0.0)


def _windows(audio: np.ndarray) -> np.ndarray:
    """[T, WINDOW] float64, centred on the middles of the frames."""
    frames = len(audio) // schema.SAMPLES_PER_FRAME
    margin = (WINDOW - schema.SAMPLES_PER_FRAME) // 2
    padded = np.pad(audio.astype(np.float64), margin)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::schema.SAMPLES_PER_FRAME][:frames]


def _standardise(curve: np.ndarray) -> np.ndarray:
    spread = curve.std()
    return (curve - curve.mean()) / spread if spread > 1e-6 else np.zeros(len(curve))


def _log_f0(f0: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    voiced = np.flatnonzero(f0)
    if len(voiced) < 2:
        return np.zeros(len(f0))
    values = np.log(f0[voiced])
    values = (values - np.median(values)) / max(values.std(), 1e-6)
    return np.where(speaking, np.interp(np.arange(len(f0)), voiced, values), 0.0)
