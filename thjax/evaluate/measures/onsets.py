"""Onsets of speech, which beats of the head are held against."""

import numpy as np
from scipy import signal

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME

HOP, WINDOW = 160, 400
"""Samples: 10 and 25 ms."""
COMPRESSION = 1000.0
"""Magnitudes m become log(1 + 1000 m), m relative to the clip's largest: quiet hiss does not beat."""
FEWEST_HOPS = 10
"""Between two onsets: 100 ms, half a syllable."""


def onsets(audio: np.ndarray) -> np.ndarray:
    """Times of onsets: prominent peaks of the spectral flux, the sum of what grows in a compressed spectrogram.

    Source: the spectral flux of Dixon 2006, "Onset detection revisited"; a peak counts when it stands out by one
    standard deviation of the flux and 100 ms from a higher one.

    Args:
        audio: [T * 640 + 6400] int16, 3,200 samples of context on each side.

    Returns:
        [K] frames from the clip's first, 0 to T; none in silence.
    """
    reach = WINDOW // 2
    inside = audio[AUDIO_CONTEXT - reach : len(audio) - AUDIO_CONTEXT + reach].astype(np.float64)
    pieces = np.lib.stride_tricks.sliding_window_view(inside, WINDOW)[::HOP]
    magnitude = np.abs(np.fft.rfft(pieces * np.hanning(WINDOW), axis=1))
    if not magnitude.max() > 0:
        return np.zeros(0)
    compressed = np.log1p(COMPRESSION * magnitude / magnitude.max())
    flux = np.maximum(np.diff(compressed, axis=0, prepend=compressed[:1]), 0).sum(axis=1)
    peaks, _ = signal.find_peaks(flux, distance=FEWEST_HOPS, prominence=flux.std())
    return peaks * (HOP / SAMPLES_PER_FRAME)
