"""A sentence spoken in a clip: waveform at 16 kHz with the exact times of its phonemes and words."""

import dataclasses
import functools
import math

import numpy as np
import scipy.signal

from data_pipelines import schema
from data_pipelines.synthetic.espeak import Espeak, SpeechError, Spoken
from data_pipelines.synthetic.grammar import Sentence
from data_pipelines.synthetic.voices import RATE_JITTER, Voice

PAUSE = "_"
"""Name of silence among the phonemes."""
LEAD_SECONDS = (0.2, 0.8)
"""Silence before the first sound."""
TAIL_SECONDS = (0.15, 0.5)
"""Silence after the last sound; longer where the clip has room."""
EXTRA_PAUSE_SECONDS = (0.0, 0.35)
"""Silence added to each of the speaker's own pauses."""
STOPS = ("p", "b", "t", "d", "k", "g", "tS", "dZ")
"""Sounds made by a closure and its release; espeak marks them at the release."""
LIQUIDS = ("r", "l")
MIN_SOUND_SECONDS = 0.01
FOLDED_SHARE = 1 / 3
"""A liquid that espeak folds into the vowel before it (Scottish "warm") has no sound of its own; it gets this share."""
MAX_CLOSURE_SECONDS = 0.08
"""Longest closure given to a stop that follows silence, where its start cannot be heard."""
MIN_CLOSURE_SECONDS = 0.02
"""A shorter silence before a stop is no closure of its own; then its voice sounds through closed lips ("Bob")."""
STRESS_MARKS = "',%="
RATE_STEP = 50
FASTEST = 260
"""Words per minute that no speaker exceeds in a hurry."""
FIT_ATTEMPTS = 6
HURRY = 1.04
"""A sentence that does not fit is repeated this much faster than the arithmetic asks."""


@dataclasses.dataclass(frozen=True)
class Phoneme:
    """A sound.

    Attributes:
        name: espeak's name without stress marks; `PAUSE` for silence.
        start, end: seconds from the clip's start.
        stressed: carries the word's main stress.
        release: seconds; where a stop whose closure is silent bursts open, else None.
    """

    name: str
    start: float
    end: float
    stressed: bool = False
    release: float | None = None

    def later(self, seconds: float) -> "Phoneme":
        """The same sound, moved."""
        return dataclasses.replace(self, start=self.start + seconds, end=self.end + seconds,
                                   release=None if self.release is None else self.release + seconds)


@dataclasses.dataclass(frozen=True)
class Speech:
    """What is heard in a clip.

    Attributes:
        audio: [T * 640] int16, 16 kHz.
        phonemes: without gaps from 0 to the clip's end; the closure of a stop belongs to the stop.
        words: (word, start, end) in seconds from the clip's start.
        sentence: the words with single spaces.
    """

    audio: np.ndarray
    phonemes: tuple[Phoneme, ...]
    words: tuple[tuple[str, float, float], ...]
    sentence: str

    @property
    def frames(self) -> int:
        """T, video frames of the clip."""
        return len(self.audio) // schema.SAMPLES_PER_FRAME


@dataclasses.dataclass(frozen=True)
class _Take:
    """One reading of a sentence, before it is placed in a clip. Times in seconds from the first sound."""

    audio: np.ndarray
    rate: float
    sounds: list[Phoneme]
    word_lengths: tuple[int, ...]

    @property
    def seconds(self) -> float:
        return self.sounds[-1].end


