"""Times of phonemes and words against what is in the waveform."""

import numpy as np
import pytest
import scipy.signal

from data_pipelines import schema
from data_pipelines.synthetic import grammar, speech
from data_pipelines.synthetic.espeak import Espeak, SpeechError
from data_pipelines.synthetic.grammar import Sentence
from data_pipelines.synthetic.voices import draw_voice

RATE = schema.SAMPLE_RATE


@pytest.fixture(scope="module")
def espeak():
    with Espeak() as engine:
        yield engine


@pytest.fixture(scope="module")
def recorded(espeak):
    """24 clips by 12 speakers of all splits, GRID and free."""
    clips = []
    for index in range(12):
        split = ("train", "validation", "test")[index % 3]
        rng = np.random.default_rng(index)
        for kind, frames in (("grid", schema.RECORD_FRAMES), ("free", None)):
            sentence = grammar.draw_sentence(kind, split, rng)
            clips.append(speech.record(espeak, sentence, draw_voice(0, split, index), rng, frames))
    return clips


def part(clip, start, end):
    return clip.audio[round(start * RATE):round(end * RATE)].astype(np.float64)


def loudness(samples):
    return np.sqrt(np.mean(samples**2)) if len(samples) else 0.0


def test_phonemes_cover_the_clip_without_gaps(recorded):
    for clip in recorded:
        assert len(clip.audio) == clip.frames * schema.SAMPLES_PER_FRAME
        assert clip.phonemes[0].start == 0 and clip.phonemes[-1].end == pytest.approx(clip.frames / schema.FPS)
        assert clip.phonemes[0].name == clip.phonemes[-1].name == speech.PAUSE
        for one, other in zip(clip.phonemes, clip.phonemes[1:], strict=False):
            assert one.end == pytest.approx(other.start, abs=1e-9) and one.end > one.start


def test_silence_before_the_first_sound_and_voice_right_after(recorded):
    onsets = []
    for clip in recorded:
        lead = clip.phonemes[0].end
        onsets.append(lead)
        assert not part(clip, 0, lead - 0.002).any()
        first_heard = np.flatnonzero(np.abs(clip.audio) > 30)[0] / RATE
        opening = clip.phonemes[1].release or lead
        assert abs(first_heard - opening) < 0.02  # the first sound is where its label says
    assert min(onsets) >= speech.LEAD_SECONDS[0] - 1e-3 and np.std(onsets) > 0.05  # random onsets


def test_pauses_are_silent_and_words_are_not(recorded):
    for clip in recorded:
        speaking = loudness(part(clip, clip.phonemes[1].start, clip.phonemes[-2].end))
        for phoneme in clip.phonemes:
            if phoneme.name == speech.PAUSE:
                assert loudness(part(clip, phoneme.start + 0.002, phoneme.end - 0.002)) < 0.01 * speaking
        for _, start, end in clip.words:
            assert loudness(part(clip, start, end)) > 0.2 * speaking


def test_closures_of_stops_are_silent_until_their_release(recorded):
    releases = [(clip, phoneme) for clip in recorded for phoneme in clip.phonemes if phoneme.release]
    assert len(releases) > 50
    for clip, stop in releases:
        assert stop.name.rstrip("#[") in speech.STOPS and stop.start < stop.release <= stop.end
        assert loudness(part(clip, stop.start + 0.003, stop.release - 0.003)) < 30


def test_hissing_phonemes_hiss_where_their_times_say(recorded):
    """An independent check of the times: share of energy above 3 kHz in s and z, against vowels."""
    high_pass = scipy.signal.butter(6, 3000, "highpass", fs=RATE, output="sos")
    shares = {"s": [], "vowel": []}
    for clip in recorded:
        high = scipy.signal.sosfiltfilt(high_pass, clip.audio.astype(np.float64))
        for phoneme in clip.phonemes:
            kind = "vowel" if phoneme.name in ("a", "i:", "eI", "aI", "E", "oU") else phoneme.name
            if kind in shares:
                span = slice(round(phoneme.start * RATE), round(phoneme.end * RATE))
                shares[kind].append(loudness(high[span]) / max(loudness(clip.audio[span].astype(np.float64)), 1e-9))
    assert len(shares["s"]) > 15 and len(shares["vowel"]) > 30
    assert np.percentile(shares["s"], 10) > np.percentile(shares["vowel"], 90)


def test_words_are_made_of_their_phonemes(recorded):
    for clip in recorded:
        assert " ".join(word for word, _, _ in clip.words) == clip.sentence
        borders = {round(phoneme.start, 6) for phoneme in clip.phonemes}
        for _, start, end in clip.words:
            assert round(start, 6) in borders and round(end, 6) in borders and end > start
        for (_, _, end), (_, start, _) in zip(clip.words, clip.words[1:], strict=False):
            assert start >= end - 1e-9


def test_the_slowest_voice_fits_a_long_command_and_nothing_is_cut(espeak):
    sentence = Sentence(("place", "white", "with", "x", "seven", "please"), breaks=(1, 4), letters=(3,))
    slow = draw_voice(0, "train", 0)
    slow = type(slow)(**{**slow.__dict__, "rate": 90})
    clip = speech.record(espeak, sentence, slow, np.random.default_rng(0))
    assert clip.frames == schema.RECORD_FRAMES and len(clip.words) == 6
    assert clip.phonemes[-1].end - clip.phonemes[-1].start >= speech.TAIL_SECONDS[0] - 1e-3
    free = speech.record(espeak, sentence, slow, np.random.default_rng(0), frames=None)
    assert free.frames > schema.RECORD_FRAMES  # takes the time that it needs
    with pytest.raises(SpeechError, match="even in a hurry; give the clip more than 40 frames"):
        speech.record(espeak, sentence, slow, np.random.default_rng(0), frames=40)


def test_clips_are_a_function_of_the_seed(espeak):
    sentence = Sentence(("lay", "green", "by", "b", "four", "now"), breaks=(1,), letters=(3,))
    voice = draw_voice(0, "train", 3)
    first, again, other = (speech.record(espeak, sentence, voice, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.audio, again.audio) and first.phonemes == again.phonemes
    assert first.phonemes[0].end != other.phonemes[0].end
