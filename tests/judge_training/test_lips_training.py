"""Training and examination of the lip reader: batches, stages of a few steps, controls."""

import dataclasses

import jax
import numpy as np
import pytest

from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.voices import draw_voice
from thjax.judge_training import lip_batches, lip_controls, lip_stages
from thjax.judge_training.clips import Clips
from thjax.judge_training.equal_visemes import guessing_errors, mouth_shapes
from thjax.judge_training.lip_batches import Sentences, SightErrors
from thjax.judge_training.mouths import Mouths, some_speakers
from thjax.judges.command_grammar import CLASSES
from thjax.judges.lips import CHANNELS, Config, Judge

SMALL = Config(front=(4,), hidden=6, width=8, dilations=(1,))
FRAMES = 12
COMMANDS = np.array([["set", "white", "with", "p", "two", "soon"], ["bin", "red", "at", "b", "six", "now"],
                     ["lay", "blue", "in", "t", "one", "again"], ["set", "red", "by", "z", "nine", "now"]])


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    times = np.linspace(0, FRAMES / 25, 13)[:-1].reshape(6, 2)
    return Clips(
        mouth=rng.integers(0, 256, (4, FRAMES, 48, 48), np.uint8),
        landmarks=rng.uniform(14, 34, (4, FRAMES, 68, 2)).astype(np.float32), audio=np.zeros((4, 1), np.int16),
        expression=rng.uniform(0, 1, (4, FRAMES, 20)).astype(np.float32), words=COMMANDS,
        word_times=np.tile(times, (4, 1, 1)).astype(np.float32), speech=np.ones((4, FRAMES), bool),
        speaker=np.array([0, 0, 1, 1], np.int32))


def test_mouths_are_drawn_with_their_lips_inside_the_window():
    made = Mouths(**some_speakers((5, "train", 0, 1, 2)))
    assert (made.mouth.shape, made.expression.shape) == ((1, 2, 48, 48), (1, 2, 20))
    lips = made.landmarks[:, :, 48:]
    assert 4 < lips.min() < lips.max() < 44


def test_a_crop_moves_its_landmarks_along():
    windows = np.arange(2 * 48 * 48).reshape(2, 48, 48)
    offsets = np.array([[3, 5], [0, 8]])
    crops = lip_batches.crop(windows, (np.array([0, 1]),), offsets)
    np.testing.assert_array_equal(crops[0], windows[0, 5:45, 3:43])
    np.testing.assert_array_equal(crops[1], windows[1, 8:48, :40])
    centre = np.full((2, 68, 2), 20.0) + offsets[:, None]
    np.testing.assert_allclose(lip_batches.lip_targets(centre, offsets), 0)


def test_crops_stay_inside_their_windows():
    offsets = lip_batches.clip_offsets(200, 9, np.random.default_rng(0))
    assert (offsets.min(), offsets.max()) == (0, lip_batches.ROOM)
    steps = np.abs(np.diff(offsets, axis=1)).max(axis=(1, 2))
    assert steps.max() <= 2 * lip_batches.SHAKE and 0.3 < (steps == 0).mean() < 0.7


def test_errors_of_the_front_are_found_again():
    """A front that mixes channels, has a bias and a constant error of 0.5 in every clip."""
    rng = np.random.default_rng(1)
    exact = rng.normal(size=(50, FRAMES, 10)).astype(np.float32)
    mixes, bias = rng.normal(size=(10, 10)), rng.normal(size=10)
    sign = rng.choice([-0.5, 0.5], (3, 50, 1, 1))
    errors = SightErrors.of(exact @ mixes + bias + sign, exact)
    np.testing.assert_allclose(errors.gain, mixes, atol=0.1)
    np.testing.assert_allclose(errors.bias, bias, atol=0.15)
    seen = errors.over(exact, rng)
    wrong = seen - exact @ mixes - bias
    assert 0.3 < np.abs(wrong).mean() < 0.5
    assert np.abs(wrong - wrong.mean(axis=1, keepdims=True)).mean() < 0.15


