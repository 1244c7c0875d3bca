"""The sound of a clip at 16 kHz, laid under its pictures by timestamps.

Decoders leave out priming, and containers say where the rest begins (edit lists, PES times); every block of samples
goes where its time says, in the source's own rate, and the whole is resampled at once. AVI cannot say it: there the
codec's own delay is taken off.
"""

import dataclasses
import math

import numpy as np

from data_pipelines import schema, sound
from data_pipelines.media import SILENCE
from data_pipelines.mp4 import pyav
from data_pipelines.prepare.reasons import BadClip

JITTER = 0.02
"""Seconds by which a block's time may differ from the end of the one before: containers round, clocks drift."""
LATE_END = 0.2
"""Seconds by which sound may end before the picture does: where more lacks, the file was cut off."""
FILTER_DELAY = {"mp2": 512 - 32 + 1, "ac3": 256}
"""Samples by which a codec's own filter bank delays sound, encoder and decoder together, whatever encoder it was.

MPEG-1 Layer II: 32 bands of a 512-tap filter (ISO 11172-3, 2.4.3). AC-3: a transform of 512 samples, half of it overlap
(ATSC A/52, 7.9). Both are less than half a frame of the codec (1,152 and 1,536 samples).
"""
COUNTS_WHOLE_FRAMES = ("avi",)
"""Containers whose clock counts sound in whole frames of its codec: a shorter delay is rounded away by whoever writes.

Longer ones (MP3, AAC) come out as a whole frame, and the pictures are written that much later.
"""


@dataclasses.dataclass(frozen=True)
class Voice:
    """Sound under pictures.

    Attributes:
        samples: int16 `[frames * 640]`, from the first picture on; zero where there is none.
        seconds: from the first picture to the end of the sound.
        gaps: seconds missing inside.
        rate: samples per second of the source.
    """

    samples: np.ndarray
    seconds: float
    gaps: float
    rate: int


def voice(container, origin: float, frames: int, name: str, shift: float = 0.0) -> Voice:
    """Decodes the first sound stream of a container.

    Args:
        container: of PyAV, not read yet.
        origin: second of its clock at which the pictures begin.
        frames: pictures, 25 a second.
        name: of the file, for messages.
        shift: seconds by which the sound is laid later than its times say; what that takes from its end is no lack.

    Raises:
        BadClip: no sound, none that can be decoded, a silent one, or one that ends `LATE_END` before the pictures.
    """
    if not container.streams.audio:
        raise BadClip("no_audio", f"{name}: has no sound stream")
    track = _Track(name, origin - shift)
    track.read(container)
    seconds = track.end / track.rate
    if frames / schema.FPS - (seconds - shift) > LATE_END:
        raise BadClip("av_mismatch", f"{name}: sound ends after {seconds - shift:.2f} s, pictures after "
                                     f"{frames / schema.FPS:.2f} s; at most {LATE_END} s may lack")
    count = frames * schema.SAMPLES_PER_FRAME
    samples = sound.to_int16(track.resampled(count))
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    if peak <= SILENCE:
        raise BadClip("silent_audio", f"{name}: its peak is {peak} of 32768, speech needs more than {SILENCE}")
    return Voice(samples, seconds, track.gaps / track.rate, track.rate)


class _Track:
    """Mono samples in the source's rate, placed by their times.

    Attributes:
        rate: samples per second, 0 before the first block.
        end: sample, counted from the first picture, at which the sound ends.
        gaps: samples missing inside.
    """

    def __init__(self, name: str, origin: float):
        self._av = pyav("preparing a corpus")
        self._name, self._origin = name, origin
        self._blocks: list[tuple[int, np.ndarray]] = []
        self._mixer, self._form, self._delay = None, None, 0
        self.rate = self.end = self.gaps = 0

    def read(self, container) -> None:
        """Decodes everything; packets that cannot be decoded leave a gap."""
        stream = container.streams.audio[0]
        if container.format.name in COUNTS_WHOLE_FRAMES:
            self._delay = FILTER_DELAY.get(stream.codec_context.codec.canonical_name, 0)
        packets, errors = container.demux(stream), 0
        while True:
            try:
                packet = next(packets)
            except (StopIteration, self._av.error.FFmpegError):
                break
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError:
                errors += 1
                continue
            for frame in frames:
                self._add(frame)
        if not self._blocks:
            reason = "damaged_audio" if errors else "no_audio"
            raise BadClip(reason, f"{self._name}: not one sample of sound can be decoded")

    def _add(self, frame) -> None:
        form = (frame.layout.name, frame.format.name, frame.sample_rate)
        if form != self._form:
            if self.rate and frame.sample_rate != self.rate:
                raise BadClip("damaged_audio", f"{self._name}: the rate changes from {self.rate} to "
                                               f"{frame.sample_rate} Hz within the file; convert it")
            # The rate stays, so this mixes channels only (ITU weights for 5.1) and delays nothing.
            self._mixer = self._av.AudioResampler(format="flt", layout="mono", rate=frame.sample_rate)
            self._form, self.rate = form, frame.sample_rate
        late = self._origin + self._delay / self.rate
        time = None if frame.pts is None else float(frame.pts * frame.time_base) - late
        frame.pts = None
        samples = np.concatenate([part.to_ndarray().reshape(-1) for part in self._mixer.resample(frame)])
        place = self.end
        if time is not None and (not self._blocks or abs(time * self.rate - self.end) > JITTER * self.rate):
            place = round(time * self.rate)
            self.gaps += max(place - self.end, 0) if self._blocks else 0
        self._blocks.append((place, samples))
        self.end = place + len(samples)

    def resampled(self, count: int) -> np.ndarray:
        """`count` samples at 16 kHz from the first picture on, float32; zeros where there is no sound."""
        rate = self.rate
        margin = rate  # what the filter sees before the first picture
        line = np.zeros(math.ceil(count * rate / schema.SAMPLE_RATE) + 2 * margin, np.float32)
        for place, samples in self._blocks:
            first, last = max(place + margin, 0), min(place + margin + len(samples), len(line))
            if first < last:
                line[first:last] = samples[first - place - margin : last - place - margin]

        def read(start: int, stop: int) -> np.ndarray:
            out = np.zeros(stop - start, np.float32)
            low, high = max(start + margin, 0), min(stop + margin, len(line))
            out[low - start - margin : high - start - margin] = line[low:high]
            return out

        if rate == schema.SAMPLE_RATE:
            return read(0, count)
        return sound.resample_range(read, rate, schema.SAMPLE_RATE, 0, count)
