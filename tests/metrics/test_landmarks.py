"""LMD and its relatives against torch, planted shifts, and the rules for detectors and missing faces."""

import numpy as np
import pytest

from thjax.metrics.landmarks import Detections, f_lmd, lmd, lmd_abs


def detections(points, detector="dlib-68", height=128, width=128):
    return Detections(np.asarray(points, np.float32), detector, height, width)


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(0, 128, (5, 68, 2))


def test_a_shift_of_the_whole_face_costs_only_the_uncentred_distance(points):
    truth, moved = detections(points), detections(points + (3, 4))
    assert lmd(truth, moved).value == pytest.approx(0, abs=1e-4)
    assert f_lmd(truth, moved).value == pytest.approx(0, abs=1e-4)
    assert lmd_abs(truth, moved).value == pytest.approx(10, abs=1e-4)  # 5 pixels at 128 are 10 at 256
    assert lmd_abs(truth, moved, "sum").value == pytest.approx(200, abs=1e-3)


def test_the_frame_size_scales_each_axis_by_itself(points):
    moved = detections(points + (3, 4), height=64, width=128)
    assert lmd_abs(detections(points, height=64), moved).value == pytest.approx(np.hypot(6, 16), abs=1e-4)


def test_distances_equal_torchs(points):
    torch = pytest.importorskip("torch")
    other = points + np.random.default_rng(1).normal(0, 2, points.shape)
    a, b = (torch.tensor(x).to(torch.float32).double() * 2 for x in (points, other))
    for measure, part in ((lmd, slice(48, 68)), (f_lmd, slice(0, 68))):
        x, y = (z[:, part] - z[:, part].mean(1, keepdim=True) for z in (a, b))
        distances = torch.linalg.vector_norm(x - y, dim=-1)
        assert measure(detections(points), detections(other)).value == pytest.approx(float(distances.mean()), abs=1e-9)
        summed = measure(detections(points), detections(other), "sum").value
        assert summed == pytest.approx(float(distances.sum(1).mean()), abs=1e-9)


def test_one_displaced_point_is_shared_out_over_twenty(points):
    other = points.copy()
    other[:, 60, 0] += 10
    # 20 px at 256: the centroid moves by 1, so one point is 19 off and nineteen are 1 off.
    assert lmd(detections(points), detections(other)).value == pytest.approx((19 + 19) / 20, abs=1e-4)


def test_frames_without_a_face_are_skipped_and_counted(points):
    seen, other = points.copy(), points + (3, 4)
    seen[1], other[3] = np.nan, np.nan
    distance = lmd_abs(detections(seen), detections(other))
    assert (distance.frames, distance.skipped) == (3, 2)
    assert distance.value == pytest.approx(10, abs=1e-4)
    nothing = lmd(detections(np.full((2, 68, 2), np.nan)), detections(points[:2]))
    assert np.isnan(nothing.value) and nothing.skipped == 2


def test_what_cannot_be_compared_is_named(points):
    with pytest.raises(ValueError, match="'dlib-68' and 'mediapipe'.*both clips"):
        lmd(detections(points), detections(points, detector="mediapipe"))
    with pytest.raises(ValueError, match="5 rows and other 4"):
        lmd(detections(points), detections(points[:4]))
    with pytest.raises(ValueError, match="'median'"):
        lmd(detections(points), detections(points), "median")
    with pytest.raises(ValueError, match=r"\[T, 68, 2\].*\(5, 20, 2\)"):
        detections(points[:, 48:])
