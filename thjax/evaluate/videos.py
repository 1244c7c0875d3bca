"""Judges any folder of mp4 beside one of reference mp4: other people's systems under the same ruler.

What others write differs: the rate, a frame or two at the end, the size. Videos are made to fit their references, and
every clip to which something was done is named; what cannot be made to fit is not judged, and named, too.
"""

import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from data_pipelines import crops, media
from data_pipelines.prepare.pictures import Pictures
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.grid import parse_align
from data_pipelines.schema import AUDIO_CONTEXT, FPS, LANDMARKS, SAMPLES_PER_FRAME, DataError
from thjax.core import files
from thjax.core.errors import UserError
from thjax.evaluate.collected import Collected
from thjax.evaluate.controls import CEILING, copied, derangement, reencode
from thjax.evaluate.given_labels import Film, GivenLabels
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import measure_basic, measure_clip
from thjax.evaluate.passes import Report, Shard, Shown, Takes, collect
from thjax.evaluate.truth import ClipTruth

log = logging.getLogger(__name__)
SUFFIX, LANDMARKS_SUFFIX, WORDS_SUFFIX = ".mp4", ".landmarks.npy", ".align"
RATE_TOLERANCE = 0.01
"""Frames per second, within which a file counts as one of 25."""
MOST_MISSING = 5
"""Frames by which video and reference may differ in length; the longer is cut at its end."""
MOST_DISTORTED = 0.02
"""Share by which their aspect ratios may differ for one to be scaled to the size of the other."""


class CannotJudge(Exception):
    """A clip cannot be judged; the text is the reason under which it is counted."""


