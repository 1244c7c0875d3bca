"""Blinks planted in landmarks and in AU45 tracks."""

import numpy as np
import pytest

from thjax.metrics.blinks import blinks_by_aspect_ratio, blinks_by_au45, eye_aspect_ratio
from thjax.metrics.merging import merge


def eyes(openness):
    """Both eyes 10 pixels wide with lids `openness` [T] pixels apart: the aspect ratio is openness / 10."""
    openness = np.asarray(openness, float)
    landmarks = np.zeros((len(openness), 68, 2))
    for first in (36, 42):
        landmarks[:, first : first + 6, 0] = np.array([0, 3, 7, 10, 7, 3]) + first
        landmarks[:, first + 1 : first + 3, 1] = -openness[:, None] / 2
        landmarks[:, first + 4 : first + 6, 1] = openness[:, None] / 2
    return landmarks


def test_the_aspect_ratio_is_height_over_width_whatever_the_head_does():
    landmarks = eyes([3.0, 1.0, 0.0])
    np.testing.assert_allclose(eye_aspect_ratio(landmarks), [0.3, 0.1, 0])
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    np.testing.assert_allclose(eye_aspect_ratio(2 * landmarks @ turn + 50), [0.3, 0.1, 0])


def test_short_closures_are_blinks_and_long_ones_are_closed_eyes():
    track = np.full(100, 3.0)
    track[10], track[20:30], track[40:51], track[98:] = 0, 1, 0, 1  # 1, 10, 11 and 2 frames
    counted = blinks_by_aspect_ratio(eyes(track), fps=25)
    assert (counted.above, counted.below) == (3, 4.0)
    assert counted.value == 0.75
    intensity = np.where(track < 2, 2.5, 0.5)
    assert blinks_by_au45(intensity, fps=25) == counted


def test_the_rate_pools_blinks_and_seconds_over_clips():
    blinking, still = np.zeros(50), np.zeros(200)
    blinking[[5, 15, 30]] = 3
    clips = [blinks_by_au45(blinking, 25), blinks_by_au45(still, 25)]
    assert merge(clips).value == 3 / 10  # not the mean of 1.5 and 0


def test_frames_without_a_face_are_neither_blinks_nor_time():
    track = np.zeros(50)
    track[10:30] = np.nan
    track[40] = 3
    assert blinks_by_au45(track, 25).below == pytest.approx(30 / 25)
    assert blinks_by_au45(track, 25).above == 1
    landmarks = eyes(np.full(50, 3.0))
    landmarks[10:30] = np.nan
    assert blinks_by_aspect_ratio(landmarks, 25).below == pytest.approx(30 / 25)


def test_a_lost_frame_cuts_no_blink_in_two():
    track = np.zeros(60)
    track[10:15], track[12] = 3, np.nan
    track[30:33], track[29], track[33] = 3, np.nan, np.nan  # lost beside a blink: still one
    track[45:52], track[52:54], track[54:56] = 3, np.nan, 3  # 11 frames from first to last: closed eyes
    assert blinks_by_au45(track, 25).above == 2
    assert blinks_by_au45(np.full(20, np.nan), 25).above == 0


def test_beside_a_long_loss_blinks_count_by_what_shows():
    track = np.zeros(60)
    track[:20], track[20:23], track[57:] = np.nan, 3, 3  # at the clip's ends
    track[30:33], track[33:37], track[37:40] = 3, np.nan, 3  # nobody knows whether they opened: two
    assert blinks_by_au45(track, 25).above == 4


def test_a_frame_rate_of_zero_is_named():
    with pytest.raises(ValueError, match="fps is 0"):
        blinks_by_au45(np.zeros(5), 0)
