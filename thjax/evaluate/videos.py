"""Judges any folder of mp4 beside one of reference mp4: other people's systems under the same ruler."""

import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from data_pipelines import media
from data_pipelines.schema import AUDIO_CONTEXT, FPS, LANDMARKS, SAMPLES_PER_FRAME, DataError
from thjax.core import files
from thjax.core.errors import UserError
from thjax.evaluate.collected import Collected
from thjax.evaluate.controls import CEILING, copied, derangement, reencode
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import measure_basic, measure_clip
from thjax.evaluate.passes import Report, Shard, Shown, Takes, collect
from thjax.evaluate.truth import ClipTruth

log = logging.getLogger(__name__)
SUFFIX, LANDMARKS_SUFFIX = ".mp4", ".landmarks.npy"
RATE_TOLERANCE = 0.01
"""Frames per second."""


class CannotJudge(Exception):
    """A clip cannot be judged; the text is the reason under which it is counted."""


class VideoSource:
    """Videos, their references of the same names, and the controls.

    Names are paths below the folders; a clip in a folder of its own (`s1/clip.mp4`) has that folder as its speaker.

    Args:
        videos: folder of mp4 to judge.
        reference: folder of true mp4 with sound; `NAME.landmarks.npy` [T, 68, 2] may lie beside `NAME.mp4`.
        judges: that of faces must find one in a reference without landmarks.
        collected: takes the names of clips that cannot be judged.

    Raises:
        UserError: a folder is missing, or there is no mp4.
    """

    def __init__(self, videos: pathlib.Path, reference: pathlib.Path, judges: Judges, collected: Collected):
        self._videos, self._reference, self._judges, self._collected = videos, reference, judges, collected
        self.names = sorted(_names(videos) | _names(reference))
        if not self.names:
            raise UserError(f"neither {videos} nor {reference} has a file that ends in {SUFFIX}")
        # A clip whose speaker nobody knows counts as a speaker of its own.
        who = [name if speaker_of(name) is None else speaker_of(name) for name in self.names]
        self._partners = derangement(who, 0) if len(self.names) > 1 else None
        self.total = len(self.names)

    def truths(self, numbers: Sequence[int]) -> dict[int, ClipTruth]:
        """The references that can be judged with their videos; the others are counted and named."""
        truths, self._made = {}, {}
        for number in numbers:
            name = self.names[number]
            try:
                truths[number] = self._truth(name)
            except CannotJudge as reason:
                self._collected.not_judged.setdefault(str(reason), []).append(name)
        return truths

    def rows(self, truths: dict[int, ClipTruth]) -> Iterator[tuple[str, Callable[[], Takes]]]:
        """The videos, then the controls."""
        clips = truths.values()
        yield "ours", lambda: [[self._made[truth.key] for truth in clips]]
        yield "copy_first_frame", lambda: [[copied(truth.still, len(truth.frames)) for truth in clips]]
        yield "shuffled_pairing", lambda: [[self._another(number, truth) for number, truth in truths.items()]]
        yield CEILING, lambda: [[reencode(truth.frames) for truth in clips]]

    def _truth(self, name: str) -> ClipTruth:
        video, reference = self._videos / name, self._reference / name
        for path, what in ((video, "no video of this name"), (reference, "no reference of this name")):
            if not path.is_file():
                raise CannotJudge(what)
        made, frames = _frames(video, "the video"), _frames(reference, "the reference")
        if len(made) != len(frames):
            raise CannotJudge("video and reference differ in length")
        if made.shape != frames.shape:
            raise CannotJudge("video and reference differ in size")
        landmarks = _landmarks(reference, len(frames))
        key = name.removesuffix(SUFFIX)
        truth = ClipTruth(key, speaker_of(name), frames, frames[0], _sound(reference, len(frames)),
                          np.ones(len(frames), bool), landmarks)
        if landmarks is None and self._judges.face and truth.seen(self._judges).landmarks is None:
            raise CannotJudge("no face in the reference")
        self._made[key] = made
        return truth

    def _another(self, number: int, truth: ClipTruth) -> np.ndarray | None:
        """The video of another clip, cut to this one's length or held on its last frame; None where none fits."""
        if self._partners is None:
            return None
        try:
            frames = _frames(self._videos / self.names[self._partners[number]], "the video")
        except CannotJudge:
            return None
        if frames.shape[1:] != truth.frames.shape[1:]:
            return None
        return frames[np.minimum(np.arange(len(truth.frames)), len(frames) - 1)]


