"""Mouth shapes: every phoneme has one, bilabials close, lips round ahead, action units follow the stated rule."""

import numpy as np
import pytest

from data_pipelines import schema
from data_pipelines.synthetic import grammar, speech, visemes, voices
from data_pipelines.synthetic.espeak import Espeak, Utterance
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, LIP_OPENING_NAMES
from data_pipelines.synthetic.speech import PAUSE, Phoneme

ACCENTS = voices.ACCENTS + sum(voices.UNHEARD_ACCENTS.values(), ())


def column(expression, name):
    return expression[:, EXPRESSION_INDEX[name]]


def sequence(*sounds, start=0.4, frames=50):
    """(name, seconds) ... as phonemes between silences."""
    phonemes = [Phoneme(PAUSE, 0.0, start)]
    for name, seconds in sounds:
        phonemes.append(Phoneme(name, phonemes[-1].end, phonemes[-1].end + seconds, stressed=True))
    return [*phonemes, Phoneme(PAUSE, phonemes[-1].end, frames / schema.FPS)]


def nearest(time):
    return int(np.abs(visemes.frame_times(200) - time).argmin())


@pytest.fixture(scope="module")
def spoken_clips():
    with Espeak() as engine:
        clips = []
        for index in range(16):
            rng = np.random.default_rng(index)
            sentence = grammar.draw_sentence("mixed", "train", rng)
            clips.append(speech.record(engine, sentence, voices.draw_voice(0, "train", index), rng, frames=None))
        return clips


def test_every_word_in_every_accent_has_a_mouth():
    vocabulary = sorted({word for slot in grammar.GRID for word in slot} | {
        word for group in (grammar.DETERMINERS, grammar.ADJECTIVES, grammar.NOUNS, grammar.PEOPLE, grammar.VERBS,
                           grammar.PREPOSITIONS, grammar.TIMES, grammar.JOINS) for word in " ".join(group).split()})
    chunks = [" ".join(vocabulary[start:start + 12]) for start in range(0, len(vocabulary), 12)]
    with Espeak() as engine:
        heard = {name for spoken in engine.say([Utterance(text, f"{accent}+m3", 250) for accent in ACCENTS
                                                for text in chunks]) for name, _ in spoken.phonemes}
    for name in heard:
        if not name.startswith(PAUSE):
            assert visemes.viseme_names(name)
    assert len(heard) > 50


def test_sounds_that_are_easily_mistaken():
    assert visemes.viseme_names("'A@") == ("spa",)  # the letter R
    assert visemes.viseme_names("o@") == visemes.viseme_names("O@") == ("saw",)  # four
    assert visemes.viseme_names(";") == ("see",)  # the palatal glide, no mouth of its own
    with pytest.raises(ValueError, match="phoneme 'Q' has no viseme; known: p b m"):
        visemes.viseme_names("Q")


@pytest.mark.parametrize("offset", [0.0, 0.007, 0.013, 0.021, 0.033])
@pytest.mark.parametrize("seconds", [0.015, 0.06, 0.12])
def test_a_bilabial_closes_at_25_frames_per_second_wherever_it_falls(seconds, offset):
    phonemes = sequence(("a", 0.2), ("b", seconds), ("a", 0.2), start=0.4 + offset)
    mouth = visemes.mouth(phonemes, 50)
    middle = (phonemes[2].start + phonemes[2].end) / 2
    assert column(mouth, "press")[nearest(middle)] > 0.99
    for name in set(LIP_OPENING_NAMES) - {"AU26"}:  # the jaw may hang a little behind closed lips
        assert column(mouth, name)[nearest(middle)] < 0.01
    assert column(mouth, "AU25")[nearest(middle - 0.12)] > 0.5 and column(mouth, "AU25")[nearest(middle + 0.12)] > 0.5


def test_every_bilabial_of_real_speech_closes_and_nothing_else_does(spoken_clips):
    closed, open_elsewhere, total = 0, [], 0
    for clip in spoken_clips:
        mouth = visemes.mouth(clip.phonemes, clip.frames)
        bilabials = [phoneme for phoneme in clip.phonemes if phoneme.name in visemes.BILABIALS]
        far = np.ones(clip.frames, bool)
        for phoneme in bilabials:
            middle = (phoneme.start + (phoneme.release or phoneme.end)) / 2
            total += 1
            closed += column(mouth, "press")[nearest(middle)] > 0.99
            far &= np.abs(visemes.frame_times(clip.frames) - middle) > 0.2
        open_elsewhere.append(column(mouth, "press")[far].max(initial=0))
    assert total > 20 and closed == total
    assert max(open_elsewhere) == 0


def test_lips_open_at_the_release_of_a_stop():
    silent_closure = [Phoneme(PAUSE, 0, 0.4), Phoneme("p", 0.4, 0.56, release=0.48), Phoneme("a", 0.56, 0.8, True),
                      Phoneme(PAUSE, 0.8, 1.2)]
    press = column(visemes.mouth(silent_closure, 30), "press")
    assert press[nearest(0.44)] == 1 and press[nearest(0.54)] == 0


def test_rounding_is_anticipated_and_jaws_open_for_open_vowels():
    before_u, before_i = (column(visemes.mouth(sequence(("t", 0.08), (vowel, 0.25)), 50), "pucker")
                          for vowel in ("u:", "i:"))
    assert before_u[nearest(0.45)] > 0.2 and before_i.max() < 0.01
    jaw = {vowel: column(visemes.mouth(sequence((vowel, 0.25)), 50), "AU26").max() for vowel in ("A:", "E", "i:")}
    assert jaw["A:"] > 1.5 * jaw["E"] > 3 * jaw["i:"] > 0
    assert visemes.mouth(sequence(), 10).max() == 0  # silence is rest


def test_articulation_scales_shapes_but_not_closures():
    phonemes = sequence(("a", 0.2), ("m", 0.1), ("a", 0.2))
    usual, lazy = visemes.mouth(phonemes, 50), visemes.mouth(phonemes, 50, gain=np.full(50, 0.8))
    assert np.array_equal(column(usual, "press"), column(lazy, "press"))
    open_frame = nearest(0.5)
    assert column(lazy, "AU25")[open_frame] == pytest.approx(0.8 * column(usual, "AU25")[open_frame])


def test_action_units_follow_the_stated_rule(spoken_clips):
    mouth = np.concatenate([visemes.mouth(clip.phonemes, clip.frames) for clip in spoken_clips])
    assert mouth.min() >= 0 and mouth.max() <= 1
    au = {name: column(mouth, name) for name in EXPRESSION_INDEX}
    np.testing.assert_allclose(au["AU14"], 0.6 * au["press"], atol=1e-12)
    np.testing.assert_allclose(au["AU15"], 0.2 * au["press"], atol=1e-12)
    unclipped = au["AU23"] < 1
    recovered = (au["AU23"] - 0.75 * au["AU14"]) / 0.8
    np.testing.assert_allclose(recovered[unclipped], au["pucker"][unclipped], atol=1e-9)
    # speech moves every action unit that it should, and none of the upper face
    for name in ("AU10", "AU14", "AU17", "AU20", "AU23", "AU25", "AU26"):
        assert au[name].std() > 0.02, name
    for name in ("AU01", "AU02", "AU04", "AU45"):
        assert au[name].max() == 0
