"""One reference of a reader to one clip as the writer takes it: pictures, crop, sound, labels. Pure in its inputs."""

import dataclasses
from pathlib import Path

import numpy as np

from data_pipelines import crops, records, schema
from data_pipelines.prepare import framing, labels
from data_pipelines.prepare.opened import opened, sha256
from data_pipelines.prepare.pictures import Picture, Pictures
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.prepare.voice import Voice, voice
from data_pipelines.readers.reference import AUDIO_FALLBACK, ClipReference
from data_pipelines.schema import DataError

ONE_COLOUR = 4.0
"""Standard deviation, of 255, below which a frame shows nothing."""
MOST_MASKED = 0.2
"""Share of a clip's frames that may be masked."""
LACK = 0.05
"""Seconds by which sound may end before the pictures and nobody is told: a block of a codec is as long."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What clips become. Everything here changes bytes.

    Attributes:
        size: height of the stored frames in pixels; a clip that shows less is refused, never enlarged.
        crop: of `framing.RECIPES`.
        fix_offset: shift the sound by the offset that the corpus states, instead of storing the offset.
        min_seconds: shorter clips are refused.
        max_seconds: longer clips are refused.
        labels: whether every clip has labels in an npz or CSV file, see data_pipelines/prepare/labels.py.
    """

    size: int = 128
    crop: str = "centre"
    fix_offset: bool = False
    min_seconds: float = 0.4
    max_seconds: float = 600.0
    labels: bool = False

    @property
    def stored(self) -> tuple[int, int]:
        """(height, width) of the stored frames."""
        return framing.stored_size(self.crop, self.size)

    def __post_init__(self):
        if self.crop not in framing.RECIPES:
            raise DataError(f"crop {self.crop!r} is unknown; known: {', '.join(framing.RECIPES)}")
        if self.crop != "centre" and not self.labels:
            raise DataError(f"crop {self.crop!r} needs landmarks: give --labels DIR with an npz or OpenFace CSV file "
                            "for every clip, or take --crop centre, which suits corpora that are cropped to the face "
                            "already")
        if not 16 <= self.size <= 1024:
            raise DataError(f"size {self.size} must be 16 to 1024 pixels")
        if self.crop == "canonical" and self.size % 4:
            raise DataError(f"size {self.size}: crop 'canonical' stores 4:3, so it must be a multiple of 4; take "
                            f"{self.size - self.size % 4} or {self.size + 4 - self.size % 4}")
        if not 0 < self.min_seconds < self.max_seconds:
            raise DataError(f"min_seconds {self.min_seconds} must be above 0 and below max_seconds {self.max_seconds}")


def make_clip(reference: ClipReference, settings: Settings, label_folder: Path | None = None) -> dict:
    """The clip with everything that a record holds, its frames as JPEG, as `records.segments` takes it.

    Args:
        reference: from a reader.
        settings: see there.
        label_folder: of the label files where `settings.labels`.

    Raises:
        BadClip: it cannot be used; says why.
    """
    if settings.labels:
        track = labels.load(label_folder, reference.key, reference.video)
    filmed = _film(reference, settings, track if settings.labels else None)
    heard, origin = _sound(reference, settings, filmed)
    face_ok = filmed.there.astype(np.uint8)
    clip = {
        "key": reference.key, "speaker": reference.speaker, "video": filmed.video, "height": settings.stored[0],
        "width": settings.stored[1], "audio": heard.samples, "sentence": reference.sentence or "",
        "av_offset": 0.0 if settings.fix_offset else float(reference.av_offset or 0.0), "label_source": {},
    }
    if settings.labels:
        merged = _labels(str(reference.video), filmed, settings)
        face_ok = merged.pop("face_ok")
        clip |= merged
    masked = int((face_ok == 0).sum())
    if masked > MOST_MASKED * len(face_ok):
        raise BadClip("masked_frames", f"{reference.video}: {masked} of {len(face_ok)} frames are missing, of one "
                                       f"colour or without a face; at most {MOST_MASKED:.0%} may be")
    shift = (reference.av_offset or 0.0) / schema.FPS if settings.fix_offset else 0.0
    for name in ("words", "phonemes"):
        clip[name] = [[text, start + shift, end + shift] for text, start, end in getattr(reference, name) or ()]
    size, digest = sha256(reference.video)
    clip["face_ok"] = face_ok
    clip["ledger"] = {"source": str(reference.video), "source_bytes": size, "source_sha256": digest,
                      "source_fps": round(filmed.rate, 3), "source_size": list(filmed.size), "sound": origin,
                      "sound_rate": heard.rate, "frames_masked": masked,
                      "frames_interpolated": int((face_ok == 2).sum()), "notes": dict(reference.notes),
                      "warnings": _warnings(filmed, heard, masked)}
    if settings.labels:
        clip["ledger"]["labels"] = {"sources": clip["label_source"]} | track.facts
    return clip


