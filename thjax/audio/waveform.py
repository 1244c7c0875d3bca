"""Raw waveform windows, one per video frame, centred on it; resampled on the device where a network asks for it."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import scipy.signal

FULL_SCALE = 32_768.0
FILTER_ZEROS = 10
"""Zero crossings of the resampling filter on each side, as `scipy.signal.resample_poly` has them."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """int16 audio to overlapping windows, frame by frame.

    The window of frame t is centred on the frame: it sees `(length - hop) / 2` samples before the frame's first sample
    and as many after its last one (Vougioukas et al. 2019, section 2.1: 0.16 s).

    Attributes:
        length: samples of a window, at `rate`.
        rate: samples per second that the network hears.
        source_rate: samples per second of the audio that comes in.
        fps: video frames per second.
    """

    length: int = 2_560
    rate: int = 16_000
    source_rate: int = 16_000
    fps: int = 25

    def __post_init__(self):
        for name in ("rate", "source_rate"):
            if getattr(self, name) < 1 or getattr(self, name) % self.fps:
                raise ValueError(f"{name} {getattr(self, name)} is not a multiple of {self.fps} frames per second")
        if self.length < self.hop:
            raise ValueError(f"a window of {self.length} samples is shorter than a frame; use at least {self.hop}")
        if self.source_hop % self._down:
            raise ValueError(
                f"{self.source_rate} Hz cannot be resampled to {self.rate} Hz frame by frame; use a rate whose ratio "
                f"to {self.source_rate} has a denominator that divides {self.source_hop}"
            )

    @property
    def hop(self) -> int:
        """Samples from one frame to the next at `rate`."""
        return self.rate // self.fps

    @property
    def source_hop(self) -> int:
        """Samples from one frame to the next at `source_rate`."""
        return self.source_rate // self.fps

    @property
    def behind(self) -> int:
        """Source samples needed before the first sample of a frame."""
        return self._reach((self.length - self.hop) // 2)

    @property
    def ahead(self) -> int:
        """Source samples needed after the last sample of a frame."""
        return self._reach(self.length - self.hop - (self.length - self.hop) // 2)

    @property
    def _up(self) -> int:
        return self.rate // math.gcd(self.rate, self.source_rate)

    @property
    def _down(self) -> int:
        return self.source_rate // math.gcd(self.rate, self.source_rate)

    @property
    def _filter_reach(self) -> int:
        """Source samples that the resampling filter sees on each side, in whole blocks of `_down`."""
        if self._up == self._down:
            return 0
        half = FILTER_ZEROS * max(self._up, self._down)
        return math.ceil(half / self._up / self._down) * self._down

    def _reach(self, samples: int) -> int:
        """Source samples that cover `samples` at `rate`, filter included."""
        return math.ceil(samples / self._up) * self._down + self._filter_reach

    def __call__(self, audio: jax.Array) -> jax.Array:
        """Cuts the windows.

        Args:
            audio: [B, behind + T * source_hop + ahead] int16.

        Returns:
            [B, T, length] float32 in [-1, 1).

        Raises:
            ValueError: the audio does not hold a whole number of frames.
        """
        inside = audio.shape[-1] - self.behind - self.ahead
        if inside < self.source_hop or inside % self.source_hop:
            raise ValueError(
                f"{audio.shape[-1]} samples are not {self.behind} + T x {self.source_hop} + {self.ahead}; "
                "cut whole frames with that much around them"
            )
        frames = inside // self.source_hop
        sound = audio.astype(jnp.float32) / FULL_SCALE
        sound = self._resample(sound)
        start = math.ceil(((self.length - self.hop) // 2) / self._up) * self._up - (self.length - self.hop) // 2
        pieces = math.ceil(self.length / self.hop)
        sound = sound[:, start:]
        short = max(0, (frames + pieces - 1) * self.hop - sound.shape[1])
        sound = jnp.pad(sound, ((0, 0), (0, short)))
        shifted = [
            jax.lax.slice_in_dim(sound, p * self.hop, (p + frames) * self.hop, axis=1).reshape(-1, frames, self.hop)
            for p in range(pieces)
        ]
        return jnp.concatenate(shifted, axis=-1)[..., : self.length]

    def _resample(self, sound: jax.Array) -> jax.Array:
        """[B, S] at `source_rate` to `rate`, `_filter_reach` source samples shorter on each side."""
        if self._up == self._down:
            return sound
        reach, down = self._filter_reach, self._down
        blocks = (sound.shape[1] - 2 * reach) // down
        shifts = 2 * reach // down + 1
        seen = [
            jax.lax.slice_in_dim(sound, s * down, (s + blocks) * down, axis=1).reshape(-1, blocks, down)
            for s in range(shifts)
        ]
        made = jnp.concatenate(seen, axis=-1) @ jnp.asarray(self._filter_bank())
        return made.reshape(-1, blocks * self._up)

    def _filter_bank(self) -> np.ndarray:
        """[2 reach + down, up] polyphase matrix of a Kaiser-windowed sinc."""
        up, down, reach = self._up, self._down, self._filter_reach
        half = FILTER_ZEROS * max(up, down)
        taps = up * scipy.signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0))
        source = np.arange(-reach, reach + down)[:, None]
        index = half + np.arange(up)[None] * down - source * up
        inside = (index >= 0) & (index <= 2 * half)
        return np.where(inside, taps[np.clip(index, 0, 2 * half)], 0).astype(np.float32)
