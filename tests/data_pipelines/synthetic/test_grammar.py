"""What is said: GRID's grammar, free sentences, and splits that share no sentence."""

import numpy as np
import pytest

from data_pipelines.synthetic import grammar
from data_pipelines.synthetic.grammar import Sentence, draw_sentence, split_of


def test_grid_sentences_follow_the_grammar():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sentence = grammar.grid_sentence(rng)
        assert len(sentence.words) == 6
        assert all(word in slot for word, slot in zip(sentence.words, grammar.GRID, strict=True))
    assert np.prod([len(slot) for slot in grammar.GRID]) == 64_000
    assert "w" not in grammar.LETTERS


def test_the_letter_a_is_a_letter_and_words_are_kept_apart():
    words = ("set", "white", "in", "a", "two", "now")
    assert Sentence(words, letters=(3,)).spoken() == "set\u00a0white\u00a0in [['eI]] two\u00a0now"
    assert Sentence(("a", "map"), breaks=()).spoken() == "a\u00a0map"
    assert Sentence(("at", "noon", "we", "sat"), breaks=(1,)).spoken() == "at\u00a0noon, we\u00a0sat"
    assert Sentence(("a", "b"), letters=(0, 1), breaks=(0,)).spoken() == "[['eI]], b"


@pytest.mark.parametrize("kind", ["grid", "free", "mixed"])
def test_no_sentence_belongs_to_two_splits(kind):
    texts = {}
    for split in grammar.SPLIT_SHARES:
        rng = np.random.default_rng(1)
        sentences = [draw_sentence(kind, split, rng) for _ in range(300)]
        assert all(split_of(sentence) == split for sentence in sentences)
        texts[split] = {sentence.text for sentence in sentences}
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["validation"]
    assert not texts["validation"] & texts["test"]


def test_shares_of_the_splits():
    rng = np.random.default_rng(2)
    splits = [split_of(grammar.grid_sentence(rng)) for _ in range(4000)]
    for split, share in grammar.SPLIT_SHARES.items():
        assert abs(splits.count(split) / 4000 - share) < 0.03


def test_free_sentences_have_pauses_between_clauses_and_right_articles():
    rng = np.random.default_rng(3)
    sentences = [grammar.free_sentence(rng) for _ in range(400)]
    assert 0.2 < np.mean([bool(sentence.breaks) for sentence in sentences]) < 0.8
    for sentence in sentences:
        for article, word in zip(sentence.words, sentence.words[1:], strict=False):
            if article in ("a", "an") and word not in ("usual", "hour"):
                assert (article == "an") == (word[0] in "aeiou"), sentence.text


def test_equal_seeds_give_equal_sentences_and_unknown_names_list_the_known():
    first, second = (draw_sentence("mixed", "train", np.random.default_rng(5)) for _ in range(2))
    assert first == second
    with pytest.raises(ValueError, match="grid, free, mixed"):
        draw_sentence("prose", "train", np.random.default_rng(0))
    with pytest.raises(ValueError, match="train, validation, test"):
        draw_sentence("grid", "dev", np.random.default_rng(0))
