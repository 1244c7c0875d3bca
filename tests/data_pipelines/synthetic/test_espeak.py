"""espeak-ng repeats itself to the bit, stays in a process of its own, and says what to install when it is missing."""

import ast
import dataclasses
import pathlib
import sys
import time

import pytest

from data_pipelines.synthetic import espeak
from data_pipelines.synthetic.espeak import Espeak, SpeechError, Utterance

# f3 and m7 are noisy: these are the voices that differ from run to run when nothing is done about it
UTTERANCES = [
    Utterance("bin\u00a0blue\u00a0at\u00a0f\u00a0two\u00a0now", "en+f3", 150, 60),
    Utterance("place\u00a0red\u00a0in [['eI]] nine\u00a0soon", "en-us+m7", 130, 40),
    Utterance("in\u00a0the\u00a0garden, of\u00a0the\u00a0house", "en-gb-scotland+f2"),
    Utterance("she sells sea shells, slowly", "en+m2", 170),
]


def content(spoken):
    return [(one.audio.tobytes(), one.phonemes, one.word_lengths) for one in spoken]


def test_equal_bytes_in_two_processes_seconds_apart_and_in_any_order():
    with Espeak() as first:
        once = content(first.say(UTTERANCES))
        assert content(first.say(UTTERANCES[::-1])) == once[::-1]
    time.sleep(1.5)  # the engine seeds its noise from a clock of whole seconds
    with Espeak() as second:
        assert content([second.say([utterance])[0] for utterance in UTTERANCES[1:]]) == once[1:]
        assert content(second.say(UTTERANCES)) == once


def test_voice_rate_and_pitch_are_heard():
    plain = UTTERANCES[0]
    others = [dataclasses.replace(plain, **change) for change in ({"voice": "en+m1"}, {"rate": 110}, {"pitch": 20})]
    with Espeak() as engine:
        spoken = engine.say([plain, *others])
    assert len({one.audio.tobytes() for one in spoken}) == 4
    assert len(spoken[2].audio) > 1.2 * len(spoken[0].audio)


def test_phonemes_belong_to_words():
    with Espeak() as engine:
        spoken = engine.say(UTTERANCES)
    assert spoken[0].word_lengths == (3, 3, 2, 2, 2, 2)
    assert spoken[1].word_lengths[3] == 1 and [name for name, _ in spoken[1].phonemes][9] == "'eI"
    assert len(spoken[2].word_lengths) == 6  # "of the" is one event of the engine, two words of ours
    samples = [sample for _, sample in spoken[3].phonemes]
    assert samples == sorted(samples) and samples[-1] <= len(spoken[3].audio)


def test_an_unknown_voice_is_named_and_the_engine_goes_on():
    with Espeak() as engine:
        with pytest.raises(SpeechError, match="voice 'xx-nowhere' is unknown"):
            engine.say([Utterance("one", "xx-nowhere"), UTTERANCES[0]])
        assert len(engine.say(UTTERANCES[:1])[0].audio) > 10_000


def test_a_missing_library_says_what_to_install():
    advice = r"could not be loaded.*pip install 'thjax\[speech\]'.*apt-get install espeak-ng"
    with pytest.raises(SpeechError, match=advice):
        Espeak(library="/nowhere/libespeak-ng.so")


def test_a_closed_engine_says_so():
    engine = Espeak()
    engine.close()
    with pytest.raises(SpeechError, match="process is gone"):
        engine.say(UTTERANCES[:1])


def test_the_worker_imports_the_standard_library_alone_and_the_engine_is_not_in_this_process():
    tree = ast.parse(espeak.WORKER.read_text())
    imported = {name.split(".")[0] for node in ast.walk(tree) for name in (
        [alias.name for alias in node.names] if isinstance(node, ast.Import)
        else [node.module] if isinstance(node, ast.ImportFrom) else [])}
    assert imported - set(sys.stdlib_module_names) == {"espeakng_loader"}
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists():
        with Espeak() as engine:
            engine.say(UTTERANCES[:1])
            assert "espeak" not in maps.read_text()
