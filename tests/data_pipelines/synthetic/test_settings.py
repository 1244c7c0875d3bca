"""Settings of the corpus: splits, limits, names."""

import pytest

from data_pipelines.synthetic import render, settings
from data_pipelines.synthetic.settings import Corpus


def test_splits_are_disjoint_in_speakers_and_sentences():
    corpus = Corpus(speakers=24, clips=20)
    assert corpus.split_sizes == {"train": 16, "validation": 4, "test": 4}
    keys = corpus.clip_keys()
    speakers = {split: {key.rsplit("/", 1)[0] for key in names} for split, names in keys.items()}
    assert [len(names) for names in keys.values()] == [320, 80, 80]
    assert not speakers["train"] & speakers["test"] and not speakers["train"] & speakers["validation"]
    assert Corpus(speakers=2).split_sizes == {"train": 1, "validation": 1, "test": 0}
    assert Corpus(speakers=9, validation_speakers=0, test_speakers=3).split_sizes["train"] == 6


@pytest.mark.parametrize(("change", "message"), [
    ({"speakers": 0}, "speakers 0 must be at least 1"), ({"size": 300}, "size 300 must be 48 to 256"),
    ({"sentences": "prose"}, "use grid, free, mixed"), ({"motion": "wild"}, "use still, natural, strong"),
    ({"speakers": 3, "test_speakers": 3}, "cannot be split"), ({"seed": -1}, "seed -1"),
])
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Corpus(**change)


def test_sizes_agree_with_the_renderer():
    assert settings.SIZES == (render.MIN_SIZE, render.MAX_SIZE)
