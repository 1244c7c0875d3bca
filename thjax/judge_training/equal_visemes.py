"""What no lip reader can tell: words of one slot that a voice says with the same mouth shapes."""

import functools
from collections.abc import Sequence

import numpy as np

from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.grammar import GRID, LETTER_SLOT, Sentence
from data_pipelines.synthetic.speech import PAUSE, STRESS_MARKS
from data_pipelines.synthetic.visemes import viseme_names
from data_pipelines.synthetic.voices import Voice

Shapes = tuple[str, ...]


def mouth_shapes(voice: Voice, espeak: Espeak) -> dict[str, Shapes]:
    """Names of the mouth shapes of every word of the grammar, as this voice says it within a command."""
    most = max(len(slot) for slot in GRID)
    commands = [tuple(slot[number % len(slot)] for slot in GRID) for number in range(most)]
    said = espeak.say([voice.utterance(Sentence(words, letters=(LETTER_SLOT,)).spoken()) for words in commands])
    shapes: dict[str, Shapes] = {}
    for words, spoken in zip(commands, said, strict=True):
        names = [name.lstrip(STRESS_MARKS) for name, _ in spoken.phonemes]
        phonemes = iter([name for name in names if not name.startswith(PAUSE)])
        for word, length in zip(words, spoken.word_lengths, strict=True):
            shapes[word] = sum((viseme_names(next(phonemes)) for _ in range(length)), ())
    return shapes


def guessing_errors(words: np.ndarray, voices: Sequence[Voice], espeak: Espeak) -> np.ndarray:
    """Chance of a wrong word where words of equal mouth shapes are guessed among, and all others known.

    Args:
        words: `[N, 6]` str, what was said.
        voices: N, who said it.
        espeak: running engine.

    Returns:
        float64 `[N, 6]`: 1 - 1 / number of words in the slot with these shapes.
    """

    @functools.cache
    def errors_of(voice: Voice) -> dict[str, float]:
        shapes = mouth_shapes(voice, espeak)
        return {word: 1 - 1 / sum(shapes[word] == shapes[other] for other in slot) for slot in GRID for word in slot}

    return np.array([[errors_of(voice)[word] for word in command]
                     for command, voice in zip(words, voices, strict=True)])
