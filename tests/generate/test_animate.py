"""A mapper's motion on a photograph: where it starts, how it is shown, and the command's refusals."""

import argparse

import numpy as np
import pytest

from thjax.core.errors import UserError
from thjax.generate import animate
from thjax.generate.command import one_or_two, parser
from thjax.generate.control import Control


def labels(tmp_path):
    np.savez(tmp_path / "face.npz", au=np.linspace(0, 5, 17), pose=np.array([1.0, 2, 800, 0.1, 0.2, 0.3]))
    return tmp_path / "face.npz"


def test_a_motion_starts_at_the_labels_where_the_control_leaves_it_free():
    free, asked = np.full((1, 23), np.nan), np.full((2, 23), np.nan)
    asked[0, 8] = 1.0
    control = Control(np.array([0, 9]), asked, np.full((2, 23), np.nan), np.full((2, 23), np.nan))
    own = np.arange(23.0) / 10
    replaced = animate.started(control, own).replacement(np.arange(3))
    expected = own.copy()
    expected[17:20], expected[8] = 0, 1.0
    np.testing.assert_allclose(replaced[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(replaced[1:], np.repeat(free, 2, axis=0))


class Marks:
    """An animator whose frames say how far the head has gone across."""

    frame_size = (2, 3)

    def encode(self, picture, z):
        return picture, z

    def frames(self, source, vectors, rest):
        gone = np.asarray(vectors)[:, 17] - rest[0]
        return np.broadcast_to(gone[:, None, None, None], (len(gone), 2, 3, 3)).astype(np.uint8)


def test_motions_stand_side_by_side_and_keep_a_translation_that_was_asked_for(tmp_path):
    generator = animate.Generator(Marks(), argparse.Namespace(height=2, width=3, recipe="none"), {})
    asked = argparse.Namespace(labels=labels(tmp_path))
    film = animate.Film(generator, np.zeros((2, 3, 3), np.uint8), None, asked)
    vectors = np.zeros((3, 2, 23), np.float32)
    vectors[:, 0, 17], vectors[:, 1, 17] = [0, 1, 2], [5, 15, 25]
    assert film.show(vectors[:0]).shape == (0, 2, 6, 3)
    shown = np.concatenate([film.show(vectors[:1]), film.show(vectors[1:])])
    np.testing.assert_array_equal(shown[:, 0, :, 0], [[0, 0, 0, 5, 5, 5], [1, 1, 1, 15, 15, 15], [2, 2, 2, 25, 25, 25]])


@pytest.mark.parametrize("words, message", [
    (["--checkpoint", "a", "--checkpoint", "b", "--checkpoint", "c"], "3 times --checkpoint"),
    (["--checkpoint", "a", "--checkpoint", "b"], "--image is missing: the generator b animates a photograph"),
    (["--checkpoint", "a", "--rendered_labels"], "--rendered_labels is for a mapper together with a generator"),
])
def test_checkpoints_that_do_not_fit_the_options_are_refused(words, message):
    with pytest.raises(UserError, match=message):
        one_or_two(parser().parse_args([*words, "--audio", "a.wav", "--out", "a.mp4"]))
