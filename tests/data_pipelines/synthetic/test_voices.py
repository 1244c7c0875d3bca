"""Who speaks: splits share no voice."""

import pytest

from data_pipelines.synthetic.voices import ACCENTS, UNHEARD_ACCENTS, VARIANTS, draw_voice


def test_splits_share_no_variant_and_training_never_hears_the_accents_kept_back():
    heard = {split: [draw_voice(0, split, index) for index in range(60)] for split in VARIANTS}
    variants = {split: {voice.variant for voice in voices} for split, voices in heard.items()}
    assert not variants["train"] & variants["validation"] and not variants["train"] & variants["test"]
    assert not variants["validation"] & variants["test"]
    accents = {split: {voice.accent for voice in voices} for split, voices in heard.items()}
    assert accents["train"] == set(ACCENTS)
    for split in ("validation", "test"):
        assert set(UNHEARD_ACCENTS[split]) <= accents[split]
        assert not set(UNHEARD_ACCENTS[split]) & accents["train"]


def test_pairs_of_accent_and_variant_do_not_repeat_before_all_are_used():
    pairs = [(voice.accent, voice.variant) for voice in (draw_voice(0, "train", index) for index in range(60))]
    assert len(set(pairs[:50])) == len(set(pairs)) == len(ACCENTS) * len(VARIANTS["train"]) == 50


def test_seeded():
    assert draw_voice(3, "test", 1) == draw_voice(3, "test", 1)
    assert draw_voice(3, "test", 1) != draw_voice(4, "test", 1)
    with pytest.raises(ValueError, match="train, validation, test"):
        draw_voice(0, "dev", 0)