@pytest.mark.thorough
def test_every_stage_learns_from_its_batches(clips):
    """Three steps of each; what a stage does not train stays as it was."""
    rng = np.random.default_rng(2)
    said = lip_batches.sentences(clips)
    start = lip_stages.new_variables(SMALL, 0)
    mouths = Mouths(clips.mouth, clips.landmarks, clips.expression)

    def unused(step, loss):
        raise AssertionError("three steps report nothing")

    front = lip_stages.fit_front(start, SMALL, lip_batches.face_batches(mouths, 6, 3, rng),
                                 lip_stages.adam(1e-3, 3, 1), 0, unused)
    seen = lip_stages.look(front, SMALL, clips.mouth, rng)
    assert seen.shape == (lip_stages.LOOKS, 4, FRAMES, len(CHANNELS)) and np.isfinite(seen).all()
    errors = SightErrors.of(seen, said.coefficients)
    reader = lip_stages.fit_reader(front, SMALL, lip_batches.seen_batches(seen, said, said, errors, 4, 3, rng),
                                   lip_stages.adam(1e-3, 3, 1), 0, unused)
    changed = [_changed(*pair) for pair in ((start, front), (front, reader))]
    assert changed == [{"front params", "front batch_stats"}, {"reader params"}]



def _changed(before, after):
    return {f"{part} {collection}" for collection, parts in before.items() for part in parts
            if any((old != new).any() for old, new in zip(jax.tree.leaves(before[collection][part]),
                                                         jax.tree.leaves(after[collection][part]), strict=True))}


def test_blur_widens_a_point_by_the_variance_it_promises():
    point = np.zeros((1, 1, 21, 21), np.float32)
    point[..., 10, 10] = 1
    blurred = np.asarray(lip_stages.blur(point, np.full((1, 1, 1, 1), 0.25, np.float32)))[0, 0]
    places = np.arange(21) - 10
    np.testing.assert_allclose([blurred.sum(), (blurred.sum(1) * places**2).sum()], [1, 0.5], rtol=1e-5)


def test_voices_confuse_p_and_b_and_americans_c_and_z():
    british = dataclasses.replace(draw_voice(0, "train", 0), accent="en")
    american = dataclasses.replace(british, accent="en-us")
    with Espeak() as espeak:
        shapes = mouth_shapes(british, espeak)
        errors = guessing_errors(COMMANDS, [british, british, american, american], espeak)
    assert len(shapes) == 51 and shapes["p"] == shapes["b"] == ("bilabial", "see") != shapes["f"]
    np.testing.assert_allclose(errors[:, 3], 0.5)  # p and b, t and d, "zee" and c
    assert errors[0, 4] == 0  # two


def test_the_table_scores_every_row_on_the_same_clips(clips):
    judge = Judge(lip_stages.new_variables(SMALL, 0), SMALL)
    rows = lip_controls.table(judge, [tuple(command) for command in COMMANDS], clips, 0, "validation")
    assert list(rows) == ["ours", "oracle_exact_track", "equal_visemes_guessed", "wrong_video", "masked_mouth",
                          "chance"]
    assert rows["oracle_exact_track"]["wer"]["mean"] == 0
    assert rows["chance"]["wer"]["mean"] == pytest.approx((4 * 3 / 4 + 24 / 25 + 9 / 10) / 6)
    for metrics in rows.values():
        wer, letters, others = (metrics[name]["mean"] for name in ("wer", "letters", "other_slots"))
        assert wer == pytest.approx((letters + 5 * others) / 6)
        assert metrics["wer"]["n"] == 4 and len(metrics["wer"]["ci95"]) == 2


def test_videos_are_exchanged_between_speakers():
    speaker = np.array([0, 1, 2, 2, 0, 1])
    other = lip_controls.other_speakers(speaker)
    assert (speaker[other] != speaker).all() and sorted(other) == list(range(6))
    with pytest.raises(ValueError, match="two or more speakers"):
        lip_controls.other_speakers(np.zeros(3))


def test_the_mask_hides_the_lips_wherever_they_go(clips):
    masked = lip_controls.masked_mouth(clips.mouth[0], clips.landmarks[0])
    lips = clips.landmarks[0][:, 48:].reshape(-1, 2).astype(int)
    assert len(np.unique(masked[:, lips[:, 1], lips[:, 0]])) == 1
    assert (masked[:, :5] == clips.mouth[0][:, :5]).all()


def test_exact_tracks_are_read_with_one_class_more_than_words(clips):
    said = lip_batches.sentences(clips)
    assert isinstance(said, Sentences) and len(said + said) == 8
    read = lip_stages.read_tracks(lip_stages.new_variables(SMALL, 0), SMALL, said.coefficients)
    assert read.shape == (4, FRAMES, CLASSES)
    np.testing.assert_allclose(np.exp(read).sum(-1), 1, rtol=1e-5)
