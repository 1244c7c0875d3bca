"""Spelling correction by a dictionary (Norvig 2007), as the public LipNet program uses it."""

import collections
import re
from collections.abc import Mapping

LETTERS = "abcdefghijklmnopqrstuvwxyz"
GRID_SLOTS = (
    ("bin", "lay", "place", "set"), ("blue", "green", "red", "white"), ("at", "by", "in", "with"),
    tuple(letter for letter in LETTERS if letter != "w"),
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
"""Words of each place in a sentence of GRID (Cooke et al. 2006), all equally frequent."""


def grid_dictionary() -> dict[str, float]:
    """Each word of GRID and its share of its slot; the public list of GRID's sentences counts nearly the same."""
    return {word: 1 / len(slot) for slot in GRID_SLOTS for word in slot}


def count_words(text: str) -> dict[str, float]:
    """A dictionary from the text of a corpus."""
    return dict(collections.Counter(re.findall(r"\w+", text.lower())))


def correct(sentence: str, dictionary: Mapping[str, float]) -> str:
    """Each word replaced by the most frequent one of the dictionary that is nearest to it, up to two edits away.

    An edit deletes, inserts or replaces a letter, or swaps two neighbours. A word without neighbours stays as it is.
    Among equally frequent ones the first in the alphabet is taken, where the public program leaves it to chance.
    """
    return " ".join(_correct_word(word, dictionary) for word in sentence.split())


def _correct_word(word: str, dictionary: Mapping[str, float]) -> str:
    if word in dictionary:
        return word
    near = _edits(word)
    known = near & dictionary.keys() or {two for one in near for two in _edits(one) if two in dictionary}
    return min(known, key=lambda candidate: (-dictionary[candidate], candidate), default=word)


def _edits(word: str) -> set[str]:
    """All words one edit away."""
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    deleted = {a + b[1:] for a, b in splits if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    replaced = {a + letter + b[1:] for a, b in splits if b for letter in LETTERS}
    return deleted | swapped | replaced | {a + letter + b for a, b in splits for letter in LETTERS}
