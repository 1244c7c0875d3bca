"""Raw samples through a pipe, frames and speech out in step."""

import io

import numpy as np
import pytest

from data_pipelines.schema import DataError
from tests.generate.toy_sampler import ToySampler, expected, face, speech
from thjax.generate import live
from thjax.generate.session import Session


class Trickle(io.BytesIO):
    """A pipe that gives an odd number of bytes at a time."""

    def read1(self, size=-1):
        return super().read1(min(size, 777))


def test_samples_survive_odd_pieces():
    audio = speech(5000)
    np.testing.assert_array_equal(np.concatenate(list(live.pipe_blocks(Trickle(audio.tobytes())))), audio)


def test_a_byte_too_many_is_told(caplog):
    audio = speech(100)
    np.testing.assert_array_equal(np.concatenate(list(live.pipe_blocks(io.BytesIO(audio.tobytes() + b"x")))), audio)
    assert "middle of a sample" in caplog.text


def test_an_empty_pipe_is_an_error_and_a_silent_one_a_warning(caplog):
    with pytest.raises(DataError, match="no audio"):
        list(live.pipe_blocks(io.BytesIO(b"")))
    assert sum(block.size for block in live.pipe_blocks(io.BytesIO(bytes(4000)))) == 2000
    assert "silent" in caplog.text


@pytest.mark.parametrize("samples", [100, 6400, 20_001])
def test_every_frame_comes_with_its_own_640_samples(samples):
    audio = speech(samples)
    parts = list(live.in_step(Session(ToySampler(), face()), live.pipe_blocks(Trickle(audio.tobytes()))))
    for frames, sound in parts[:-1]:
        assert sound.size == 640 * len(frames)
    np.testing.assert_array_equal(np.concatenate([sound for _, sound in parts]), audio)
    np.testing.assert_array_equal(np.concatenate([frames for frames, _ in parts]), expected(face(), audio, 0))
