"""The lip reader: grammar, padding, errors."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.synthetic.grammar import GRID
from thjax.core.errors import UserError
from thjax.judges import command_grammar
from thjax.judges.command_grammar import CLASSES, SILENCE, WORD_INDEX, WORDS, decode, frame_classes
from thjax.judges.lips import Config, Judge, LipReader, standardise

SMALL = Config(front=(4, 4, 4), hidden=6, width=8, dilations=(1, 2))
COMMAND = ("set", "white", "with", "p", "two", "soon")


@pytest.fixture(scope="module")
def judge():
    network = LipReader(SMALL)
    variables = jax.jit(network.init)(jax.random.key(0), jnp.zeros((1, 6, 48, 48)), jnp.ones((1, 6)))
    return Judge(variables, SMALL)


def frames_of(words, lengths, silences):
    """Log-probabilities [T, 52] of somebody who is sure, with silences before, between and after the words."""
    classes = [SILENCE] * silences[0]
    for word, length, silence in zip(words, lengths, silences[1:], strict=True):
        classes += [WORD_INDEX[word]] * length + [SILENCE] * silence
    return np.log(np.eye(CLASSES)[classes] * 0.9 + 0.1 / CLASSES)


@pytest.mark.parametrize("silences", [(0,) * 7, (3, 0, 2, 0, 0, 1, 4)])
def test_a_sure_reader_is_taken_at_its_word(silences):
    assert decode(frames_of(COMMAND, (1, 2, 3, 1, 2, 4), silences)[None]) == [COMMAND]


def test_the_decoder_finds_the_best_path_of_all():
    """Against every path of eight frames: in each slot the two best words, any times, any silences."""
    scores = np.random.default_rng(0).normal(size=(8, CLASSES))
    best, command = -np.inf, None
    totals = np.vstack([np.zeros(CLASSES), np.cumsum(scores, axis=0)])
    for cuts in itertools.combinations_with_replacement(range(9), 12):  # start and end of six words
        starts, ends = cuts[::2], cuts[1::2]
        if any(start == end for start, end in zip(starts, ends, strict=True)):
            continue
        spans = [totals[end] - totals[start] for start, end in zip(starts, ends, strict=True)]
        silent = totals[8, SILENCE] - sum(span[SILENCE] for span in spans)
        words = [max(slot, key=lambda word, span=span: span[WORD_INDEX[word]])
                 for slot, span in zip(GRID, spans, strict=True)]
        value = silent + sum(span[WORD_INDEX[word]] for span, word in zip(spans, words, strict=True))
        if value > best:
            best, command = value, tuple(words)
    assert decode(scores[None]) == [command]


def test_whatever_is_seen_a_command_comes_out():
    read = decode(np.random.default_rng(1).normal(size=(3, 20, CLASSES)) * 5)
    assert all(word in slot for command in read for word, slot in zip(command, GRID, strict=True))
    assert len(set(WORDS)) == len(WORDS) == 51


def test_the_decoder_refuses_what_is_no_command():
    with pytest.raises(ValueError, match="5 frames cannot hold 6 words"):
        decode(np.zeros((1, 5, CLASSES)))
    with pytest.raises(ValueError, match=r"give \[N, T, 52\]"):
        decode(np.zeros((1, 9, 51)))


def test_frames_show_the_word_of_their_instant():
    times = np.array([[[0.0, 0.1], [0.1, 0.2], [0.3, 0.4], [0.4, 0.5], [0.5, 0.6], [0.6, 0.7]]])
    classes = frame_classes(np.array([COMMAND]), times, np.array([0.05, 0.1, 0.25, 0.39, 0.65, 0.7]))
    assert [command_grammar.WORDS[index] if index != SILENCE else "" for index in classes[0]] == [
        "set", "white", "", "with", "soon", ""]


def test_padding_changes_nothing(judge):
    """A clip of 20 frames is padded to 75; the network without padding says the same."""
    mouth = np.random.default_rng(2).integers(0, 256, (20, 48, 48), np.uint8)
    alone = jax.jit(LipReader(SMALL).apply)(judge.variables, jnp.asarray(mouth[None], jnp.float32), jnp.ones((1, 20)))
    np.testing.assert_allclose(judge.log_probabilities(mouth), jax.nn.log_softmax(alone)[0], atol=1e-4)


def test_brightness_and_contrast_do_not_count():
    x = np.random.default_rng(3).uniform(60, 120, (1, 3, 40, 40)).astype(np.float32)
    valid = np.array([[1, 1, 0]])
    brighter = standardise(1.7 * x + 30, valid)
    np.testing.assert_allclose(brighter, standardise(x, valid), atol=5e-3)
    np.testing.assert_allclose([brighter[0, :2].mean(), brighter[0, :2].std()], [0, 1], atol=1e-2)


def test_a_clip_is_read_from_frames_and_landmarks(judge):
    rng = np.random.default_rng(4)
    face = np.stack(np.meshgrid(np.linspace(10, 50, 68), [30.0]), -1)[0] + rng.uniform(-8, 8, (68, 2))
    frames = rng.integers(0, 256, (7, 64, 60, 3), np.uint8)
    command = judge.read(frames, np.tile(face, (7, 1, 1)))
    assert all(word in slot for word, slot in zip(command, GRID, strict=True))


def test_what_cannot_be_read_is_named(judge):
    mouth, frames = np.zeros((9, 48, 48), np.uint8), np.zeros((9, 64, 64, 3), np.uint8)
    with pytest.raises(UserError, match="float32"):
        judge.read_windows(mouth.astype(np.float32))
    with pytest.raises(UserError, match="5 frames cannot hold"):
        judge.read_windows(mouth[:5])
    with pytest.raises(UserError, match=r"finite\s\[T, 68, 2\]"):
        judge.read(frames, np.full((9, 68, 2), np.nan))
    with pytest.raises(UserError, match=r"uint8 \[T, H, W, 3\]"):
        judge.read(frames[..., 0], np.zeros((9, 68, 2)))
    with pytest.raises(UserError, match="does not ship"):
        Judge.load("lips_nobody")
