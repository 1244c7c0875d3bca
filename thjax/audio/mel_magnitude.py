"""Mel magnitudes in decibels on a fixed scale, computed on the device; equal to librosa's on the same samples.

Nothing here looks at a whole clip: a column depends on 80 ms of sound alone, so a live stream hears what a file does.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from thjax.audio.waveform import FULL_SCALE
from thjax.core.precision import policy

RATE = 16_000
HOP = 160
"""Samples from one column to the next: 10 ms."""
WINDOW = 1_280
"""Samples of the Hann window and of the Fourier transform: 80 ms."""
EDGES_HZ = (125.0, 7_600.0)
FLOOR = 1e-5
"""Magnitude below which nothing is heard."""
REFERENCE_DB, RANGE_DB = 20.0, 100.0
"""(dB - REFERENCE_DB + RANGE_DB) / RANGE_DB is clipped to [0, 1] (Zhou et al. 2021, PC-AVS)."""


@dataclasses.dataclass(frozen=True)
class MelColumns:
    """int16 audio to the mel columns around every video frame.

    Frame t owns samples 640 t to 640 (t + 1). Its columns are the `columns` ones centred on samples
    640 t + 160 (j + 2 - columns / 2), j = 0 ... columns - 1, so that the middle of the frame lies in their middle.

    Attributes:
        bands: on the mel scale (Slaney's, normalised by area) from 125 to 7,600 Hz.
        columns: of a frame, even.
        fps: video frames per second.
    """

    bands: int = 20
    columns: int = 20
    fps: int = 25

    def __post_init__(self):
        if self.bands < 1:
            raise ValueError(f"bands {self.bands} must be at least 1")
        if self.columns < self._hops or self.columns % 2:
            raise ValueError(f"columns {self.columns} must be even and cover a frame; use {self._hops} or more")
        if RATE % (self.fps * HOP):
            raise ValueError(f"fps {self.fps}: a frame must hold whole columns of {HOP} samples; use 25, 50 or 100")

    @property
    def _hops(self) -> int:
        """Columns from one frame to the next."""
        return RATE // self.fps // HOP

    @property
    def behind(self) -> int:
        """Samples needed before the first sample of a frame."""
        return WINDOW // 2 + HOP * (self.columns // 2 - self._hops // 2)

    @property
    def ahead(self) -> int:
        """Samples needed after the last sample of a frame."""
        return WINDOW // 2 + HOP * (self.columns // 2 - 1 - self._hops // 2)

    @property
    def features(self) -> int:
        """Numbers of a frame: columns x bands."""
        return self.columns * self.bands

    def __call__(self, audio: jax.Array) -> jax.Array:
        """Cuts the columns.

        Args:
            audio: [..., behind + 640 T + ahead] int16, or floating in the range of int16.

        Returns:
            [..., T, columns * bands] in [0, 1], column by column.

        Raises:
            ValueError: the audio does not hold a whole number of frames.
        """
        hop = RATE // self.fps
        frames, beyond = divmod(audio.shape[-1] - self.behind - self.ahead, hop)
        if frames < 1 or beyond:
            raise ValueError(f"{audio.shape[-1]} samples are not {self.behind} + T x {hop} + {self.ahead}; "
                             "cut whole frames with that much around them")
        heard = mel_levels(audio, self.bands)
        places = np.arange(frames)[:, None] * self._hops + np.arange(self.columns)
        return heard[..., places, :].reshape(*audio.shape[:-1], frames, self.features)


def mel_levels(audio: jax.Array, bands: int) -> jax.Array:
    """Levels of all columns whose window lies inside the audio.

    Args:
        audio: [..., 1280 + 160 K] in the range of int16; column k sees samples 160 k to 160 k + 1280.
        bands: on the mel scale.

    Returns:
        [..., K + 1, bands] in [0, 1]: 0 is silence, 1 is +20 dB of the magnitude of the windowed transform.
    """
    dtype = policy("f32").params
    sound = audio.astype(dtype) / FULL_SCALE
    columns = (audio.shape[-1] - WINDOW) // HOP + 1
    # 1,280 is 8 hops: windows are put together from whole hops, which costs a copy and no gather.
    hops = sound[..., : (columns + WINDOW // HOP - 1) * HOP].reshape(*sound.shape[:-1], -1, HOP)
    pieces = [jax.lax.slice_in_dim(hops, k, k + columns, axis=-2) for k in range(WINDOW // HOP)]
    windows = jnp.concatenate(pieces, axis=-1) * jnp.asarray(np.hanning(WINDOW + 1)[:-1], dtype)
    magnitude = jnp.abs(jnp.fft.rfft(windows)) @ jnp.asarray(_filters(bands), dtype)
    decibel = 20 * jnp.log10(jnp.maximum(magnitude, FLOOR))
    return jnp.clip((decibel - REFERENCE_DB + RANGE_DB) / RANGE_DB, 0, 1)


@functools.cache
def _filters(bands: int) -> np.ndarray:
    """[641, bands] triangles between points at equal mel distances, each of area one (Slaney 1998)."""
    low, high = (_hertz_to_mel(hertz) for hertz in EDGES_HZ)
    points = _mel_to_hertz(np.linspace(low, high, bands + 2))
    bins = np.arange(WINDOW // 2 + 1)[:, None] * RATE / WINDOW
    rising = (bins - points[:-2]) / np.diff(points)[:-1]
    falling = (points[2:] - bins) / np.diff(points)[1:]
    return np.maximum(np.minimum(rising, falling), 0) * 2 / (points[2:] - points[:-2])


# Slaney's scale: linear up to 1,000 Hz, 15 mel there, logarithmic above.
_HERTZ_PER_MEL, _BREAK_HZ, _LOG_STEP = 200 / 3, 1_000.0, np.log(6.4) / 27


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz / _HERTZ_PER_MEL
    return _BREAK_HZ / _HERTZ_PER_MEL + np.log(hertz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hertz(mel: np.ndarray) -> np.ndarray:
    above = mel - _BREAK_HZ / _HERTZ_PER_MEL
    return np.where(above < 0, mel * _HERTZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * np.maximum(above, 0)))
