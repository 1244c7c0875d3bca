"""Sync against torch's pairwise distance and planted offsets."""

import numpy as np
import pytest

from thjax.metrics.sync import PRESETS, VSHIFT, Sync, distance_curve, offset_error, sync


@pytest.fixture
def track():
    return np.random.default_rng(0).normal(size=(70, 32))


@pytest.mark.parametrize("offset", [-10, -1, 0, 4, 15])
def test_a_planted_offset_is_found_with_its_sign(track, offset):
    """Positive: the video is behind, so frame i shows what was heard `offset` frames earlier."""
    video = np.roll(track, offset, axis=0)
    found = sync(distance_curve(video, track))
    assert found.offset == offset
    assert found.confidence > 1 and found.distance < 3


def test_the_curve_equals_torchs_pairwise_distance(track):
    torch = pytest.importorskip("torch")
    audio = track + np.random.default_rng(1).normal(0, 0.5, track.shape)
    v, a = torch.tensor(track), torch.nn.functional.pad(torch.tensor(audio), (0, 0, VSHIFT, VSHIFT))
    rows = [torch.nn.functional.pairwise_distance(v[i : i + 1].expand(31, -1), a[i : i + 31]) for i in range(70)]
    mean = torch.stack(rows, 1).mean(1)
    curve = distance_curve(track, audio)
    np.testing.assert_allclose(curve, mean.numpy(), atol=1e-12)
    found = sync(curve)
    least, place = mean.min(0)
    assert found.offset == VSHIFT - int(place)
    assert found.distance == pytest.approx(float(least), abs=1e-12)
    assert found.confidence == pytest.approx(float(mean.median() - least), abs=1e-12)


def test_audio_beyond_the_clip_is_zero_not_repeated():
    ones = np.ones((2, 4))
    np.testing.assert_allclose(distance_curve(ones, ones, vshift=2), [2, 1, 0, 1, 2], atol=1e-5)


@pytest.mark.parametrize("offset", [-10, 0, 7])
def test_an_overlap_knows_nothing_beyond_the_clip(track, offset):
    """So a shift inside the search changes neither distance nor, to speak of, confidence."""
    unit = track / np.linalg.norm(track, axis=1, keepdims=True)
    video, audio = (unit[15:60], unit[15 + offset : 60 + offset])
    found = sync(distance_curve(video, audio, edges="overlap"))
    assert found.offset == offset
    assert found.distance < 1e-4
    assert found.confidence == pytest.approx(np.sqrt(2), abs=0.1)
    ones = np.ones((4, 4))
    np.testing.assert_allclose(distance_curve(ones, ones, vshift=3, edges="overlap"), 0, atol=1e-5)


def test_still_unit_vectors_have_no_favourite_shift_in_an_overlap(track):
    unit = track / np.linalg.norm(track, axis=1, keepdims=True)
    still = np.repeat(unit[:1], len(unit), axis=0)
    zeros, overlap = (distance_curve(still, unit[::-1], edges=edges) for edges in ("zeros", "overlap"))
    assert abs(sync(zeros).offset) == VSHIFT  # zero is nearer than a strange unit vector
    assert np.ptp(overlap) < 0.5 * np.ptp(zeros)


@pytest.mark.parametrize("offset", [-15, 0, 7])
def test_inside_the_clip_every_shift_asks_the_same_lips(track, offset):
    """A shift changes neither distance nor confidence; windows at the ends, which lack partners, decide nothing."""
    unit = track / np.linalg.norm(track, axis=1, keepdims=True)
    video, audio = unit[15:60].copy(), unit[15 + offset : 60 + offset]
    video[:VSHIFT] = video[-VSHIFT:] = unit[0]
    curve = distance_curve(video, audio, edges="inside")
    found = sync(curve)
    assert found.offset == offset and found.distance < 1e-4
    by_hand = [np.mean([np.linalg.norm(video[i] - audio[i + s]) for i in range(15, 30)]) for s in range(-15, 16)]
    np.testing.assert_allclose(curve, by_hand, atol=1e-5)


def test_silence_at_the_ends_does_not_place_still_lips(track):
    """Still lips look like silence: an overlap keeps most of it at shift 0, inside the clip no shift is special."""
    unit = track / np.linalg.norm(track, axis=1, keepdims=True)
    audio = unit[:60].copy()
    audio[:6] = audio[-6:] = unit[0]
    still = np.repeat(unit[:1], 60, axis=0)
    overlap, inside = (sync(distance_curve(still, audio, edges=edges)) for edges in ("overlap", "inside"))
    assert overlap.offset == 0 and abs(inside.offset) > 1


def test_a_clip_too_short_for_the_inside_takes_the_overlap(track):
    curves = [distance_curve(track[:30], track[:30], edges=edges) for edges in ("inside", "overlap")]
    np.testing.assert_array_equal(*curves)


def test_wrong_audio_has_little_confidence(track):
    other = np.random.default_rng(2).normal(size=track.shape)
    assert sync(distance_curve(track, other)).confidence < 0.5 < sync(distance_curve(track, track)).confidence


def test_the_recordings_own_offset_is_taken_out():
    assert offset_error(Sync(3, 1, 1), Sync(-1, 1, 1)) == 4
    assert offset_error(Sync(2, 1, 1), Sync(2, 1, 1)) == 0


def test_presets_are_the_public_scripts():
    assert PRESETS["lrs"].crop == "frame" and PRESETS["tracked"].crop == "track"
    assert {preset.size for preset in PRESETS.values()} == {224}
    assert {name for name, preset in PRESETS.items() if not preset.jpeg} == {"lrs lossless", "tracked lossless"}


def test_what_cannot_be_compared_is_named(track):
    with pytest.raises(ValueError, match=r"70 rows and audio 69"):
        distance_curve(track, track[:69])
    with pytest.raises(ValueError, match=r"\[N, 32\].*\(70, 16\)"):
        distance_curve(track, track[:, :16])
    with pytest.raises(ValueError, match="odd"):
        sync(np.zeros(30))
    with pytest.raises(ValueError, match="15 windows leave no overlap"):
        distance_curve(track[:15], track[:15], edges="overlap")
