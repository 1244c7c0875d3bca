"""Labels of a photograph: from a file, from a tracker, or an error that names the ways."""

import argparse

import numpy as np
import pytest

from data_pipelines import crops
from data_pipelines.labels import trackers
from data_pipelines.labels.head_pose import mean_landmarks
from data_pipelines.prepare.crop_pose import FOCAL
from data_pipelines.schema import AU_INTENSITY, POSE, DataError
from data_pipelines.synthetic.expression import EXPRESSION_NAMES
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import sample_scene
from thjax.core.data_spec import CropSpec
from thjax.core.errors import UserError
from thjax.face3d.camera import rotation_matrix
from thjax.generate import photograph

CROP = CropSpec("none", 64, 64)
POSES = ([5.0, -8.0, 790.0, 0.1, -0.25, 0.05], [-12.0, 3.0, 900.0, -0.15, 0.3, -0.1])


def labels(tmp_path, **changes):
    content = {"au": np.linspace(0, 5, 17), "pose": np.array([1.0, 2, 800, 0.1, 0.2, 0.3])} | changes
    np.savez(tmp_path / "face.npz", **{name: value for name, value in content.items() if value is not None})
    return tmp_path / "face.npz"


def test_labels_come_back_in_the_order_of_the_channels(tmp_path):
    read = photograph.read_labels(labels(tmp_path, au=np.linspace(0, 5, 17)[None]))
    np.testing.assert_allclose(read, [*np.linspace(0, 5, 17), 1, 2, 800, 0.1, 0.2, 0.3], rtol=1e-6)
    assert len(read) == len(AU_INTENSITY + POSE)


@pytest.mark.parametrize("changes, message", [
    (dict(pose=None), "give an .npz with au"),
    (dict(au=np.zeros(16)), r"au of shape \(16,\); give 17 finite numbers: AU01"),
    (dict(pose=np.full(6, np.nan)), "pose of shape .*give 6 finite numbers: Tx"),
    (dict(au=np.full(17, 6.0)), "au from 6 to 6; intensities are 0 to 5"),
])
def test_labels_that_cannot_be_used_say_so(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        photograph.read_labels(labels(tmp_path, **changes))


def test_labels_that_were_cut_short_say_so(tmp_path):
    path = labels(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="give an .npz with au"):
        photograph.read_labels(path)


def asked(**given):
    nothing = {"labels": None, "tracker": None, "rendered_labels": False, "image": "face.png"}
    return argparse.Namespace(**(nothing | given))


def test_without_labels_the_error_names_the_ways():
    picture = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(UserError, match="--labels FILE.npz.*OpenFace 2.*--tracker mediapipe.*--rendered_labels"):
        photograph.labels_of(picture, picture, CROP, asked())


def test_the_judge_of_rendered_faces_reads_a_rendered_face_and_warns(caplog):
    pose = np.array([[0.0, 0.0, 800.0, 0.1, -0.2, 0.05]])
    rng = np.random.default_rng
    made = render_clip(sample_identity(rng(3)), sample_scene(rng(4)), np.zeros((1, len(EXPRESSION_NAMES))), pose - [
        0, 0, 800, 0, 0, 0], size=128, seed=0)
    found = photograph.labels_of(made.frames[0], made.frames[0], CROP, asked(rendered_labels=True))
    assert found.shape == (23,) and found[:17].min() >= 0 and found[:17].max() <= 5
    assert np.degrees(np.abs(found[20:] - made.pose[0, 3:])).max() < 3
    assert "has seen rendered faces alone" in caplog.text
    with pytest.raises(UserError, match="--rendered_labels: no face was found in face.png"):
        photograph.labels_of(made.frames[0] * 0, made.frames[0] * 0, CROP, asked(rendered_labels=True))


class SeesHeads:
    """A tracker that finds the mean head in the poses that a crop of the picture would show."""

    version = "0"

    def __init__(self, poses, shape):
        affine = crops.affine_for(CropSpec("centre", CROP.height, CROP.width), None, shape)[0].astype(np.float64)
        self._faces = []
        for pose in poses:
            points = mean_landmarks() @ rotation_matrix(np.array(pose[3:])).T + pose[:3]
            in_crop = points[:, :2] / points[:, 2:] * FOCAL * CROP.height + (CROP.width / 2, CROP.height / 2)
            self._faces.append(((in_crop - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T).astype(np.float32))

    def faces(self, image):
        return self._faces


@pytest.mark.parametrize("shape", [(64, 64), (480, 640), (900, 500)])
def test_a_tracker_gives_the_pose_in_the_generators_crop_and_a_face_at_rest(shape, monkeypatch, caplog):
    monkeypatch.setattr(trackers, "TRACKERS", {"mediapipe": SeesHeads(POSES, shape)})
    found = photograph.labels_of(np.zeros((*shape, 3), np.uint8), None, CROP, asked(tracker="mediapipe"))
    assert found.shape == (len(AU_INTENSITY + POSE),) and found.dtype == np.float32
    np.testing.assert_array_equal(found[:17], 0)
    np.testing.assert_allclose(found[17:20], POSES[0][:3], atol=0.1)  # the nearer head is the larger face
    np.testing.assert_allclose(found[20:], POSES[0][3:], atol=1e-3)
    assert "taken to be at rest" in caplog.text


def test_a_tracker_that_sees_nothing_or_is_not_there_says_so(monkeypatch):
    picture = np.zeros((64, 64, 3), np.uint8)
    monkeypatch.setattr(trackers, "TRACKERS", {"mediapipe": SeesHeads([], (64, 64))})
    with pytest.raises(UserError, match="--tracker mediapipe finds no face in face.png; try the other"):
        photograph.labels_of(picture, picture, CROP, asked(tracker="mediapipe"))
    monkeypatch.setattr(trackers, "TRACKERS", trackers._Trackers({"mediapipe": ("no.such.module", "Mesh")}))
    with pytest.raises(DataError, match="cannot be loaded here.*environment of their own"):
        photograph.labels_of(picture, picture, CROP, asked(tracker="mediapipe"))
