"""Planted poses come back exactly; with noise, nothing fits the points better."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from data_pipelines.labels.head_pose import STEADY, head_pose, mean_landmarks, solve
from thjax.face3d.camera import Camera, project, transform

CAMERA = Camera(500.0, 640, 480)
CENTRE = (320.0, 240.0)


def poses(count, seed=0):
    rng = np.random.default_rng(seed)
    place = rng.uniform((-100, -100, 300), (100, 100, 1500), (count, 3))
    return np.concatenate([place, rng.uniform(-0.7, 0.7, (count, 3))], 1)


def seen(pose):
    return project(transform(np.broadcast_to(mean_landmarks(), (len(pose), 68, 3)), pose), CAMERA)


def test_planted_poses_come_back():
    pose = poses(200)
    np.testing.assert_allclose(head_pose(seen(pose), CAMERA.focal, CENTRE), pose, rtol=0, atol=1e-8)


def test_only_steady_points_count():
    pose, rng = poses(20), np.random.default_rng(1)
    points = seen(pose)
    rest = np.setdiff1d(np.arange(68), STEADY)
    points[:, rest] += rng.normal(0, 30, (20, len(rest), 2))
    np.testing.assert_allclose(head_pose(points, CAMERA.focal, CENTRE), pose, rtol=0, atol=1e-8)


def test_no_other_pose_fits_noisy_points_better():
    pose, rng, model = poses(15, seed=2), np.random.default_rng(3), mean_landmarks()[list(STEADY)]
    points = seen(pose) + rng.normal(0, 2, (15, 68, 2))
    found = head_pose(points, CAMERA.focal, CENTRE)
    for row, true, ours in zip(points[:, STEADY], pose, found, strict=True):
        def miss(guess, row=row):
            return (project(transform(model, guess), CAMERA) - row).ravel()

        referee = least_squares(miss, true, x_scale=(1, 1, 1, 1e-3, 1e-3, 1e-3), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        assert (miss(ours) ** 2).sum() <= (referee.fun**2).sum() * (1 + 1e-6)


def test_the_mean_head_looks_into_the_camera():
    points = mean_landmarks()
    assert points[36, 0] < points[45, 0] and points[27, 1] < points[8, 1]  # x right, y down
    assert points[30, 2] == points[:, 2].min()  # the tip of the nose is nearest


@pytest.mark.parametrize("rays", [np.zeros((2, 15, 2)), np.full((2, 15, 2), np.nan), np.full((2, 15, 2), 1e300)])
def test_points_that_are_no_face_do_not_stop_the_others(rays):
    pose = poses(2, seed=4)
    good = (seen(pose)[:, STEADY] - CENTRE) / CAMERA.focal
    found = solve(np.concatenate([good, rays]), mean_landmarks()[list(STEADY)])
    np.testing.assert_allclose(found[:2], pose, rtol=0, atol=1e-8)
