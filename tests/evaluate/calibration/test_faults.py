"""Faults do what their names say, to the size that their dose says, and touch nothing else."""

import numpy as np
import pytest

from data_pipelines.synthetic.espeak import Espeak
from thjax.evaluate.calibration import faults, performances
from thjax.evaluate.calibration.faults import FAULTS, SHARES, delayed
from thjax.evaluate.calibration.performances import LIDS, LIPS


@pytest.fixture(scope="module")
def pair():
    place = performances.places()[5]
    with Espeak() as espeak:
        return performances.perform(place, espeak), performances.perform(performances.partner(place), espeak)


@pytest.fixture(scope="module")
def frames(pair):
    return pair[0].render().frames


def test_there_are_48_clips_of_12_speakers_and_each_is_borrowed_from_once():
    places = performances.places()
    partners = [performances.partner(place) for place in places]
    assert len(places) == 48 and len({place.speaker for place in places}) == 12
    assert sorted(map(str, partners)) == sorted(map(str, places))
    assert all(a.speaker != b.speaker for a, b in zip(places, partners, strict=True))


def test_every_fault_has_eight_rising_doses_at_least():
    for name, fault in FAULTS.items():
        assert len(fault.doses) >= 8 and list(fault.doses) == sorted(set(fault.doses)) and fault.doses[0] > 0, name


def test_every_clip_blinks(pair):
    assert all(clip.motion.expression[:, LIDS].max() > 0.95 for clip in pair)


@pytest.mark.parametrize("name", ["blur", "slight_blur", "noise", "brightness", "jpeg"])
def test_pixels_stray_further_with_every_dose(pair, frames, name):
    rng = np.random.default_rng
    first = frames[:4]
    errors = [((FAULTS[name].plant(pair[0], first, pair[1], dose, rng(0)).frames.astype(float) - first) ** 2).mean()
              for dose in FAULTS[name].doses]
    assert errors[0] > 0 and errors == sorted(errors)


def test_a_late_video_shows_what_was_to_be_seen_before(frames):
    late, early = delayed(frames, 3), delayed(frames, -2)
    np.testing.assert_array_equal(late[3:], frames[:-3])
    np.testing.assert_array_equal(late[:3], np.repeat(frames[:1], 3, axis=0))
    np.testing.assert_array_equal(early[:-2], frames[2:])


def test_lips_stand_still_in_their_share_of_the_speech_and_nothing_else_changes(pair):
    clip, other = pair
    spoken = np.flatnonzero(clip.speech)
    for share in SHARES:
        held = faults._frozen_mouth(clip, other, share).motion
        first = spoken[-1] + 1 - round(share * len(spoken))
        assert np.ptp(held.expression[first:, LIPS], axis=0).max() == 0
        np.testing.assert_array_equal(held.expression[:first], clip.motion.expression[:first])
        rest = np.setdiff1d(np.arange(held.expression.shape[1]), LIPS)
        np.testing.assert_array_equal(held.expression[:, rest], clip.motion.expression[:, rest])
        np.testing.assert_array_equal(held.pose, clip.motion.pose)


def test_the_largest_doses_leave_nothing_of_what_they_take(pair):
    clip, other = pair
    damped = faults._damped_mouth(clip, other, 1.0).motion.expression[:, LIPS]
    assert np.ptp(damped, axis=0).max() < 1e-6
    assert np.ptp(faults._damped_pose(clip, other, 1.0).motion.pose, axis=0).max() < 1e-9
    assert faults._removed_blinks(clip, other, 1.0).motion.expression[:, LIDS].max() == 0
    swapped = faults._swapped_identity(clip, other, 1.0).identity
    np.testing.assert_allclose(swapped.shape, other.identity.shape, atol=1e-6)
    assert swapped.hair == other.identity.hair
    lips = faults._shuffled_audio(clip, other, 1.0).motion.expression
    first = np.flatnonzero(clip.speech)[0]
    np.testing.assert_array_equal(lips[first:, LIPS], other.motion.expression[first:, LIPS])
    turned = faults._turned(clip, other, 10.0).motion.pose - clip.motion.pose
    np.testing.assert_allclose(np.abs(np.degrees(turned[:, [3, 4]])), np.tile([5.0, 10.0], (len(turned), 1)), rtol=1e-9)


def test_a_shaking_tracker_leaves_the_picture_alone(pair, frames):
    take = FAULTS["landmark_jitter"].plant(*pair[:1], frames, pair[1], 2.0, np.random.default_rng(0))
    np.testing.assert_array_equal(take.frames, frames)
    assert take.landmark_noise.std() == pytest.approx(2.0, rel=0.05)
