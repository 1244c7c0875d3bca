"""Batches lie inside speech, the loss is the one described, and the controls tell a perfect expert from chance."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thjax.core.errors import UserError
from thjax.judge_training import sync as training
from thjax.judge_training.clips import Clips
from thjax.judge_training.sync_controls import Examined, table
from thjax.judge_training.sync_variation import vary_mouth, vary_sound
from thjax.judges.sync import COLUMNS, FRAMES, SIDE, Config, Network, columns_of

SMALL = Config(video_widths=(2,), audio_widths=(2,), audio_hidden=4, embedding=4)
T, LENGTH = 75, 75 * 640 + 6_400


def clips_of(count, speakers=2):
    """Every frame carries a code of its own, in picture and sound; speech from frame 4 to 70."""
    rng = np.random.default_rng(0)
    code = rng.integers(0, 256, (count, T, 48))
    mouth = np.zeros((count, T, 48, 48), np.uint8)
    mouth[:, :, 0] = code
    audio = np.zeros((count, LENGTH), np.int16)
    audio[:, 3_200:-3_200].reshape(count, T, 640)[:, :, :48] = code
    speech = np.zeros((count, T), bool)
    speech[:, 4:70] = True
    return Clips(mouth=mouth, landmarks=None, audio=audio, expression=None, words=None, word_times=None, speech=speech,
                 speaker=np.arange(count, dtype=np.int32) * speakers // count)


def recipe_of(**values):
    return training.Recipe(**{"network": SMALL, "batch_clips": 3, "windows": 4, "shuffled_steps": 2} | values)


class Perfect:
    """Reads the codes of `clips_of` from either side."""

    def embed_mouth(self, mouth, audio):
        heard = audio[3_200:-3_200].reshape(len(mouth), 640)[:, :48]
        return tuple(self._unit(code.astype(np.float64)) for code in (mouth[:, 0], heard))

    def _unit(self, code):
        code = code - 127.5
        rows = np.stack([code[i : i + FRAMES].mean(0) for i in range(len(code) - FRAMES + 1)])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def logit(self, video, audio):
        return 20 * (video * audio).sum(-1) - 10


@pytest.mark.parametrize("shuffled", [False, True])
def test_windows_lie_inside_speech_and_carry_their_own_sound_or_anothers(shuffled):
    clips = clips_of(4)
    columns = np.stack([np.asarray(columns_of(audio)) for audio in clips.audio])
    for batch in training.draw_batches(recipe_of(), clips, 5, shuffled):
        assert batch["starts"].min() >= 4 and batch["starts"].max() + FRAMES <= 70
        for mouth, part, start in zip(batch["mouth"], batch["columns"], batch["starts"], strict=True):
            seen = [i for i in range(4) if (clips.mouth[i, start[0] : start[0] + FRAMES] == mouth[0]).all()]
            heard = [i for i in range(4) if np.allclose(columns[i, 4 * start[0] : 4 * start[0] + COLUMNS], part[0])]
            assert len(seen) == len(heard) == 1
            assert (clips.speaker[seen] != clips.speaker[heard]) if shuffled else (seen == heard)


def test_the_loss_takes_every_pair_of_a_clip_that_does_not_overlap(monkeypatch):
    recipe = recipe_of()
    monkeypatch.setattr(training, "vary_mouth", lambda mouth, key, *sizes: vary_mouth(mouth, key, 0, 0, 0))
    monkeypatch.setattr(training, "vary_sound", lambda columns, key: columns)
    batch = next(training.draw_batches(recipe, clips_of(3), 1, False))
    network = Network(SMALL)
    inputs = jnp.zeros((1, FRAMES, SIDE, SIDE)), jnp.zeros((1, COLUMNS, 40))
    variables = jax.jit(network.init)(jax.random.key(0), *inputs)
    params = dict(variables["params"], bias=jnp.array([0.3]))
    rest = {"batch_stats": variables["batch_stats"]}
    loss, new = jax.jit(functools.partial(training.batch_loss, recipe))(params, rest, batch, jax.random.key(1))
    apply = jax.jit(lambda *inputs: network.apply(
        {"params": params, **rest}, *inputs, train=True, mutable=["batch_stats"])[0])
    frames = batch["mouth"][..., 4:44, 4:44].reshape(-1, FRAMES, SIDE, SIDE).astype(np.float32)
    video, audio = map(np.asarray, apply(frames, batch["columns"].reshape(-1, COLUMNS, 40)))
    positives, negatives = [], []
    for i in range(12):
        for j in range(i // 4 * 4, i // 4 * 4 + 4):
            logit = 5 * float(video[i] @ audio[j]) + 0.3
            if i == j:
                positives.append(np.log1p(np.exp(-logit)))
            elif abs(int(batch["starts"].flat[i]) - int(batch["starts"].flat[j])) >= 5:
                negatives.append(np.log1p(np.exp(logit)))
    assert float(loss) == pytest.approx((np.mean(positives) + np.mean(negatives)) / 2, rel=1e-3)
    assert jax.tree.structure(new) == jax.tree.structure(rest)


def test_mouths_are_shifted_blurred_and_shaken_only_as_far_as_asked():
    smooth = np.add.outer(np.arange(48), 2 * np.arange(48))
    mouth = np.broadcast_to(smooth, (8, 2, 5, 48, 48)).astype(np.uint8)
    vary = functools.partial(jax.jit(vary_mouth), mouth, jax.random.key(0))
    np.testing.assert_allclose(vary(0, 0, 0), mouth[..., 4:44, 4:44], atol=1e-3)
    inside = (..., slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(vary(0, 0, 1.5)[inside], vary(0, 0, 0)[inside], atol=1e-2)  # a slope stays one
    shifted, shaken = np.asarray(vary(3, 0, 0) - vary(0, 0, 0)), np.asarray(vary(0, 2, 0) - vary(0, 0, 0))
    assert np.ptp(shifted[inside], axis=(1, 2, 3, 4)).max() < 1e-2 and shifted[inside].std() > 0.5
    assert np.ptp(shaken[inside].mean((3, 4)), axis=2).min() > 0.1


def test_sound_varies_from_clip_to_clip_and_hardly_from_window_to_window():
    columns = np.random.default_rng(0).uniform(0.5, 2, (6, 2, 20, 40)).astype(np.float32)
    columns[:, 1] = columns[:, 0]
    varied = np.asarray(jax.jit(vary_sound)(columns, jax.random.key(0)))
    assert np.abs(varied[:, 0] - varied[:, 1]).mean() < 0.2 < np.abs(varied[:, 0] - columns[:, 0]).mean()


@pytest.mark.parametrize(("shuffled", "loss"), [(False, 0.651), (False, 0.649), (True, 0.693)])
def test_a_plateau_is_an_error_and_the_shuffled_control_may_sit_on_it(monkeypatch, shuffled, loss):
    def sits(variables, *rest):
        for step in range(50, 301, 50):
            rest[-1](step, loss if step == 200 else 0.7)
        return variables

    monkeypatch.setattr(training, "fit", sits)
    learn = lambda: training.learn(recipe_of(), clips_of(2), 300, shuffled, lambda stage, done, total, note: None)
    if loss > 0.65 and not shuffled:
        with pytest.raises(UserError, match=r"0\.651 at step 200, above 0\.65"):
            learn()
    else:
        assert set(learn()) == {"params", "batch_stats"}


def test_a_perfect_expert_passes_and_its_controls_fail():
    examined = Examined(Perfect(), clips_of(6))
    rows = table(examined, examined)
    assert list(rows) == ["ours", "shuffled_training", "other_speaker_audio", "half_pixel_jitter", "still_frames"]
    mean = {(row, metric): value["mean"] for row, found in rows.items() for metric, value in found.items()}
    assert mean["ours", "loss"] < 0.02 and mean["ours", "pairwise_accuracy"] > 0.999
    assert mean["ours", "offset_exact"] == 1 and rows["ours"]["offset_exact"]["n"] == 6 * 5
    assert mean["ours", "confidence"] > 0.5
    assert mean["other_speaker_audio", "pairwise_accuracy"] == pytest.approx(0.5, abs=0.05)
    assert mean["still_frames", "offset_within_one"] < 0.4
    assert mean["half_pixel_jitter", "confidence_lost"] == pytest.approx(
        1 - mean["half_pixel_jitter", "confidence"] / mean["ours", "confidence"])


def test_examination_refuses_the_training_split(tmp_path):
    with pytest.raises(ValueError, match="validation or test"):
        training.examine({}, recipe_of(), tmp_path, "train")


def test_recipes_that_cannot_train_are_named():
    with pytest.raises(ValueError, match="two of each"):
        recipe_of(windows=1)
    with pytest.raises(ValueError, match=r"rate 0 must"):
        recipe_of(rate=0)