def record(espeak: Espeak, sentence: Sentence, voice: Voice, rng: np.random.Generator,
           frames: int | None = schema.RECORD_FRAMES) -> Speech:
    """Speaks a sentence into a clip, with a random lead-in and random pauses.

    Args:
        espeak: running engine.
        sentence: what to say.
        voice: who says it.
        rng: draws rate, lead-in and pauses.
        frames: length of the clip; the speaker hurries where the sentence would not fit. None: as long as it takes,
            at least `schema.RECORD_FRAMES`. No sentence is ever cut.

    Raises:
        SpeechError: the sentence cannot be said in `frames` frames.
    """
    rate = 1 + RATE_JITTER * rng.uniform(-1, 1)
    room = (frames or schema.RECORD_FRAMES) / schema.FPS - LEAD_SECONDS[0] - TAIL_SECONDS[0]
    for _ in range(FIT_ATTEMPTS):
        take = _take(espeak, sentence, voice, rate)
        if frames is None or take.seconds <= room:
            return _place(take, sentence, rng, frames)
        if voice.rate * rate >= FASTEST:
            break
        rate = min(rate * HURRY * take.seconds / room, FASTEST / voice.rate)
    raise SpeechError(f"{sentence.text!r} takes {take.seconds:.2f} s even in a hurry; give the clip more than "
                      f"{frames} frames, or frames=None")


def _take(espeak: Espeak, sentence: Sentence, voice: Voice, rate: float) -> _Take:
    spoken = espeak.say([voice.utterance(sentence.spoken(), rate)])[0]
    # in steps of 50 Hz, so that resampling is by a ratio of small integers
    native_rate = RATE_STEP * round(spoken.sample_rate * voice.tract / RATE_STEP)
    sounds = _sounds(spoken, native_rate)
    heard = sum(sound.name != PAUSE for sound in sounds)
    if len(spoken.word_lengths) != len(sentence.words) or sum(spoken.word_lengths) != heard:
        raise SpeechError(f"espeak-ng gives {heard} phonemes in words of {spoken.word_lengths} for {sentence.text!r}; "
                          "choose other words")
    audio = voice.level * _resample(spoken.audio, native_rate)
    first = sounds[0].start
    start = round(first * schema.SAMPLE_RATE)
    stop = round(sounds[-1].end * schema.SAMPLE_RATE)
    return _Take(audio=audio[start:stop], rate=rate, sounds=[sound.later(-first) for sound in sounds],
                  word_lengths=spoken.word_lengths)


def _resample(audio: np.ndarray, rate: int) -> np.ndarray:
    """[S] int16 at `rate` Hz -> float64 at 16 kHz."""
    divisor = math.gcd(rate, schema.SAMPLE_RATE)
    up, down = schema.SAMPLE_RATE // divisor, rate // divisor
    return scipy.signal.resample_poly(audio.astype(np.float64), up, down, window=_low_pass(up, down))


@functools.lru_cache(maxsize=256)
def _low_pass(up: int, down: int) -> np.ndarray:
    """The filter that `resample_poly` designs by default, once per ratio instead of once per sentence."""
    widest = max(up, down)
    return scipy.signal.firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))


def _sounds(spoken: Spoken, rate: float) -> list[Phoneme]:
    """The engine's events as intervals from the first sound to the last, pauses merged into one."""
    names = [name.lstrip(STRESS_MARKS) for name, _ in spoken.phonemes]
    pauses = [name.startswith(PAUSE) for name in names]
    releases = [sample for _, sample in spoken.phonemes]
    starts = _starts(spoken, names, pauses, rate)
    sounds = []
    for index, (name, _) in enumerate(spoken.phonemes):
        start, end = starts[index] / rate, starts[index + 1] / rate
        if not pauses[index]:
            silent = is_stop(names[index]) and releases[index] - starts[index] >= MIN_CLOSURE_SECONDS * rate
            sounds.append(Phoneme(names[index], start, end, stressed=name.startswith("'"),
                                  release=releases[index] / rate if silent else None))
        elif sounds and sounds[-1].name == PAUSE:
            sounds[-1] = dataclasses.replace(sounds[-1], end=end)
        elif sounds:  # silence before the first sound is dropped
            sounds.append(Phoneme(PAUSE, start, end))
    return sounds[:-1] if sounds[-1].name == PAUSE else sounds


