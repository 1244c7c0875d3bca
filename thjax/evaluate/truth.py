"""A true clip, and a clip as the judges see it."""

import dataclasses
import functools

import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, FPS, SAMPLES_PER_FRAME
from thjax.evaluate.judges import SMALLEST_FRAME, Judges
from thjax.evaluate.public_networks import PublicSight
from thjax.metrics import sync
from thjax.metrics.landmarks import Detections

ANGLES = slice(3, 6)
"""Pitch, yaw and roll in `schema.POSE`."""
BILABIALS = ("p", "b", "m")
EXACT = "exact"
"""The detector's name where landmarks are the corpus's own."""
SYNC_WINDOW = 5
"""Frames that the judge of sync sees at a time."""
FEWEST_FOR_SYNC = sync.VSHIFT + SYNC_WINDOW
"""Frames of which every shift of the search leaves a window on both sides."""
WHOLE_SEARCH = 2 * sync.VSHIFT + SYNC_WINDOW
"""Frames from which on some windows have a partner at every shift."""
Spans = list[tuple[str, float, float]]
"""(text, start, end) in seconds from the clip's first frame."""


class Seen:
    """A clip through the judges' eyes: each looks once, when it is first asked, and never where it cannot.

    Args:
        frames: [T, H, W, 3] uint8.
        audio: [T * 640 + 6400] int16.
        judges: that look.
        landmarks: [T, 68, 2] pixels, used where there is no judge of faces; None where there are none either.
        landmark_noise: [T, 68, 2] pixels that a shaking tracker adds to what it finds, for calibration.
    """

    def __init__(self, frames: np.ndarray, audio: np.ndarray, judges: Judges, landmarks: np.ndarray | None = None,
                 landmark_noise: np.ndarray | None = None):
        self._frames, self._audio, self._judges, self._known = frames, audio, judges, landmarks
        self._noise = np.float32(0) if landmark_noise is None else landmark_noise
        self.large_enough = min(frames.shape[1:3]) >= SMALLEST_FRAME

    @functools.cached_property
    def track(self):
        """What the judge of faces reads; None without one."""
        return self._judges.face.measure(self._frames) if self._judges.face and self.large_enough else None

    @property
    def blind(self) -> str:
        """Why there is no track."""
        if self._judges.face is None:
            return "no judge of faces"
        return "frames are too small for the judge of faces"

    @property
    def detector(self) -> str:
        """Name of whatever found the landmarks."""
        return EXACT if self.track is None else self._judges.label("face")

    @functools.cached_property
    def points(self) -> np.ndarray | None:
        """[T, 68, 2] landmarks, NaN where no face was found; None without a detector."""
        if self.track is None:
            return None if self._known is None else self._known + self._noise
        found = np.asarray(self.track.found, bool) & np.isfinite(self.track.landmarks).all(axis=(1, 2))
        return np.where(found[:, None, None], self.track.landmarks + self._noise, np.nan)

    @functools.cached_property
    def found(self) -> np.ndarray:
        """[T] bool: frames with a face."""
        if self.points is None:
            return np.zeros(len(self._frames), bool)
        return np.isfinite(self.points).all(axis=(1, 2))

    @functools.cached_property
    def landmarks(self) -> np.ndarray | None:
        """[T, 68, 2]: a frame without a face takes the nearest one's; None where no frame has one."""
        if not self.found.any():
            return None
        return self.points[nearest_found(self.found)]

    @property
    def detections(self) -> Detections:
        """The landmarks as distances take them."""
        return Detections(self.points, self.detector, *self._frames.shape[1:3])

    @property
    def angles(self) -> np.ndarray:
        """[t, 3] radians, pitch, yaw, roll, of the frames with a face; the judge of faces must be there."""
        return np.asarray(self.track.pose, np.float64)[self.found][:, ANGLES]

    @property
    def angles_throughout(self) -> np.ndarray:
        """[T, 3] radians as `angles`, in true time: a frame without a face takes the nearest one's."""
        return np.asarray(self.track.pose, np.float64)[nearest_found(self.found)][:, ANGLES]

    @functools.cached_property
    def curve(self) -> np.ndarray:
        """Distances of lips and sound over shifts, see `metrics.sync.distance_curve`.

        Only pairs inside the clip count: the judge's vectors have length 1, and zero is no fair stand-in for them.
        """
        embedded = self._judges.sync.embed(self._frames, self.landmarks, self._audio)
        return sync.distance_curve(*embedded, edges="inside")

    @functools.cached_property
    def words(self) -> list[str]:
        """Words that the lips seem to say."""
        return [str(word) for word in self._judges.lips.read(self._frames, self.landmarks)]

    @functools.cached_property
    def faces(self) -> np.ndarray:
        """[T, D] embeddings of the face in every frame."""
        return np.asarray(self._judges.identity.embed(self._frames, self.landmarks))

    @functools.cached_property
    def public(self) -> PublicSight:
        """The clip through the public networks that were given."""
        return PublicSight(self._judges.public, self._frames, self._audio, self.landmarks)


