"""Frames do not depend on how the audio came in."""

import numpy as np
import pytest

from data_pipelines.schema import DataError
from tests.generate.toy_sampler import ToySampler, expected, face, speech
from thjax.generate.session import Session, frames_of


@pytest.fixture(scope="module")
def sampler():
    return ToySampler()


def drain(session, audio, sizes):
    made, start = [], 0
    for size in sizes:
        made.append(session.push(audio[start : start + size]))
        start += size
    made.append(session.push(audio[start:]))
    made.append(session.close())
    return np.concatenate(made)


@pytest.mark.parametrize("samples", [1, 639, 640, 641, 2560, 5 * 640, 16_000, 20_001])
def test_the_film_is_that_of_the_whole_audio(sampler, samples):
    audio = speech(samples)
    frames = drain(Session(sampler, face(), seed=7), audio, [])
    assert len(frames) == frames_of(samples) == -(-samples // 640)
    np.testing.assert_array_equal(frames, expected(face(), audio, seed=7))


@pytest.mark.parametrize("sizes", [[1] * 50, [640] * 12, [0, 639, 1, 0, 3201, 17], [5000], [11_999]])
def test_pushes_of_any_size_give_the_same_bits(sampler, sizes):
    audio = speech(12_345)
    np.testing.assert_array_equal(drain(Session(sampler, face()), audio, sizes), expected(face(), audio, seed=0))


def test_random_pushes_compile_the_chunk_once():
    sampler, audio, rng = ToySampler(), speech(30_000), np.random.default_rng(0)
    for seed in range(3):
        frames = drain(Session(sampler, face(), seed), audio, rng.integers(0, 3000, 12))
        np.testing.assert_array_equal(frames, expected(face(), audio, seed))
    assert sampler.compilations == 1


def test_frames_come_as_soon_as_they_are_determined(sampler):
    session = Session(sampler, face())
    needed = sampler.chunk_frames * 640 + sampler.lookahead
    assert len(session.push(speech(needed - 1))) == 0
    assert len(session.push(speech(1))) == sampler.chunk_frames
    assert session.frames == sampler.chunk_frames and session.samples == needed


def test_a_closed_session_says_so(sampler):
    session = Session(sampler, face())
    session.push(speech(100))
    assert len(session.close()) == 1
    assert len(session.close()) == 0
    with pytest.raises(DataError, match="closed; start another one"):
        session.push(speech(100))


def test_a_session_without_audio_makes_no_frame(sampler):
    assert Session(sampler, face()).close().shape == (0, 64, 48, 3)


@pytest.mark.parametrize("samples, message", [
    (np.zeros(10, np.float32), "float32; give int16 at 16 kHz"),
    (np.zeros((10, 2), np.int16), r"shape \(10, 2\); give mono"),
])
def test_wrong_samples_are_named(sampler, samples, message):
    with pytest.raises(DataError, match=message):
        Session(sampler, face()).push(samples)
