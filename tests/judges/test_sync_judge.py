"""The sync expert sees and hears exactly what lies under a window, and nothing of brightness."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thjax.core.errors import UserError
from thjax.judges import shipped
from thjax.judges.sync import COLUMNS, FRAMES, SIDE, Config, Judge, Network

SMALL = Config(video_widths=(4, 8), audio_widths=(4,), audio_hidden=8, embedding=6)
T = 32  # more than one batch of windows, and no whole number of them


@pytest.fixture(scope="module")
def judge():
    inputs = jnp.zeros((1, FRAMES, SIDE, SIDE)), jnp.zeros((1, COLUMNS, 40))
    variables = jax.jit(Network(SMALL).init)(jax.random.key(0), *inputs)
    return Judge(variables, SMALL)


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    mouth = rng.integers(0, 256, (T, 48, 48)).astype(np.uint8)
    return mouth, rng.integers(-9_000, 9_000, T * 640 + 6_400).astype(np.int16)


def changed(before, after):
    return set(np.flatnonzero(np.abs(before - after).max(1) > 1e-6))


def test_a_row_is_a_unit_vector_for_every_window(judge, clip):
    for side in judge.embed_mouth(*clip):
        assert side.shape == (T - 4, 6) and side.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("frame", [0, 3, 26, T - 1])
def test_a_frame_and_its_sound_are_in_the_same_five_windows_and_in_no_other(judge, clip, frame):
    mouth, audio = clip
    video, heard = judge.embed_mouth(mouth, audio)
    other = mouth.copy()
    other[frame, 24] = 255 - other[frame, 24]
    louder = audio.copy()
    louder[3_200 + frame * 640 + 300 : 3_200 + frame * 640 + 340] //= 8  # the middle: no window's edge hears it
    windows = set(range(max(frame - 4, 0), min(frame, T - FRAMES) + 1))
    assert changed(video, judge.embed_mouth(other, audio)[0]) == windows
    assert changed(heard, judge.embed_mouth(mouth, louder)[1]) == windows


def test_what_it_says_of_a_window_does_not_depend_on_the_clips_length(judge, clip):
    mouth, audio = clip
    whole = judge.embed_mouth(mouth, audio)
    part = judge.embed_mouth(mouth[10:17], audio[10 * 640 : 17 * 640 + 6_400])
    for long, short in zip(whole, part, strict=True):
        np.testing.assert_allclose(short, long[10:13], atol=1e-5)


def test_brightness_and_contrast_are_not_seen(judge, clip):
    mouth, audio = clip
    video = judge.embed_mouth(mouth, audio)[0]
    np.testing.assert_allclose(judge.embed_mouth(0.5 * mouth + 20, audio)[0], video, atol=1e-4)


def test_frames_and_landmarks_give_the_mouth_windows_that_are_embedded(judge, clip):
    from data_pipelines.crops import CANONICAL, STABLE_LANDMARKS
    from thjax.judges.regions import mouth_windows

    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (6, 64, 64, 3)).astype(np.uint8)
    landmarks = np.full((6, 68, 2), 30.0)
    landmarks[:, STABLE_LANDMARKS] = CANONICAL * 64
    audio = clip[1][: 6 * 640 + 6_400]
    for found, expected in zip(judge.embed(frames, landmarks, audio),
                               judge.embed_mouth(mouth_windows(frames, landmarks), audio), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_probability_is_the_sigmoid_of_the_scaled_cosine(judge, clip):
    variables = dict(judge.variables)
    variables["params"] = dict(variables["params"], log_scale=np.log([3.0]), bias=np.array([-1.0]))
    video, audio = judge.embed_mouth(*clip)
    expected = 1 / (1 + np.exp(1 - 3 * (video * audio).sum(1)))
    np.testing.assert_allclose(Judge(variables, SMALL).probability(video, audio), expected, rtol=1e-5)


def test_a_saved_judge_says_the_same(judge, clip, tmp_path, monkeypatch):
    path = tmp_path / "sync_metric.safetensors"
    shipped.save(path, judge.variables, {"name": "sync_metric", "network": dataclasses.asdict(SMALL)})
    monkeypatch.setattr(shipped, "load", lambda name: shipped.read(path))
    loaded = Judge.load()
    assert loaded.config == SMALL
    for ours, theirs in zip(judge.embed_mouth(*clip), loaded.embed_mouth(*clip), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_what_cannot_be_judged_is_named(judge):
    frames, landmarks = np.zeros((6, 48, 48, 3), np.uint8), np.zeros((6, 68, 2))
    audio = np.zeros(6 * 640 + 6_400, np.int16)
    with pytest.raises(UserError, match="at least 48 pixels"):
        judge.embed(frames[:, :40], landmarks, audio)
    with pytest.raises(UserError, match=r"landmarks \(5, 68, 2\) for 6 frames"):
        judge.embed(frames, landmarks[:5], audio)
    with pytest.raises(UserError, match=r"give int16 \[10240\]"):
        judge.embed(frames, landmarks, audio[:-1])
    with pytest.raises(UserError, match="a clip of 4 frames"):
        judge.embed_mouth(frames[:4, :, :, 0], audio)
    with pytest.raises(UserError, match="this expert has 6"):
        judge.probability(np.zeros((2, 5)), np.zeros((2, 5)))


def test_sizes_that_make_no_network_are_named():
    with pytest.raises(ValueError, match="video_widths"):
        Config(video_widths=())
    with pytest.raises(ValueError, match="halved three times"):
        Config(video_widths=(4, 4, 4, 4))
