"""Clips of the embedded corpus before they are rendered, so that a fault can be planted in the head itself."""

import dataclasses

import numpy as np

from data_pipelines import schema
from data_pipelines.synthetic import corpus as drawing
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.expression import EXPRESSION_NAMES
from data_pipelines.synthetic.identity import Identity
from data_pipelines.synthetic.motion import Motion
from data_pipelines.synthetic.render import RenderedClip, render_clip
from data_pipelines.synthetic.scene import Scene, sample_scene
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import Corpus, Place
from data_pipelines.synthetic.speech import Speech

SPEAKERS, CLIPS_EACH = 12, 4
"""48 clips. Their seed is of no judge's training or examination."""
SEED = 5
SIZE = 96
CORPUS = Corpus(speakers=SPEAKERS + 1, validation_speakers=0, test_speakers=SPEAKERS, clips=CLIPS_EACH, size=SIZE,
                motion="natural", sentences="grid", seed=SEED)
MOST_TRIES = 100
LIPS = [EXPRESSION_NAMES.index(name)
        for name in ("AU10", "AU12", "AU14", "AU15", "AU17", "AU20", "AU23", "AU25", "AU26", "pucker", "press",
                     "funnel")]
"""Columns of the expression that move the mouth."""
LIDS = EXPRESSION_NAMES.index("AU45")


@dataclasses.dataclass(frozen=True)
class Performance:
    """Who says what, how, and where.

    Attributes:
        place: split, speaker and clip.
        identity, scene: who, and where.
        said: audio, words and phonemes.
        motion: expression, pose and gaze.
        noise_seed: of the sensor.
    """

    place: Place
    identity: Identity
    scene: Scene
    said: Speech
    motion: Motion
    noise_seed: int

    def render(self) -> RenderedClip:
        """Pixels and exact labels."""
        moved = self.motion
        return render_clip(self.identity, self.scene, moved.expression, moved.pose, moved.gaze, SIZE, self.noise_seed)

    def moving(self, **changed: np.ndarray) -> "Performance":
        """The same with another `expression`, `pose` or `gaze`."""
        return dataclasses.replace(self, motion=dataclasses.replace(self.motion, **changed))

    @property
    def speech(self) -> np.ndarray:
        """Bool `[T]`: frames from the first word's start to the last one's end."""
        moments = (np.arange(self.said.frames) + 0.5) / schema.FPS
        return (moments >= self.said.words[0][1]) & (moments < self.said.words[-1][2])


def perform(place: Place, espeak: Espeak) -> Performance:
    """The clip of the calibration corpus at a place, drawn until its eyes blink: else no blink could be taken away."""
    said = drawing.make_speech(CORPUS, place, espeak)
    rng = generator(SEED, "calibration scene", place.speaker, place.clip)
    for take in range(MOST_TRIES):
        motion = drawing.make_motion(CORPUS, place, said, take)
        if motion.expression[:, LIDS].max() > 0.95:
            break
    return Performance(place, drawing.make_identity(CORPUS, place), sample_scene(rng), said, motion,
                       int(rng.integers(2**31)))


def places() -> list[Place]:
    """The clips of the calibration."""
    return [place for place in CORPUS.places.values() if place.split == "test"]


def partner(place: Place) -> Place:
    """A clip of another speaker, each used once: whose face, lips and audio a fault borrows."""
    return dataclasses.replace(place, speaker=(place.speaker + SPEAKERS // 2) % SPEAKERS)
