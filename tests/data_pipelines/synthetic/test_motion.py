"""How heads move: rates, spectra and couplings that can be measured from outside."""

import numpy as np
import pytest
import scipy.ndimage

from data_pipelines import schema
from data_pipelines.synthetic import grammar, motion, prosody, render, scene, speech, voices
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from data_pipelines.synthetic.presets import PRESETS
from thjax.face3d.camera import project, rotation_matrix

COLUMN = {name: index for index, name in enumerate(schema.POSE)}


@pytest.fixture(scope="module")
def clips():
    with Espeak() as engine:
        made = []
        for index in range(30):
            rng = np.random.default_rng(index)
            sentence = grammar.draw_sentence("mixed", "train", rng)
            made.append(speech.record(engine, sentence, voices.draw_voice(0, "train", index), rng, frames=None))
        return made


def residual(values, order=6):
    """Standard deviation of what a least-squares linear prediction from `order` frames leaves, over that of values."""
    past = np.stack([values[order - lag:-lag] for lag in range(1, order + 1)], axis=1)
    coefficients, *_ = np.linalg.lstsq(past, values[order:], rcond=None)
    return (values[order:] - past @ coefficients).std() / values.std()


def test_the_damped_process_has_innovations_and_filtered_noise_has_none():
    values = motion.damped_process(np.random.default_rng(0), 40_000, 1)[:, 0]
    assert abs(values.mean()) < 0.1 and values.std() == pytest.approx(1, abs=0.05)
    # closed form: the correlation of neighbours at distance k of a double root a is a^k (1 + k (1 - a^2) / (1 + a^2))
    decay = np.exp(-1 / (schema.FPS * motion.SWAY_SECONDS))
    for lag in (1, 5, 10):
        expected = decay**lag * (1 + lag * (1 - decay**2) / (1 + decay**2))
        assert np.corrcoef(values[:-lag], values[lag:])[0, 1] == pytest.approx(expected, abs=0.03)
    assert residual(values) == pytest.approx(0.085, abs=0.005)
    smooth = scipy.ndimage.gaussian_filter1d(np.random.default_rng(0).standard_normal(40_000), 0.3 * schema.FPS)
    assert residual(smooth) < 0.005


@pytest.mark.parametrize("name", ["Rx", "Ry", "Rz", "Tx", "Ty"])
def test_poses_of_clips_cannot_be_predicted_below_four_hundredths(clips, name):
    """The whole pose, the part that follows the voice included."""
    poses = [motion.perform(clip, PRESETS["natural"], np.random.default_rng(index)).pose[:, COLUMN[name]]
             for index, clip in enumerate(clips)]
    targets, pasts = [], []
    for pose in poses:
        centred = pose - pose.mean()
        targets.append(centred[6:])
        pasts.append(np.stack([centred[6 - lag:-lag] for lag in range(1, 7)], axis=1))
    target, past = np.concatenate(targets), np.concatenate(pasts)
    coefficients, *_ = np.linalg.lstsq(past, target, rcond=None)
    assert (target - past @ coefficients).std() / target.std() > 0.04


def test_blinks_come_at_a_human_rate_and_never_on_the_still():
    eyes = np.stack([motion.blinks(np.random.default_rng(seed), 150) for seed in range(400)])
    closed = eyes > 0.5
    onsets = (closed[:, 1:] & ~closed[:, :-1]).sum()
    minutes = eyes.size / schema.FPS / 60
    assert 15 <= onsets / minutes <= 20
    assert 2 <= closed.sum() / onsets <= 5  # frames: 80 to 200 ms
    assert eyes.min() == 0 and eyes.max() == 1 and not closed[:, 0].any() and eyes[:, 0].max() < 0.01
    # stationary: as many in the first second (but for the still) as in the last
    early, late = closed[:, 3:25].mean(), closed[:, -22:].mean()
    assert early / late == pytest.approx(1, abs=0.25)
    long = motion.blinks(np.random.default_rng(1), 50_000) > 0.5
    intervals = np.diff(np.flatnonzero(long[1:] & ~long[:-1]))
    assert intervals.min() > 0.4 * schema.FPS
    assert 0.3 < intervals.std() / intervals.mean() < 0.9  # gamma, not a metronome


def correlation(pairs):
    return np.mean([np.corrcoef(one, other)[0, 1] for one, other in pairs])


def in_speech(clip):
    times = (np.arange(clip.frames) + 0.5) / schema.FPS
    return (times > clip.phonemes[1].start) & (times < clip.phonemes[-2].end)


