"""Camera and pose against scipy's rotations and the pinhole by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from thjax.face3d.camera import Camera, mirror_pose, project, rotation_angles, rotation_matrix, transform

ANGLES = np.random.default_rng(0).uniform(-1.2, 1.2, (40, 3))


def test_rotation_is_rx_ry_rz():
    np.testing.assert_allclose(rotation_matrix(ANGLES), Rotation.from_euler("XYZ", ANGLES).as_matrix(), atol=1e-12)


def test_angles_invert_the_matrix():
    np.testing.assert_allclose(rotation_angles(rotation_matrix(ANGLES)), ANGLES, atol=1e-12)


def test_signs_of_the_convention():
    nose = np.array([[0.0, 0.0, -100.0]])
    camera = Camera(focal=500.0, width=100, height=100)

    def pixel(*rotation):
        return project(transform(nose, np.array([0, 0, 800.0, *rotation])), camera)[0]

    assert pixel(0.3, 0, 0)[1] > 50, "positive pitch nods down"
    assert pixel(0, 0.3, 0)[0] < 50, "positive yaw turns to the image's left"
    crown = project(transform(np.array([[0.0, -100.0, 0.0]]), np.array([0, 0, 800.0, 0, 0, 0.3])), camera)[0]
    assert crown[0] > 50, "positive roll tilts clockwise"


def test_projection_by_hand():
    camera = Camera(focal=200.0, width=64, height=48)
    np.testing.assert_allclose(project(np.array([[10.0, -20.0, 400.0]]), camera), [[32 + 5.0, 24 - 10.0]])


def test_jax_gives_the_same_and_differentiates():
    points, pose = np.random.default_rng(1).normal(0, 50, (7, 3)), np.array([1.0, 2.0, 700.0, 0.1, -0.2, 0.3])
    camera = Camera(focal=300.0, width=96, height=96)

    def pixels(pose):
        return project(transform(jnp.asarray(points), pose), camera)

    got = jax.jit(pixels)(jnp.asarray(pose))
    np.testing.assert_allclose(got, project(transform(points, pose), camera), rtol=1e-4)
    assert np.isfinite(jax.jacobian(pixels)(jnp.asarray(pose))).all()


def test_mirrored_pose_mirrors_the_picture():
    camera = Camera(focal=300.0, width=96, height=96)
    points, pose = np.random.default_rng(2).normal(0, 50, (9, 3)), np.array([5.0, 2.0, 700.0, 0.1, -0.2, 0.3])
    mirrored = project(transform(points * [-1, 1, 1], mirror_pose(pose)), camera)
    expected = project(transform(points, pose), camera) * [-1, 1] + [96, 0]
    np.testing.assert_allclose(mirrored, expected, atol=1e-9)


def test_camera_refuses_nonsense():
    with pytest.raises(ValueError, match="Camera.focal is -1"):
        Camera(focal=-1, width=10, height=10)