class VideoSource:
    """Videos, their references of the same names, and the controls.

    Names are paths below the folders; a clip in a folder of its own (`s1/clip.mp4`) has that folder as its speaker.

    Args:
        videos: folder of mp4 to judge.
        reference: folder of true mp4 with sound; beside `NAME.mp4` may lie `NAME.landmarks.npy` [T, 68, 2], and
            `NAME.align` with lines `START END WORD` in 25,000ths of a second, as GRID has them.
        judges: that of faces must find one in a reference without landmarks.
        names: of the clips.
        collected: takes the names of clips that cannot be judged, and of those that are made to fit.
        given: takes a tracker's labels; None where there are none.
    """

    def __init__(self, videos: pathlib.Path, reference: pathlib.Path, judges: Judges, names: list[str],
                 collected: Collected, given: GivenLabels | None = None):
        self._videos, self._reference, self._judges, self._collected = videos, reference, judges, collected
        self.names, self._given = names, given
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
        made_film, true_film = self._read(video, name, "the video"), self._read(reference, name, "the reference")
        landmarks = _landmarks(reference, len(true_film.frames))
        made, frames = self._fitted(name, made_film.frames, true_film.frames)
        landmarks = None if landmarks is None else landmarks[: len(frames)]
        key = name.removesuffix(SUFFIX)
        truth = ClipTruth(key, speaker_of(name), frames, frames[0], _sound(reference, len(frames)),
                          np.ones(len(frames), bool), landmarks, _words(reference))
        if landmarks is None and self._judges.face:
            real = truth.seen(self._judges)
            if real.large_enough and real.landmarks is None:  # of small frames it can be told by their pixels
                raise CannotJudge("no face in the reference")
        self._made[key] = made
        if self._given:
            self._given.read(truth, name, (video, made_film), (reference, true_film))
        return truth

    def _read(self, path: pathlib.Path, name: str, which: str) -> Film:
        film = _film(path, which)
        if abs(film.read.frames_per_second - FPS) > RATE_TOLERANCE:
            self._note(f"{which} was read at {FPS} frames a second by its timestamps", name)
        return film

    def _fitted(self, name: str, made: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Video and reference as long as the shorter, both of the reference's size."""
        count = min(len(made), len(frames))
        if max(len(made), len(frames)) - count > MOST_MISSING:
            raise CannotJudge(f"video and reference differ in length by more than {MOST_MISSING} frames")
        if len(made) != len(frames):
            self._note(f"cut at the end, by at most {MOST_MISSING} frames, to the shorter of video and reference", name)
        scaled = _scaled(made[:count], frames)
        if made.shape[1:] != frames.shape[1:]:
            self._note("the video was scaled to the reference's size", name)
        return scaled, frames[:count]

    def _note(self, what: str, name: str) -> None:
        self._collected.adapted.setdefault(what, []).append(name)

    def _another(self, number: int, truth: ClipTruth) -> np.ndarray | None:
        """The video of another clip, cut to this one's length or held on its last frame; None where none fits."""
        if self._partners is None:
            return None
        try:
            frames = _film(self._videos / self.names[self._partners[number]], "the video").frames
            frames = _scaled(frames, truth.frames)
        except CannotJudge:
            return None
        return frames[np.minimum(np.arange(len(truth.frames)), len(frames) - 1)]


def collect_videos(videos: pathlib.Path, reference: pathlib.Path, metrics: str = "all", judges: Judges | None = None,
                   shard: Shard = Shard(), report: Report = lambda message: None,
                   limit: int = 0,
                   labels: tuple[pathlib.Path, pathlib.Path] | None = None) -> tuple[Collected, Shown]:
    """Measures videos against references, beside controls.

    Args:
        videos: folder of mp4.
        reference: folder of mp4 of the same names, with sound.
        metrics: `basic` or `all`.
        judges: None loads those that ship, where all metrics are wanted.
        shard: which of the clips.
        report: called with what is done next.
        limit: clips to use, spread over the names in order; 0 uses all.
        labels: folders of a tracker's labels, of the videos and of the references, see `GivenLabels`.

    Raises:
        UserError: a folder is missing, or there is no mp4.
    """
    if metrics == "basic":
        judges = Judges()
    elif judges is None:
        judges = Judges.load()
    about = {"videos": str(videos), "reference": str(reference), "judges": judges.about}
    given = GivenLabels(*labels) if labels else None
    if given:
        about["labels"] = [str(folder) for folder in labels]
    names = _spread(sorted(_names(videos) | _names(reference)), limit)
    if not names:
        raise UserError(f"neither {videos} nor {reference} has a file that ends in {SUFFIX}")
    settings = {"config_hash": files.fingerprint({"names": names, "metrics": metrics}), "seeds": [], "about": about}
    collected = Collected(settings, len(names))
    source = VideoSource(videos, reference, judges, names, collected, given)

    def measure(row, truth, made):
        sheet = measure_basic(truth, made) if metrics == "basic" else measure_clip(truth, made, judges)
        if given:
            given.measure(row, truth, sheet)
        return sheet

    return collected, collect(source, measure, judges, shard, collected, report)


def speaker_of(name: str) -> str | None:
    """The folder that a clip lies in; None where it lies in none."""
    folder = pathlib.PurePosixPath(name).parent.as_posix()
    return None if folder == "." else folder


def _spread(names: list[str], limit: int) -> list[str]:
    """At most `limit` names, spread over all of them; 0 takes all."""
    if not limit or limit >= len(names):
        return names
    return [names[index] for index in np.linspace(0, len(names) - 1, limit).round().astype(int)]


def _names(folder: pathlib.Path) -> set[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one that holds mp4 files")
    return {path.relative_to(folder).as_posix() for path in folder.rglob(f"*{SUFFIX}") if path.is_file()}


def _film(path: pathlib.Path, which: str) -> Film:
    """The pictures at 25 frames a second."""
    try:
        with media.opened(media.existing_file(path, "video")) as container:
            pictures = Pictures(container, str(path))
            shown = list(pictures)
    except (DataError, BadClip) as error:
        log.warning("%s", error)
        raise CannotJudge(f"{which} cannot be read") from None
    if not shown:
        raise CannotJudge(f"{which} has no picture")
    column = lambda name: np.array([getattr(picture, name) for picture in shown])
    return Film(np.stack([picture.image for picture in shown]), column("time"), column("number"), column("there"),
                pictures)


def _scaled(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Frames [T, H, W, 3] at the reference's size."""
    (height, width), (to_height, to_width) = frames.shape[1:3], reference.shape[1:3]
    if (height, width) == (to_height, to_width):
        return frames
    if abs(height * to_width / (width * to_height) - 1) > MOST_DISTORTED:
        raise CannotJudge("video and reference differ in shape")
    affine = np.array([[to_width / width, 0, 0], [0, to_height / height, 0]], np.float32)
    return crops.warp(frames, np.broadcast_to(affine, (len(frames), 2, 3)), (to_height, to_width))


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


def _words(reference: pathlib.Path) -> list[tuple[str, float, float]] | None:
    """Words with seconds from the file beside the reference, where there is one."""
    path = reference.with_suffix(WORDS_SUFFIX)
    if not path.is_file():
        return None
    try:
        return list(parse_align(path.read_text()))
    except (DataError, OSError, UnicodeDecodeError) as error:
        log.warning("%s: cannot be read (%s)", path, error)
        raise CannotJudge("the words cannot be read") from None


def _landmarks(reference: pathlib.Path, frames: int) -> np.ndarray | None:
    """[T, 68, 2] from the file beside the reference, where there is one."""
    path = reference.with_name(reference.name.removesuffix(SUFFIX) + LANDMARKS_SUFFIX)
    if not path.is_file():
        return None
    try:
        landmarks = np.load(path, allow_pickle=False)
    except files.DAMAGED_NPZ as error:
        log.warning("%s: cannot be read (%s)", path, error)
        raise CannotJudge("the landmarks cannot be read") from None
    if landmarks.shape != (frames, LANDMARKS, 2) or not np.isfinite(landmarks).all():
        raise CannotJudge(f"the landmarks are not [T, {LANDMARKS}, 2] of finite numbers")
    return landmarks.astype(np.float32)