@dataclasses.dataclass
class _Filmed:
    """Pictures of a clip, cropped and compressed."""

    video: list[bytes]
    there: np.ndarray
    times: np.ndarray
    numbers: np.ndarray
    affine: np.ndarray  # of every picture
    start: float
    clock: float  # the container's own zero
    rate: float
    size: tuple[int, int]
    errors: int
    decoded: int
    as_coded: bool
    track: "labels.Track | None"


def _film(reference: ClipReference, settings: Settings, track: "labels.Track | None") -> _Filmed:
    name, cut, last = str(reference.video), None, None
    video, there, times, numbers, maps = [], [], [], [], []
    with opened(reference.video) as container:
        pictures = Pictures(container, name)
        _check_length(name, float(container.duration or 0) / 1e6, settings, header=True)
        for picture in pictures:
            if cut is None:
                size = picture.image.shape[:2]
                track = track and track.of_faces(name, *size)
                cut = framing.Framing(name, settings.crop, settings.size, size, track)
            if last is None or picture.image is not last:
                affine = cut.at(picture)
                jpeg, plain = _stored(picture, size, affine, settings, name)
                last = picture.image
            maps.append(affine)
            video.append(jpeg)
            there.append(picture.there and not plain)
            times.append(picture.time)
            numbers.append(picture.number)
            if len(video) > settings.max_seconds * schema.FPS:
                _check_length(name, len(video) / schema.FPS, settings)
        clock = max(float(container.start_time or 0) / 1e6, 0.0)
    _check_length(name, len(video) / schema.FPS, settings)
    return _Filmed(video, np.array(there), np.array(times), np.array(numbers), np.concatenate(maps), pictures.start,
                   clock, pictures.frames_per_second, size, pictures.errors, pictures.decoded, pictures.as_coded, track)


def _check_length(name: str, seconds: float, settings: Settings, header: bool = False) -> None:
    if seconds > settings.max_seconds:
        raise BadClip("too_long", f"{name}: {seconds:.1f} s, at most {settings.max_seconds:g} s are wanted; cut it, or "
                                  "raise --max_seconds")
    if seconds < settings.min_seconds and not header:
        raise BadClip("too_short", f"{name}: {seconds:.2f} s, at least {settings.min_seconds:g} s are wanted")


def _stored(picture: Picture, size: tuple[int, int], affine: np.ndarray, settings: Settings,
            name: str) -> tuple[bytes, bool]:
    """The cropped frame as JPEG, and whether it is of one colour."""
    if picture.image.shape[:2] != size:
        raise BadClip("unreadable", f"{name}: the size changes from {size} to {picture.image.shape[:2]} within the "
                                    "file; convert it")
    frame = crops.warp(picture.image[None], affine, settings.stored)
    return records.encode_frames(frame)[0], bool(frame[0].std((0, 1)).max() < ONE_COLOUR)


def _labels(name: str, filmed: _Filmed, settings: Settings) -> dict:
    """The labels of the stored frames, see `labels.Track.at`."""
    track = filmed.track.on_clock(name, filmed, filmed.numbers, filmed.times, 1 / filmed.rate)
    return track.at(filmed.times, filmed.there, filmed.affine, filmed.size, settings.stored)


def _sound(reference: ClipReference, settings: Settings, filmed: _Filmed) -> tuple[Voice, str]:
    """The sound under the pictures, and whether it is the video's own or the file beside it."""
    # A file beside the video begins where the video file's clock begins, which may be before the first picture.
    places = {"own": (reference.video, filmed.start), "beside": (reference.audio, filmed.start - filmed.clock)}
    if reference.audio is None:
        order = ["own"]
    elif reference.notes.get("audio") == AUDIO_FALLBACK:
        order = ["own", "beside"]
    else:
        order = ["beside"]
    # Positive: the video lags, so the sound has to come later by as much.
    shift = (reference.av_offset or 0.0) / schema.FPS if settings.fix_offset else 0.0
    for origin in order:
        location, begin = places[origin]
        try:
            with opened(location) as container:
                return voice(container, begin, len(filmed.video), str(location), shift), origin
        except BadClip as bad:
            if bad.reason != "no_audio" or origin == order[-1]:
                raise
    raise AssertionError("one place is the last")


def _warnings(filmed: _Filmed, heard: Voice, masked: int) -> list[str]:
    """What was odd and mended."""
    said = []
    if masked:
        said.append(f"{masked} frames masked")
    if filmed.errors:
        said.append(f"{filmed.errors} packets of video could not be decoded")
    if heard.gaps > 0.001:
        said.append(f"{heard.gaps:.3f} s of sound missing inside")
    surplus = heard.seconds - len(filmed.video) / schema.FPS
    if surplus > 0.2:
        said.append(f"{surplus:.2f} s of sound after the last picture left out")
    if -surplus > LACK:
        said.append(f"{-surplus:.2f} s of sound missing before the last picture ends")
    return said