def speech_of(words: Spans, frames: int) -> np.ndarray:
    """[T] bool: frames whose middle lies inside a word."""
    moments = (np.arange(frames) + 0.5) / FPS
    return np.any([(moments >= start) & (moments < end) for _, start, end in words], axis=0)


def bilabials_of(phonemes: Spans) -> np.ndarray:
    """[K, 2] start and end of every p, b and m in frames."""
    spans = [(start * FPS, end * FPS) for name, start, end in phonemes if name.lower() in BILABIALS]
    return np.array(spans, np.float64).reshape(-1, 2)


def nearest_found(found: np.ndarray) -> np.ndarray:
    """[T] for every frame the index of the nearest one with a face; found [T] bool, one of them at least."""
    there = np.flatnonzero(found)
    return there[np.abs(there[None, :] - np.arange(len(found))[:, None]).argmin(axis=1)]


@dataclasses.dataclass(eq=False)
class ClipTruth:
    """A true clip: what a generated one is held against.

    Attributes:
        key: its name.
        speaker: name; None where it is not known.
        frames: [T, H, W, 3] uint8.
        still: [H, W, 3] uint8 that the generated clip started from.
        audio: [T * 640 + 6400] int16, 3,200 samples of context on each side.
        counts: [T] bool, frames that pixels are compared on.
        landmarks: [T, 68, 2] exact, in pixels, or None.
        words: with times, or None where nobody wrote them down.
        phonemes: likewise.
    """

    key: str
    speaker: str | None
    frames: np.ndarray
    still: np.ndarray
    audio: np.ndarray
    counts: np.ndarray
    landmarks: np.ndarray | None = None
    words: Spans | None = None
    phonemes: Spans | None = None

    def __post_init__(self):
        samples = len(self.frames) * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT
        if self.audio.shape != (samples,) or self.audio.dtype != np.int16:
            raise ValueError(f"{self.key}: audio is {self.audio.dtype} {self.audio.shape}; {len(self.frames)} frames "
                             f"need int16 ({samples},)")
        self._seen: tuple[Judges, Seen] | None = None
        self._still: tuple[Judges, Seen] | None = None

    def seen(self, judges: Judges) -> Seen:
        """The clip as these judges see it, looked at once for all rows of a table."""
        if self._seen is None or self._seen[0] is not judges:
            self._seen = judges, Seen(self.frames, self.audio, judges, self.landmarks)
        return self._seen[1]

    @functools.cached_property
    def speech(self) -> np.ndarray | None:
        """[T] bool: frames whose middle lies inside a word; None where the words are not known."""
        return speech_of(self.words, len(self.frames)) if self.words else None

    @functools.cached_property
    def bilabials(self) -> np.ndarray | None:
        """[K, 2] start and end of every p, b and m in frames; None where the phonemes are not known."""
        return bilabials_of(self.phonemes) if self.phonemes else None

    def still_seen(self, judges: Judges) -> Seen:
        """The still as these judges see it. Without a judge of faces: with the landmarks of the clip's first frame
        that counts, which is the still."""
        if self._still is None or self._still[0] is not judges:
            known = None if self.landmarks is None else self.landmarks[self.counts.argmax()][None]
            self._still = judges, Seen(self.still[None], self.audio, judges, known)
        return self._still[1]
