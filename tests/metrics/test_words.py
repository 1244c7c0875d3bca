"""Word error rate against jiwer and errors planted by hand."""

import jiwer
import numpy as np
import pytest

from thjax.metrics.merging import merge
from thjax.metrics.words import wer, word_errors

SAID = ["bin", "blue", "at", "f", "two", "now"]


@pytest.mark.parametrize("heard, errors", [
    ("bin blue at f two now", 0), ("bin blue at s two now", 1), ("bin blue at two now", 1),
    ("bin blue at f f two now", 1), ("", 6), ("now two f at blue bin", 6), ("place bin blue at f two", 2),
])
def test_planted_errors(heard, errors):
    assert word_errors(SAID, heard.split()) == errors
    assert wer(SAID, heard.split()).value == pytest.approx(errors / 6)


def test_random_sentences_equal_jiwer_each_and_pooled():
    rng = np.random.default_rng(0)
    pairs = [(list(rng.choice(list("abcd"), rng.integers(1, 9))), list(rng.choice(list("abcd"), rng.integers(1, 9))))
             for _ in range(60)]
    for said, heard in pairs:
        assert wer(said, heard).value == pytest.approx(jiwer.wer(" ".join(said), " ".join(heard)), abs=1e-12)
    pooled = jiwer.wer([" ".join(said) for said, _ in pairs], [" ".join(heard) for _, heard in pairs])
    assert merge(wer(*pair) for pair in pairs).value == pytest.approx(pooled, abs=1e-12)


def test_a_rate_may_exceed_one():
    assert wer(["a"], ["b", "c", "d"]).value == 3


def test_strings_and_silence_are_refused():
    with pytest.raises(ValueError, match="'bin blue'.*split"):
        wer("bin blue", ["bin"])
    with pytest.raises(ValueError, match="no word"):
        wer([], ["bin"])
