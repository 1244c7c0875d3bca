"""The pictures of a video at 25 a second, chosen by their timestamps and never by a rate that a header claims.

Picture k is what is on the screen in the middle of its 40 ms, counted from the first frame. So a change of the picture
is moved by at most 20 ms, and by nothing on average, whatever the source's rate; a source of 25 a second passes as it
is. No frame is left out because something is wrong with it: where frames are missing the last one stays and is masked,
at the end as well, where the container says how far its pictures reach.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from data_pipelines import schema
from data_pipelines.mp4 import pyav
from data_pipelines.prepare.reasons import BadClip

LONGEST_GAP = 12
"""Frames of 40 ms that may be missing in one place."""
BAD_TIMES = 0.05
"""Share of frames whose time may be missing or not after that of the frame before."""
_GAP_STEPS = 1.6  # of the mean time between frames: a frame that stays longer hides one that is not there
_COUNTS_TIME_IN_FRAMES = ("avi",)  # ffmpeg takes their duration from what is there; the header counts what was written


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of the 25 a second.

    Attributes:
        image: uint8 `[H, W, 3]` RGB, upright, square pixels. The same array again where the source's frame stays.
        time: seconds of the source's frame from the first one.
        there: False where the source lacks a frame and this is the one before.
        number: of the source's frame among all that were decoded, from 0.
    """

    image: np.ndarray
    time: float
    there: bool
    number: int


class Pictures:
    """Iterates over the pictures of the first video stream of a container, once.

    Attributes (known while iterating; `seconds` at the end):
        start: seconds of the first frame on the container's clock.
        seconds: from the first frame to the end of the last, of those too that the header promises and that are lost.
        decoded: frames of the source.
        errors: packets that could not be decoded.
        as_coded: False once a frame had to be turned or its pixels made square.
    """

    def __init__(self, container, name: str):
        if not container.streams.video:
            raise BadClip("no_video", f"{name}: has no video stream")
        self._av = pyav("preparing a corpus")
        self._container, self._name = container, name
        self.stream = container.streams.video[0]
        self.stream.thread_type = "NONE"  # one thread: the same pictures always, and workers share the cores
        rate = self.stream.average_rate or self.stream.guessed_rate
        self._step = 1 / float(rate) if rate else 1 / schema.FPS
        self._gap = _GAP_STEPS * self._step
        self.start = self.seconds = 0.0
        self.as_coded = True
        self.decoded = self.errors = self._discarded = self._bad_times = 0

    @property
    def frames_per_second(self) -> float:
        """Mean rate of the source."""
        return 1 / self._step

    def __iter__(self) -> Iterator[Picture]:
        last, shown, count, number = None, 0.0, 0, 0
        for frame in self._frames():
            time = self._time(frame, shown if last is not None else None)
            if last is None:
                self.start = time
            elif time <= shown:
                continue  # counted as a bad time
            else:
                for picture in self._held(last, shown, time, count, number):
                    count += 1
                    yield picture
            last, shown, number = frame, time, self.decoded - 1
        self._check(last)
        duration = float(last.duration * last.time_base) if last.duration and last.time_base else self._step
        end = self._promised_end(shown + duration)
        self.seconds = end - self.start
        yield from self._held(last, shown, end, count, number)

    def _held(self, frame, begin: float, end: float, count: int, number: int) -> Iterator[Picture]:
        """The pictures from number `count` on whose middle lies before `end`: all show `frame`, there from `begin`."""
        missing = end - begin - self._step
        if end - begin > self._gap and missing * schema.FPS > LONGEST_GAP:
            raise BadClip("long_gap", f"{self._name}: no frame for {missing:.2f} s after {begin - self.start:.2f} s; "
                                      f"at most {LONGEST_GAP / schema.FPS} s may be missing")
        image = None
        while (middle := self.start + (count + 0.5) / schema.FPS) < end:
            image = self._upright(frame) if image is None else image
            there = end - begin <= self._gap or middle < begin + self._step
            yield Picture(image, begin - self.start, there, number)
            count += 1

    def _frames(self) -> Iterator:
        """Decoded frames in the order of showing; what cannot be decoded is counted and shows as a gap in time."""
        packets = self._container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except self._av.error.FFmpegError:  # the file ends in the middle of a packet
                self.errors += 1
                return
            self._discarded += packet.is_discard
            try:
                frames = packet.decode()
            except self._av.error.FFmpegError:
                self.errors += 1
                continue
            for frame in frames:
                self.decoded += 1
                yield frame

    def _time(self, frame, before: float | None) -> float:
        stamp = frame.pts if frame.pts is not None else frame.dts
        time = None if stamp is None else float(stamp * frame.time_base)
        if time is not None and (before is None or time > before):
            return time
        self._bad_times += 1
        return 0.0 if before is None else before + self._step if time is None else time

    def _check(self, last) -> None:
        if last is None:
            raise BadClip("no_video", f"{self._name}: not one frame can be decoded")
        if self._bad_times > max(1, BAD_TIMES * self.decoded):
            raise BadClip("bad_timestamps", f"{self._name}: {self._bad_times} of {self.decoded} frames have no time or "
                                            "none after the frame before; remux it with ffmpeg")

    def _promised_end(self, end: float) -> float:
        """When the pictures end that the header promises, of which the last came until `end`.

        The header's duration alone is no promise: it may be wrong. It has to count frames as well that did not come;
        those that its edit list cuts away are not among them. MPEG, Matroska and fragmented mp4 promise nothing.
        """
        missing = self.stream.frames - self._discarded - self.decoded
        if not self.stream.frames or missing <= 0:
            return end
        begin = float((self.stream.start_time or 0) * self.stream.time_base)
        promised = begin
        if self._container.format.name in _COUNTS_TIME_IN_FRAMES:
            promised += self.stream.frames * self._step
        elif self.stream.duration:
            promised += float(self.stream.duration * self.stream.time_base)
        lost = promised - end
        if lost * schema.FPS > LONGEST_GAP:
            raise BadClip("truncated", f"{self._name}: {self.decoded} frames, its header says {self.stream.frames}; "
                                       "copy or download it again")
        return promised if lost > self._step / 2 else end

    def _upright(self, frame) -> np.ndarray:
        """A decoded frame as RGB with square pixels, turned as its display matrix says."""
        ratio = self.stream.sample_aspect_ratio
        width = round(frame.width * float(ratio)) if ratio else frame.width
        image = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
        turns = round(frame.rotation / 90) % 4
        self.as_coded &= not turns and width == frame.width
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
