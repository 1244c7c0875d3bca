"""Image and audio in, frames out; memory that does not grow with the speech."""

import resource
import tracemalloc

import numpy as np
import pytest
import soundfile
from PIL import Image

from data_pipelines.schema import DataError
from tests.generate.toy_sampler import ToySampler, expected, face, speech
from thjax.core.data_spec import CropSpec
from thjax.generate.model import Model


@pytest.fixture(scope="module")
def model():
    return Model(ToySampler(), CropSpec("canonical", 64, 48), {"system": "toy"})


def test_generating_streaming_and_iterating_are_the_same_film(model):
    audio = speech(70_000)
    whole = model.generate(face(), audio, seed=3)
    np.testing.assert_array_equal(whole, expected(face(), audio, 3))
    np.testing.assert_array_equal(np.stack(list(model.frames(face(), audio, seed=3))), whole)
    session = model.stream(face(), seed=3)
    pieces = [session.push(piece) for piece in np.array_split(audio, 37)] + [session.close()]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert whole.dtype == np.uint8 and whole.shape == (110, 64, 48, 3)


def test_files_are_as_good_as_arrays(model, tmp_path):
    audio = speech(8000)
    soundfile.write(tmp_path / "a.wav", audio, 16_000)
    Image.fromarray(face()).save(tmp_path / "a.png")
    frames = model.generate(tmp_path / "a.png", str(tmp_path / "a.wav"))
    np.testing.assert_array_equal(frames, model.generate(face(), audio))


def test_seeds_differ_and_repeat(model):
    audio = speech(3000)
    np.testing.assert_array_equal(model.generate(face(), audio, 1), model.generate(face(), audio, 1))
    assert (model.generate(face(), audio, 1) != model.generate(face(), audio, 2)).any()


@pytest.mark.parametrize("image, audio, message", [
    (face(64, 20), speech(100), "at least 32 x 32"),
    (face()[..., 0], speech(100), "a grey image"),
    (face(), np.zeros(0, np.int16), r"empty \(0 samples\)"),
    (face(), speech(100).astype(float), "float64; give int16"),
    ("missing.png", speech(100), "missing.png: no such image file"),
    (face(), "missing.wav", "missing.wav: no such audio file"),
])
def test_what_cannot_be_used_is_named_at_the_call(model, image, audio, message):
    with pytest.raises(DataError, match=message):
        model.frames(image, audio)


def test_a_silent_array_warns_and_goes_on(model, caplog):
    assert len(model.generate(face(), np.zeros(6400, np.int16))) == 10
    assert "silent" in caplog.text


def test_warming_up_compiles_for_good():
    sampler = ToySampler()
    model = Model(sampler, CropSpec("canonical", 64, 48)).warm_up()
    assert sampler.compilations == 1
    model.generate(face(), speech(20_000))
    assert sampler.compilations == 1


def resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def test_ten_minutes_take_no_more_memory_than_ten_seconds(model, tmp_path):
    audio = np.tile(speech(160_000), 60)
    soundfile.write(tmp_path / "long.wav", audio, 16_000)
    del audio
    sizes = []
    film = model.frames(face(), tmp_path / "long.wav")
    tracemalloc.start()
    try:
        for count, frame in enumerate(film, 1):
            assert frame.shape == (64, 48, 3)
            if count == 250:
                tracemalloc.reset_peak()
                after_ten_seconds = tracemalloc.get_traced_memory()[0]
            if count % 1000 == 0:
                sizes.append(resident_mib())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 15_000
    assert (peak - after_ten_seconds) / 2**20 < 4  # MiB; all frames would be 132
    assert max(sizes) - sizes[0] < 24  # the mapped speech itself is 18