def collect_videos(videos: pathlib.Path, reference: pathlib.Path, metrics: str = "all", judges: Judges | None = None,
                   shard: Shard = Shard(), report: Report = lambda message: None) -> tuple[Collected, Shown]:
    """Measures videos against references, beside controls.

    Args:
        videos: folder of mp4.
        reference: folder of mp4 of the same names, with sound.
        metrics: `basic` or `all`.
        judges: None loads those that ship, where all metrics are wanted.
        shard: which of the clips.
        report: called with what is done next.
    """
    if metrics == "basic":
        judges = Judges()
    elif judges is None:
        judges = Judges.load()
    about = {"videos": str(videos), "reference": str(reference),
             "judges": judges.about}
    names = sorted(_names(videos) | _names(reference))
    settings = {"config_hash": files.fingerprint({"names": names, "metrics": metrics}), "seeds": [], "about": about}
    collected = Collected(settings, len(names))
    source = VideoSource(videos, reference, judges, collected)

    def measure(truth, made):
        return measure_basic(truth, made) if metrics == "basic" else measure_clip(truth, made, judges)

    return collected, collect(source, measure, judges, shard, collected, report)


def speaker_of(name: str) -> str | None:
    """The folder that a clip lies in; None where it lies in none."""
    folder = pathlib.PurePosixPath(name).parent.as_posix()
    return None if folder == "." else folder


def _names(folder: pathlib.Path) -> set[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one that holds mp4 files")
    return {path.relative_to(folder).as_posix() for path in folder.rglob(f"*{SUFFIX}") if path.is_file()}


def _frames(path: pathlib.Path, which: str) -> np.ndarray:
    """[T, H, W, 3] uint8 of a file of 25 frames a second."""
    try:
        frames = list(media.video_frames(path))
        rate = media.probe(path).fps if frames else 0
    except DataError as error:
        log.warning("%s", error)
        raise CannotJudge(f"{which} cannot be read") from None
    if not frames:
        raise CannotJudge(f"{which} has no picture")
    if abs(rate - FPS) > RATE_TOLERANCE:
        raise CannotJudge(f"{which} has not {FPS} frames a second")
    return np.stack(frames)


def _sound(reference: pathlib.Path, frames: int) -> np.ndarray:
    """[T * 640 + 6400] int16 of the reference, zeros before its start and after its end."""
    try:
        samples = media.read_audio(reference)
    except DataError as error:
        log.warning("%s", error)
        raise CannotJudge("no sound in the reference") from None
    samples = samples[: frames * SAMPLES_PER_FRAME]
    after = frames * SAMPLES_PER_FRAME - len(samples) + AUDIO_CONTEXT
    return np.pad(samples, (AUDIO_CONTEXT, after))


def _landmarks(reference: pathlib.Path, frames: int) -> np.ndarray | None:
    """[T, 68, 2] from the file beside the reference, where there is one."""
    path = reference.with_name(reference.name.removesuffix(SUFFIX) + LANDMARKS_SUFFIX)
    if not path.is_file():
        return None
    try:
        landmarks = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        log.warning("%s: cannot be read (%s)", path, error)
        raise CannotJudge("the landmarks cannot be read") from None
    if landmarks.shape != (frames, LANDMARKS, 2) or not np.isfinite(landmarks).all():
        raise CannotJudge(f"the landmarks are not [T, {LANDMARKS}, 2] of finite numbers")
    return landmarks.astype(np.float32)
