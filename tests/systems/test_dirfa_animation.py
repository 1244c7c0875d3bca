"""The animation vector: quantiser, ranges, what a window tells the mapper."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dirfa_narrow import built, make_batch, narrow, quantiser_of, random_weights, shard_statistics

from data_pipelines import histograms, statistics
from data_pipelines.schema import POSE, DataError
from tests.quick import quick_jit
from thjax import systems
from thjax.core.rngs import Rngs
from thjax.evaluate.animation import clips
from thjax.systems import motion_sampler
from thjax.systems.dirfa import inputs
from thjax.systems.dirfa.animation import CHANNELS, GROUPS, MOODS, Quantiser, animation_vectors
from thjax.systems.dirfa.statistics import ranges


def wide_quantiser(categories=500):
    low = np.array([0.0] * 17 + [-30, -30, -60, -0.5, -0.9, -0.3])
    high = np.array([5.0] * 17 + [30, 30, 60, 0.4, 0.8, 0.3])
    return Quantiser(tuple(low), tuple(high), (0.0,) * 23, (1.0,) * 23, categories)


@pytest.mark.parametrize("categories", [10, 500, 750])
def test_a_value_goes_to_the_nearest_centroid_and_back(categories):
    quantiser = wide_quantiser(categories)
    rng, low, high = np.random.default_rng(0), np.array(quantiser.low), np.array(quantiser.high)
    values = (low + (high - low) * rng.uniform(-0.1, 1.1, (400, 23))).astype(np.float32)
    width = (high - low) / categories
    centroids = low + width * (np.arange(categories)[:, None] + 0.5)
    nearest = np.abs(values[:, None] - centroids).argmin(1)
    ours = np.asarray(quantiser.encode(values))
    off_border = np.abs((values - low) / width % 1 - 0.5) < 0.499  # f32 may decide a tie either way
    np.testing.assert_array_equal(ours[off_border], nearest[off_border])
    np.testing.assert_allclose(quantiser.decode(ours), np.take_along_axis(centroids, ours, 0), rtol=1e-5, atol=1e-5)
    outside = (values < low) | (values > high)
    np.testing.assert_array_equal(quantiser.clipped(values), outside)
    assert 0.1 < outside.mean() < 0.25 and ours.min() == 0 and ours.max() == categories - 1
    assert (np.abs(quantiser.decode(ours) - values)[~outside] <= (0.501 * width + 0 * values)[~outside]).all()


def test_ranges_come_from_the_shards():
    config = narrow()
    parts = shard_statistics(config, batches=40)
    stats = {name: np.array(values) for name, values in ranges(parts).items()}
    batches = [make_batch(config, seed) for seed in range(40)]
    pose = np.concatenate([batch["pose"].reshape(-1, 6) for batch in batches])
    np.testing.assert_array_equal(stats["low"][:17], 0)
    np.testing.assert_array_equal(stats["high"][:17], 5)
    moved = np.concatenate([(b["pose"] - b["pose"][:, :1])[..., :3].reshape(-1, 3) for b in batches])
    motion = np.concatenate([moved, pose[:, 3:]], axis=1)
    ends = [*histograms.RANGES[histograms.FROM_START], *histograms.RANGES["pose"][3:]]
    bins = np.array([(high - low) / histograms.BINS for low, high in ends])
    for name, percentile in (("low", 0.1), ("high", 99.9)):
        assert (np.abs(stats[name][17:] - np.percentile(motion, percentile, axis=0)) <= bins).all()
    np.testing.assert_allclose(stats["mean"][17:], motion.mean(0), atol=1e-5)
    np.testing.assert_allclose(stats["deviation"][17:], motion.std(0), rtol=1e-4)
    assert (stats["high"] > stats["low"]).all() and (stats["deviation"] > 0).all()


def test_a_corpus_that_does_not_move_still_has_ranges_and_one_without_labels_is_refused():
    record = {"face_ok": np.ones(4), "segment": 0, "n": 4, "au": np.zeros((4, 17)), "pose": np.zeros((4, 6))}
    stats = ranges([statistics.of_clip([record])])
    assert (np.array(stats["high"]) > stats["low"]).all()
    shaken = record | {"pose": np.where(np.arange(6) == 4, np.nan, record["pose"])}
    with pytest.raises(DataError, match="no finite value of Ry;"):
        ranges([statistics.of_clip([shaken])])
    del record["au"]
    with pytest.raises(DataError, match="no labels of au"):
        ranges([statistics.of_clip([record])])
    with pytest.raises(DataError, match="statistics of form 1.*`thjax data stats`"):
        ranges([{"records": 1, "clips": 1, "frames": 4, "frames_masked": 0, "moments": {}, "rates": {}}])
    with pytest.raises(ValueError, match="statistics"):
        _ = systems.build(narrow()).quantiser


def test_translation_counts_from_the_clips_start_and_rotation_stays():
    config = narrow()
    batch = make_batch(config)
    batch["start_pose"][1] += 7  # a window from mid-clip
    made = np.asarray(animation_vectors(batch["au"], batch["pose"], batch["start_pose"]))
    assert CHANNELS[17:] == POSE
    np.testing.assert_allclose(made[0, :, 17:20], batch["pose"][0, :, :3] - batch["pose"][0, 0, :3], atol=1e-4)
    np.testing.assert_allclose(made[1, :, 17:20], batch["pose"][1, :, :3] - batch["pose"][1, 0, :3] - 7, atol=1e-4)
    np.testing.assert_array_equal(made[..., 20:], batch["pose"][..., 3:])
    np.testing.assert_array_equal(made[..., :17], batch["au"])


def test_windows_begin_with_bos_at_a_clips_start_only():
    config = narrow()
    batch = make_batch(config)
    batch["valid"][2, 4] = 0
    batch["audio"][1, :3200] = 0  # silence in mid-clip is no start
    lesson = inputs.make_lesson(config, quantiser_of(config), batch, unscored=3)
    frame = np.arange(8)
    # Clip 0 starts: everything counts, the first token stands for the beginning.
    np.testing.assert_array_equal(lesson.scored[0], 1)
    np.testing.assert_array_equal(lesson.first[0], frame == 0)
    np.testing.assert_array_equal(lesson.attended[0], True)
    # Clip 1 runs already: its first token has nothing before it, is seen by nobody; three frames are history.
    np.testing.assert_array_equal(lesson.scored[1], frame >= 3)
    np.testing.assert_array_equal(lesson.attended[1], frame > 0)
    # Clip 2 has no face in frame 4: it does not count, nor does frame 5, which is not told what came before.
    np.testing.assert_array_equal(lesson.scored[2], (frame != 4) & (frame != 5))
    np.testing.assert_array_equal(lesson.first[2], (frame == 0) | (frame == 5))
    told = quantiser_of(config).centroid(quantiser_of(config).encode(lesson.values))
    np.testing.assert_array_equal(lesson.history[:, 1:], told[:, :-1])


def test_nothing_hidden_reaches_a_scored_frame():
    config = narrow()
    system = built(config)
    module, params = random_weights(config)

    @quick_jit
    def said(batch):
        lesson = inputs.make_lesson(config, system.quantiser, batch, unscored=3)
        features = inputs.batch_features(config.mapper, jnp.asarray(batch["audio"]))
        return module.apply(params, lesson.history, features, lesson.first, lesson.attended)[0]

    batch, other = make_batch(config), make_batch(config)
    batch["valid"][2, 4] = other["valid"][2, 4] = 0
    other["au"][2, 4], other["pose"][2, 4] = 4.9, 7.0  # whatever a tracker leaves behind
    other["au"][0, -1] = 0.0  # the future
    before, after = said(batch), said(other)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[2], after[2])


def test_those_who_evaluate_mean_the_same_channels_and_groups():
    assert motion_sampler.CHANNELS == CHANNELS
    assert {name: tuple(which) for name, which in GROUPS.items()} == clips.GROUPS


def test_noise_touches_what_it_should():
    config = narrow(losses=dict(history_noise=0.25))
    quantiser, rngs = quantiser_of(config), Rngs(jax.random.key(3), jnp.arange(3))
    history = quantiser.centroid(quantiser.encode(animation_vectors(*[
        make_batch(config, frames=300)[name] for name in ("au", "pose", "start_pose")])))
    disturb = lambda losses: quick_jit(lambda: inputs.disturb(losses, quantiser, history, rngs))()
    replaced = np.asarray(disturb(config.losses)) != history
    assert 0.2 < replaced.mean() < 0.26  # one in twenty is replaced by itself
    losses = narrow(losses=dict(lip_noise=1.0)).losses
    shaken = np.asarray(disturb(losses)) != history
    lips = np.isin(np.arange(23), GROUPS["lips"])
    assert shaken[..., lips].mean() > 0.9 and not shaken[..., ~lips].any()
    moved = np.asarray(disturb(narrow(losses=dict(mood_noise=0.2)).losses)) != history
    moods = np.isin(np.arange(23), MOODS)
    assert moved[..., moods].mean() > 0.9 and not moved[..., ~moods].any() and not (lips & moods).any()
    assert inputs.disturb(narrow().losses, quantiser, history, rngs) is history
    gain = inputs.draw_gain(narrow(losses=dict(gain_db=6.0)).losses, rngs)
    assert gain.shape == (3,) and (np.abs(20 * np.log10(gain)) <= 6).all() and np.ptp(gain) > 0
