"""Where keypoints and places of a face stand in the picture, against the camera of the embedded head."""

import numpy as np
import pytest

from thjax.face3d.camera import Camera, project, transform
from thjax.systems.dirfa_generator import geometry


def test_points_of_a_head_are_seen_where_the_camera_projects_them():
    rng, side = np.random.default_rng(0), 64
    head = rng.uniform(-60, 60, (5, 3))
    source = np.concatenate([np.zeros(17), [5, 8, 820, 0.05, -0.1, 0.03]]).astype("f4")
    driving = source + np.concatenate([np.zeros(17), [4, -3, 25, 0.06, 0.08, -0.04]]).astype("f4")
    canonical = head * 2 * geometry.FOCAL / source[19]
    camera = Camera(geometry.FOCAL * side, side, side)
    for z in (source, driving):
        pixels = project(transform(head, z[17:].astype("f8")), camera)
        ours = geometry.in_picture(canonical[None].astype("f4"), z[None], source[None, 19])
        np.testing.assert_allclose((ours[0, :, :2] + 1) * side / 2, pixels, atol=1e-4)


def test_a_line_of_sight_meets_the_face_where_the_camera_shows_that_place():
    side, rng = 24, np.random.default_rng(1)
    pose = np.array([5, 8, 820, 0, 0, 0]) + rng.uniform(-1, 1, (6, 6)) * [20, 20, 60, 0.4, 0.5, 0.3]
    z = np.concatenate([rng.uniform(0, 5, (6, 17)), pose], 1).astype("f4")
    met = np.asarray(geometry.on_face(z, side, side), np.float64)
    assert not met[..., 2].any() and (np.abs(met[..., :2]).max(-1) < 1).mean((1, 2)).min() > 0.2
    points = geometry.FACE_MIDDLE + geometry.FACE_HALF * met.reshape(6, -1, 3)
    pixels = project(transform(points, pose), Camera(geometry.FOCAL * side, side, side))
    down, right = np.indices((side, side)) + 0.5
    np.testing.assert_allclose(pixels, np.broadcast_to(np.stack([right, down], -1).reshape(-1, 2), pixels.shape),
                               atol=1e-3)


def test_the_back_of_a_head_has_no_face():
    z = np.zeros((3, 23), "f4")
    z[:, 19], z[:, 21] = 800, (0, 2.0, 3.1)
    met = np.abs(np.asarray(geometry.on_face(z, 16, 16))).max(-1)
    assert met[0].min() < 0.2 and (met[1:] == 2).all()


@pytest.mark.parametrize("channel, axis, sign", [("Rx", 1, 1), ("Ry", 0, -1), ("Tx", 0, 1), ("Ty", 1, 1)])
def test_the_nose_goes_where_the_head_turns(channel, axis, sign):
    """Nodding takes it down, positive yaw to the image's left; translation along its axis."""
    rest = np.zeros((1, 23), "f4")
    rest[:, 19] = 800
    turned = rest.copy()
    turned[:, geometry.CHANNELS.index(channel)] = 0.1 if channel.startswith("R") else 10
    nose = np.array([[[0, 0, -0.4]]], "f4")
    before, after = (np.asarray(geometry.in_picture(nose, z, rest[:, 19]))[0, 0] for z in (rest, turned))
    assert sign * (after - before)[axis] > 0.02
    assert abs((after - before)[1 - axis]) < 1e-6


def test_a_motion_counts_from_its_own_rest():
    source, driving = np.arange(23.0), np.full(23, 100.0)
    z = geometry.moved(source, driving, np.array([100.0, 99.0, 90.0]))
    np.testing.assert_array_equal(z[geometry.TRANSLATION], source[geometry.TRANSLATION] + [0, 1, 10])
    np.testing.assert_array_equal(np.delete(z, [17, 18, 19]), 100)