def _starts(spoken: Spoken, names: list[str], pauses: list[bool], rate: float) -> list[int]:
    """First sample of every event, and of the end: closures given to their stops, folded liquids their share."""
    events = [sample for _, sample in spoken.phonemes] + [len(spoken.audio)]
    starts = list(events)
    for index, name in enumerate(names):
        if is_stop(name):
            earliest = events[index - 1] if index else 0
            if index == 0 or pauses[index - 1]:
                earliest = max(earliest, events[index] - round(MAX_CLOSURE_SECONDS * rate))
            starts[index] = _closure_start(spoken.audio, earliest, events[index])
    for index, name in enumerate(names):
        soundless = starts[index + 1] - starts[index] < MIN_SOUND_SECONDS * rate
        if name in LIQUIDS and soundless and index and not pauses[index - 1]:
            starts[index] = starts[index - 1] + round((1 - FOLDED_SHARE) * (starts[index + 1] - starts[index - 1]))
    return starts


def is_stop(name: str) -> bool:
    """Whether a phoneme is made by a closure and its release; "t#" and "t[" are kinds of t."""
    return name.rstrip("#[") in STOPS


def _closure_start(audio: np.ndarray, earliest: int, release: int) -> int:
    """First sample of the silence that ends at `release`, not before `earliest`."""
    heard = np.flatnonzero(audio[earliest:release])
    return earliest + int(heard[-1]) + 1 if len(heard) else earliest


def _place(take: _Take, sentence: Sentence, rng: np.random.Generator, frames: int | None) -> Speech:
    """Adds lead-in, longer pauses and tail."""
    frame_seconds = 1 / schema.FPS
    pauses = [index for index, sound in enumerate(take.sounds) if sound.name == PAUSE]
    extra = rng.uniform(*EXTRA_PAUSE_SECONDS, size=len(pauses))
    lead, tail = rng.uniform(*LEAD_SECONDS), rng.uniform(*TAIL_SECONDS)
    if frames is None:
        frames = max(schema.RECORD_FRAMES, math.ceil((lead + take.seconds + extra.sum() + tail) * schema.FPS))
    slack = frames * frame_seconds - take.seconds - LEAD_SECONDS[0] - TAIL_SECONDS[0]
    extra *= min(1.0, slack / max(extra.sum(), 1e-9))
    lead = min(lead, LEAD_SECONDS[0] + slack - extra.sum())
    # whole samples, so that what is written and what is heard are the same
    lead = math.floor(lead * schema.SAMPLE_RATE) / schema.SAMPLE_RATE
    extra = np.floor(extra * schema.SAMPLE_RATE) / schema.SAMPLE_RATE

    pieces, sounds = [np.zeros(round(lead * schema.SAMPLE_RATE))], []
    shift, taken = lead, 0
    for index, sound in enumerate(take.sounds):
        added = float(extra[pauses.index(index)]) if index in pauses else 0.0
        sounds.append(dataclasses.replace(sound.later(shift), end=sound.end + shift + added))
        if added:
            middle = round((sound.start + sound.end) / 2 * schema.SAMPLE_RATE)
            pieces += [take.audio[taken:middle], np.zeros(round(added * schema.SAMPLE_RATE))]
            taken = middle
        shift += added
    audio = np.concatenate(pieces + [take.audio[taken:]])
    audio = np.pad(audio, (0, frames * schema.SAMPLES_PER_FRAME - len(audio)))
    end = frames * frame_seconds
    phonemes = [Phoneme(PAUSE, 0.0, sounds[0].start), *sounds, Phoneme(PAUSE, sounds[-1].end, end)]
    return Speech(audio=np.clip(np.rint(audio), -32768, 32767).astype(np.int16), phonemes=tuple(phonemes),
                  words=_words(sentence, take.word_lengths, sounds), sentence=sentence.text)


def _words(sentence: Sentence, lengths: tuple[int, ...], sounds: list[Phoneme]) -> tuple[tuple[str, float, float], ...]:
    heard = [sound for sound in sounds if sound.name != PAUSE]
    words, position = [], 0
    for word, length in zip(sentence.words, lengths, strict=True):
        words.append((word, heard[position].start, heard[position + length - 1].end))
        position += length
    return tuple(words)
