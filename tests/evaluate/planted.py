"""A world whose answers are known: the first row of pixels of every frame says what the judges are to see in it.

Blue of pixel 0: lip gap, 1: sound level, 2: person, 3: yaw, 4: 255 where a face is found, 5: lids shut, 6-11: words.
"""

import dataclasses

import numpy as np

from data_pipelines.schema import AU_INTENSITY, AUDIO_CONTEXT, FPS, SAMPLES_PER_FRAME
from data_pipelines.synthetic.grammar import GRID
from thjax.evaluate.judges import Judges
from thjax.evaluate.truth import ClipTruth

GAP, LEVEL, PERSON, YAW, FOUND, LIDS, WORDS = 0, 1, 2, 3, 4, 5, slice(6, 12)
SIZE, FRAMES = 64, 40
COMMAND = ("bin", "blue", "at", "p", "two", "now")
_RNG = np.random.default_rng(7)
_CODES = _RNG.standard_normal((256, 16))
_CODES /= np.linalg.norm(_CODES, axis=1, keepdims=True)
_FACE = _RNG.uniform(0.3, 0.7, (68, 2))
_FACE[2:15, 1], _FACE[30, 1], _FACE[48:68, 1] = 0.9, 0.5, _RNG.uniform(0.65, 0.8, 20)  # chin, nose tip, mouth


@dataclasses.dataclass(frozen=True)
class Track:
    landmarks: np.ndarray
    au: np.ndarray
    pose: np.ndarray
    lip_gap: np.ndarray
    found: np.ndarray


class Face:
    label = "synthetic"
    calls = 0

    def measure(self, frames):
        self.calls += 1
        code = frames[:, 0, :, 2].astype(np.float64)
        landmarks = np.tile(_FACE, (len(frames), 1, 1)) * frames.shape[1]
        landmarks[:, 65:68, 1] += code[:, GAP, None] / 40
        au = np.zeros((len(frames), len(AU_INTENSITY)))
        au[:, AU_INTENSITY.index("AU26")] = code[:, GAP] / 40
        au[:, AU_INTENSITY.index("AU45")] = np.where(code[:, LIDS] > 0, 4, 0)
        pose = np.zeros((len(frames), 6))
        pose[:, 4] = (code[:, YAW] - 128) / 256
        return Track(landmarks.astype(np.float32), au, pose, code[:, GAP] / 255, code[:, FOUND] > 0)


class Sync:
    label = "synthetic"

    def embed(self, frames, landmarks, audio):
        windows = len(frames) - 4
        level = np.abs(audio[AUDIO_CONTEXT:-AUDIO_CONTEXT].reshape(len(frames), -1)[:, 0])
        return _CODES[frames[:windows, 0, LEVEL, 2]], _CODES[level[:windows] % 256]


class Lips:
    label = "synthetic"

    def read(self, frames, landmarks):
        return tuple(slot[int(code) % len(slot)] for slot, code in zip(GRID, frames[0, 0, WORDS, 2], strict=True))


class Identity:
    label = "synthetic"

    def embed(self, frames, landmarks):
        return _CODES[frames[:, 0, PERSON, 2]].astype(np.float32)


def judges() -> Judges:
    return Judges(Sync(), Lips(), Identity(), Face())


def frames_of(gap, level, person=3, yaw=128, lids=0, found=255, command=COMMAND, seed=0):
    """[T, 64, 64, 3] uint8 of noise below the first row."""
    count = len(level)
    frames = np.repeat(np.random.default_rng(seed).integers(0, 255, (1, SIZE, SIZE, 3)), count, 0).astype(np.uint8)
    frames[:, 0] = 0
    for place, value in ((GAP, gap), (LEVEL, level), (PERSON, person), (YAW, yaw), (FOUND, found), (LIDS, lids)):
        frames[:, 0, place, 2] = value
    frames[:, 0, WORDS, 2] = [slot.index(word) for slot, word in zip(GRID, command, strict=True)]
    return frames


def clip(seed=0, speaker="s0", person=3, count=FRAMES):
    """A true clip whose sound level, lips and head follow from the seed; 'p' is spoken in frames 10 and 11."""
    rng = np.random.default_rng(seed)
    level = rng.integers(1, 255, count)
    gap = rng.integers(60, 250, count)
    gap[10:12] = 0
    yaw = (128 + 60 * np.sin(np.arange(count) / 5 + seed)).astype(int)
    lids = np.zeros(count, int)
    lids[20:23] = 1
    audio = np.zeros(count * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT, np.int16)
    audio[AUDIO_CONTEXT:-AUDIO_CONTEXT] = np.repeat(level, SAMPLES_PER_FRAME)
    frames = frames_of(gap, level, person, yaw, lids, seed=seed)
    words = [(word, (2 + 6 * i) / FPS, (8 + 6 * i) / FPS) for i, word in enumerate(COMMAND)]
    phonemes = [("b", 2 / FPS, 3 / FPS), ("p", 10 / FPS, 12 / FPS), ("t", 20 / FPS, 21 / FPS)]
    return ClipTruth(f"{speaker}/c{seed}", speaker, frames, frames[0], audio, np.ones(count, bool),
                     landmarks=(np.tile(_FACE, (count, 1, 1)) * SIZE).astype(np.float32), words=words,
                     phonemes=phonemes)


def changed(truth, place, value):
    """The clip's frames with one of its codes changed."""
    frames = truth.frames.copy()
    frames[:, 0, place, 2] = value
    return frames
