"""The strip, pixel by pixel, and a machine without PyAV."""

import sys

import numpy as np

from thjax.train import pictures


def sample(shade, valid=4):
    """A clip of 6 frames of 8 x 6 pixels in which frame t of the truth is t and of the generated ones 100 + t."""
    ramp = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 6, 3), np.uint8)
    return {
        "still": np.full((8, 6, 3), shade, np.uint8),
        "frames": ramp,
        "generated": ramp + 100,
        "valid": np.array([1.0] * valid + [0.0] * (6 - valid)),
        "audio": np.zeros(6 * 640 + 6400, np.int16),
    }


def test_a_row_is_still_truth_generated():
    image = pictures.strip([sample(50), sample(60)])
    assert image.shape == (16, 9 * 6 + 2 * pictures.GAP, 3)
    row = image[3, :, 0]
    # Frames 0 to 3 are valid, and four moments of them are all of them.
    expected = [50] * 6 + [255] * 2 + sum(([t] * 6 for t in range(4)), []) + [255] * 2
    expected += sum(([100 + t] * 6 for t in range(4)), [])
    assert row.tolist() == expected
    assert image[11, 0, 0] == 60


def test_without_a_still_the_first_valid_frame_is_shown():
    one = sample(50)
    del one["still"]
    one["valid"] = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    assert pictures.strip([one])[3, :6, 0].tolist() == [2] * 6


def test_at_most_four_clips():
    assert pictures.strip([sample(1)] * 9).shape[0] == 4 * 8


def test_without_pyav_it_is_said_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "av", None)
    films = pictures.Films()
    assert not films.write(tmp_path / "a.mp4", sample(1), 1)
    assert not films.write(tmp_path / "b.mp4", sample(1), 2)
    assert caplog.text.count("thjax[media]") == 1
    assert not list(tmp_path.iterdir())
