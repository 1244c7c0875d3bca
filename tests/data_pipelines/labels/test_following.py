"""A clip's face is that of the person who is there longest; others do not mix in."""

import numpy as np
import pytest

from data_pipelines.labels.following import follow, overlap


def face(x, y=0.0, size=20.0):
    grid = np.stack(np.meshgrid(np.linspace(0, size, 17), np.linspace(0, size, 4)), -1).reshape(68, 2)
    return (grid + (x, y)).astype(np.float32)


@pytest.mark.parametrize("other,expected", [((10, 0, 30, 20), 1 / 3), ((0, 0, 20, 20), 1.0), ((0, 10, 20, 30), 1 / 3),
                                            ((20, 0, 40, 20), 0.0), ((50, 50, 60, 60), 0.0), ((5, 5, 15, 15), 0.25)])
def test_overlap_is_intersection_over_union(other, expected):
    assert overlap(np.array((0, 0, 20, 20.0)), np.array(other, float)) == pytest.approx(expected)
    assert overlap(np.array(other, float), np.array((0, 0, 20, 20.0))) == pytest.approx(expected)


def test_one_person_is_followed_past_a_larger_one_who_stays_shorter():
    steady = [face(2.0 * number) for number in range(10)]
    pictures = [[points] for points in steady]
    pictures[3].insert(0, face(100, size=80))
    pictures[4].insert(0, face(104, size=80))
    landmarks, found = follow(pictures)
    assert found.all()
    np.testing.assert_array_equal(landmarks, steady)


def test_a_face_that_jumps_is_another_person():
    pictures = [[face(0)]] * 6 + [[face(90)]] * 3 + [[]] + [[face(1)]]
    landmarks, found = follow(pictures)
    np.testing.assert_array_equal(found, [True] * 6 + [False] * 4 + [True])
    assert not landmarks[6:10].any() and (landmarks[10] == face(1)).all()


def test_of_two_who_stay_equally_long_the_larger_is_taken():
    landmarks, found = follow([[face(0), face(100, size=40)]] * 4)
    assert found.all() and (landmarks == face(100, size=40)).all()


def test_two_faces_of_a_picture_are_never_one_person():
    landmarks, found = follow([[face(0)], [face(1), face(3)], [face(2)]])
    assert found.all()
    assert [points[0, 0] for points in landmarks] == [0, 1, 2]


def test_nobody_is_nobody():
    landmarks, found = follow([[], []])
    assert landmarks.shape == (2, 68, 2) and not found.any()
