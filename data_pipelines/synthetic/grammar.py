"""What the embedded corpus says: GRID's command grammar (Cooke et al. 2006) and free sentences with pauses."""

import dataclasses
import zlib
from typing import Literal, get_args

import numpy as np

Sentences = Literal["grid", "free", "mixed"]
KINDS: tuple[str, ...] = get_args(Sentences)
SPLIT_SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""Share of all possible sentences that each split may speak; no sentence belongs to two splits."""

LETTERS = tuple("abcdefghijklmnopqrstuvxyz")
GRID = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    LETTERS,
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
"""Command, colour, preposition, letter (without w, the only one of three syllables), digit, adverb."""
LETTER_SLOT = 3
GRID_PAUSE_SHARE = 0.2
"""Share of GRID sentences with a short stop after the colour or the digit."""

DETERMINERS = ("the", "a", "this", "that", "every", "our", "her", "his", "another", "my")
ADJECTIVES = (
    "old", "yellow", "small", "quiet", "broken", "purple", "warm", "heavy", "bright", "strange", "smooth", "new",
    "brave", "cheap", "sharp", "thick", "young", "usual", "pale", "loud", "royal", "beige", "pure", "major",
)
NOUNS = (
    "garden", "farmer", "bottle", "window", "teacher", "bridge", "paper", "mountain", "voice", "chair", "sailor",
    "market", "piano", "shadow", "village", "baker", "engine", "river", "button", "treasure", "ship", "boy",
    "cloud", "table", "judge", "monkey", "uncle", "fire", "thumb", "apple", "poem", "map", "jacket", "nurse",
    "puppy", "vision",
)
PEOPLE = ("we", "they", "you", "she", "nobody", "everyone", "Bob", "Martha", "Peter", "my mother", "the boys", "Joy")
VERBS = (
    "found", "moved", "watched", "painted", "carried", "opened", "bought", "measured", "pushed", "remembered",
    "saved", "changed", "followed", "broke", "joined", "threw", "hid", "caught", "brought", "kept", "imagined",
    "weighed",
)
PREPOSITIONS = ("near", "behind", "under", "before", "above", "beyond", "with", "from", "past", "inside")
TIMES = (
    "in the morning", "after lunch", "last summer", "at noon", "before the storm", "every evening", "on Monday",
    "a year ago", "for an hour", "by chance", "without a word", "this afternoon",
)
JOINS = ("and", "but", "so", "while", "because", "until", "before")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Words to be spoken.

    Attributes:
        words: lower or upper case, no punctuation.
        breaks: indices of the words after which the speaker pauses.
        letters: indices of words that are names of letters.
    """

    words: tuple[str, ...]
    breaks: tuple[int, ...] = ()
    letters: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The words with single spaces: the label of the clip."""
        return " ".join(self.words)

    def spoken(self) -> str:
        """Text for espeak-ng. No-break spaces keep it from joining words ("of the") into one."""
        pieces = []
        for index, word in enumerate(self.words):
            # Alone, "a" would be read as the article; phonemes in brackets need plain spaces around them.
            phonemes = index in self.letters and word == "a"
            if phonemes and pieces:
                pieces[-1] = " "
            pieces.append("[['eI]]" if phonemes else word)
            pieces.append(", " if index in self.breaks else " " if phonemes else "\u00a0")
        return "".join(pieces[:-1])


def split_of(sentence: Sentence) -> str:
    """The only split that may speak these words: a hash decides, so splits are disjoint whatever is drawn."""
    position = zlib.crc32(sentence.text.lower().encode()) % 10_000 / 10_000
    for split, share in SPLIT_SHARES.items():
        if position < share:
            return split
        position -= share
    return split


def grid_sentence(rng: np.random.Generator) -> Sentence:
    """One of GRID's 64,000 commands, at times with a short stop after the colour or the digit."""
    words = tuple(slot[rng.integers(len(slot))] for slot in GRID)
    stop = (int(rng.choice((1, 4))),) if rng.random() < GRID_PAUSE_SHARE else ()
    return Sentence(words, breaks=stop, letters=(LETTER_SLOT,))


def free_sentence(rng: np.random.Generator) -> Sentence:
    """A sentence of one to three clauses of a small English grammar, with a pause between clauses."""
    clauses = []
    if rng.random() < 0.3:
        clauses.append(_pick(rng, TIMES))
    clauses.append(_clause(rng))
    if rng.random() < 0.35:
        clauses.append(f"{_pick(rng, JOINS)} {_clause(rng)}")
    words, breaks = [], []
    for clause in clauses:
        words += clause.split()
        breaks.append(len(words) - 1)
    return Sentence(tuple(words), breaks=tuple(breaks[:-1]))


def draw_sentence(kind: Sentences, split: str, rng: np.random.Generator) -> Sentence:
    """A sentence that the split may speak.

    Args:
        kind: "grid", "free", or "mixed" (half of each).
        split: "train", "validation" or "test".
        rng: decides which.

    Raises:
        ValueError: unknown kind or split.
    """
    if kind not in KINDS:
        raise ValueError(f"sentences {kind!r} is unknown; use {', '.join(KINDS)}")
    if split not in SPLIT_SHARES:
        raise ValueError(f"split {split!r} is unknown; use {', '.join(SPLIT_SHARES)}")
    draw = free_sentence if kind == "free" or (kind == "mixed" and rng.random() < 0.5) else grid_sentence
    while True:  # ends with probability one; 0.15 of all sentences belong to the smallest split
        sentence = draw(rng)
        if split_of(sentence) == split:
            return sentence


def _pick(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    return words[rng.integers(len(words))]


def _noun_phrase(rng: np.random.Generator) -> str:
    determiner, noun = _pick(rng, DETERMINERS), _pick(rng, NOUNS)
    middle = _pick(rng, ADJECTIVES) if rng.random() < 0.35 else ""
    if determiner == "a" and (middle or noun)[0] in "aeiou" and middle != "usual":
        determiner = "an"
    return " ".join(part for part in (determiner, middle, noun) if part)


def _clause(rng: np.random.Generator) -> str:
    subject = _pick(rng, PEOPLE) if rng.random() < 0.4 else _noun_phrase(rng)
    clause = f"{subject} {_pick(rng, VERBS)} {_noun_phrase(rng)}"
    if rng.random() < 0.35:
        clause += f" {_pick(rng, PREPOSITIONS)} {_noun_phrase(rng)}"
    return clause