def test_head_motion_follows_prosody_above_another_audio(clips):
    smooth = [scipy.ndimage.gaussian_filter1d(prosody.analyse(clip.audio).log_energy, 3) for clip in clips]
    nods = [motion.perform(clip, PRESETS["natural"], np.random.default_rng(index)).pose[:, COLUMN["Rx"]]
            for index, clip in enumerate(clips)]
    matched, other = [], []
    for index, clip in enumerate(clips):
        speaking = in_speech(clip)[2:]
        matched.append((smooth[index][:-2][speaking], nods[index][2:][speaking]))
        stranger = smooth[(index + 1) % len(clips)]
        stranger = np.resize(stranger, clip.frames)
        other.append((stranger[:-2][speaking], nods[index][2:][speaking]))
    assert correlation(matched) > 0.35
    assert correlation(matched) > correlation(other) + 0.2


def test_the_named_gains_are_what_comes_out(clips):
    voice = prosody.analyse(clips[0].audio)
    silent_head = motion.prosodic_pose(voice)
    smooth = scipy.ndimage.gaussian_filter1d(voice.log_energy, motion.PROSODY_SMOOTHING_FRAMES, mode="nearest")
    lag = motion.PROSODY_LAG_FRAMES
    np.testing.assert_allclose(silent_head[lag:, COLUMN["Rx"]], motion.NOD_PER_LOG_ENERGY * smooth[:-lag])
    np.testing.assert_allclose(silent_head[lag:, COLUMN["Ty"]], motion.LOWER_PER_LOG_ENERGY * smooth[:-lag])
    assert not silent_head[:, [COLUMN[name] for name in ("Tx", "Tz", "Ry")]].any()
    poses = {name: motion.head_pose(voice, style, np.random.default_rng(7)) for name, style in PRESETS.items()}
    nobody = prosody.analyse(np.zeros_like(clips[0].audio))
    without = motion.head_pose(nobody, PRESETS["strong"], np.random.default_rng(7))
    np.testing.assert_allclose(poses["strong"] - without, PRESETS["strong"].prosody_gain * silent_head, atol=1e-12)


def test_one_audio_has_many_motions_and_one_mouth(clips):
    natural = PRESETS["natural"]
    first, again, other = (motion.perform(clips[0], natural, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in ("expression", "pose", "gaze"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert np.abs(first.pose - other.pose)[:, 3:].max() > 0.02
    jaw = EXPRESSION_INDEX["AU26"]
    assert np.corrcoef(first.expression[:, jaw], other.expression[:, jaw])[0, 1] > 0.97
    press = EXPRESSION_INDEX["press"]
    assert np.array_equal(first.expression[:, press], other.expression[:, press])


def test_presets_differ_in_amplitude_and_still_moves_far_less_than_a_pixel(clips):
    camera = render.camera(64)
    points = np.array([[0, 0, -100], [60, 50, -40], [-60, 50, -40], [0, -90, -60]], np.float64)  # nose, jaws, forehead
    spread = {}
    for name, style in PRESETS.items():
        moves = []
        for index, clip in enumerate(clips[:12]):
            moved = motion.perform(clip, style, np.random.default_rng(index))
            pose = render.head_pose(scene.neutral_scene(), moved.pose)
            placed = np.einsum("tij,pj->tpi", rotation_matrix(pose[:, 3:]), points) + pose[:, None, :3]
            pixels = np.stack([project(frame, camera) for frame in placed])
            moves.append(np.linalg.norm(pixels - pixels.mean(axis=0), axis=-1).max(axis=0))
        spread[name] = np.max(moves)
    assert spread["still"] < 0.4  # pixels of a 64-pixel frame, the farthest any point ever gets
    assert spread["natural"] > 4 * spread["still"] and spread["strong"] > 1.3 * spread["natural"]


def test_everything_stays_in_range(clips):
    for name, style in PRESETS.items():
        for index, clip in enumerate(clips[:6]):
            moved = motion.perform(clip, style, np.random.default_rng(index), articulation=1.05)
            assert moved.expression.shape == (clip.frames, 20) and moved.pose.shape == (clip.frames, 6)
            assert moved.expression.min() >= 0 and moved.expression.max() <= 1
            assert np.abs(moved.gaze).max() <= motion.GAZE_LIMIT and np.isfinite(moved.pose).all()
            assert np.abs(moved.pose[:, 3:]).max() < 0.6, name
