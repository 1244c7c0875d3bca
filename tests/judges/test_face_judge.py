"""The judge of faces: geometry that must be exact, and an untrained network that answers in the right terms."""

import numpy as np
import pytest

from data_pipelines.crops import (
    STABLE_LANDMARKS,
    canonical_template,
    inverse_affine,
    similarity,
    transform_points,
    warp,
)
from data_pipelines.synthetic.frame_renderer import camera
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import neutral_scene
from thjax.core.errors import UserError
from thjax.face3d.camera import project
from thjax.judges import face, face_alignment
from thjax.metrics import mouth

SMALL = face.Config(finder=(4,), face=(4,), mouth=(4,), hidden=8)


@pytest.fixture(scope="module")
def clip():
    pose = np.zeros((3, 6))
    pose[1, 3:], pose[2, :3] = (0.1, -0.2, 0.15), (5, -4, 60)
    return render_clip(sample_identity(np.random.default_rng(0)), neutral_scene(), np.zeros((3, 20)), pose, size=96)


def test_the_views_show_the_face_where_the_template_has_it(clip):
    face_view, mouth_view, to_face = face_alignment.reader_views(clip.frames, clip.landmarks[:, face_alignment.STABLE])
    assert face_view.shape == (3, 64, 64, 3) and mouth_view.shape == (3, 48, 48, 3)
    eyes = transform_points(clip.landmarks, to_face)[:, [36, 45]].mean(1)
    np.testing.assert_allclose(eyes, np.broadcast_to([32, 16], (3, 2)), atol=1.5)  # (24, 20) less the box's corner
    lips = transform_points(clip.landmarks, to_face)[:, 48:]
    assert (lips > 8).all() and (lips < 60).all()


def test_frames_of_any_shape_fit_the_finder_whole():
    affine = face_alignment.finder_affine(128, 96)[None]
    corners = transform_points(np.array([[[0, 0], [96, 128], [48, 64]]], float), affine)[0]
    np.testing.assert_allclose(corners, [[6, 0], [42, 48], [24, 24]], atol=1e-5)


def test_a_head_in_a_picture_goes_into_space_and_back(clip):
    origin, scale = face_alignment.place_in_picture(clip.pose[:, :3], 96, 96)
    np.testing.assert_allclose(origin, project(clip.pose[:, None, :3].astype(float), camera(96))[:, 0], atol=1e-4)
    np.testing.assert_allclose(face_alignment.place_in_space(origin, scale, 96, 96), clip.pose[:, :3], atol=1e-3)


def test_a_turned_picture_turns_the_head_about_the_axis():
    rotation = np.array([[0.1, -0.3, 0.2], [0, 0, 0.1]])
    np.testing.assert_allclose(face_alignment.turned(rotation, np.zeros(2)), rotation, atol=1e-12)
    np.testing.assert_allclose(face_alignment.turned(rotation, np.array([0.4, 0.4]))[1], [0, 0, 0.5], atol=1e-12)
    there = face_alignment.turned(rotation, np.array([0.4, -0.2]))
    np.testing.assert_allclose(face_alignment.turned(there, np.array([-0.4, 0.2])), rotation, atol=1e-12)


def test_the_lip_gap_is_the_one_that_metrics_use(clip):
    np.testing.assert_allclose(face.lip_gap(clip.landmarks), mouth.lip_gap(clip.landmarks), atol=1e-5)


@pytest.fixture(scope="module")
def judge(clip):
    stable = transform_points(clip.landmarks[:1, face_alignment.STABLE], face_alignment.finder_affine(96, 96)[None])[0]
    to_face = face_alignment.box_affine(clip.landmarks[:1, face_alignment.STABLE], face_alignment.FACE_BOX, 64)
    typical = {"stable": stable, "landmarks": transform_points(clip.landmarks[:1], to_face)[0],
               "expression": np.full(20, 0.25), "rotation": np.array([0, 0, 0.0]), "face": 4.0}
    return face.Judge(face.initial(SMALL, 0, typical), SMALL)


def test_an_untrained_judge_answers_with_the_typical_face_in_the_frames_own_pixels(clip, judge):
    track = judge.measure(clip.frames)
    eye = np.linalg.norm(clip.landmarks[0, 36] - clip.landmarks[0, 45])
    assert np.abs(track.landmarks[0] - clip.landmarks[0]).max() < 0.2 * eye
    assert track.au.shape == (3, 17) and track.expression.shape == (3, 20) and track.pose.shape == (3, 6)
    assert track.found.all() and track.found.dtype == bool and track.lip_gap.shape == track.blink.shape == (3,)
    np.testing.assert_allclose(track.au, 5 * track.expression[:, :17])


def test_a_part_that_is_not_full_changes_nothing(clip, judge):
    many = np.concatenate([clip.frames] * 9)  # 27 frames: one part and two frames of the next
    track, alone = judge.measure(many), judge.measure(clip.frames[1:2])
    np.testing.assert_allclose(track.landmarks[25], alone.landmarks[0], atol=1e-3)
    assert len(track.found) == 27


def test_canonical_crops_are_read_too(clip, judge):
    affine = similarity(clip.landmarks[:, STABLE_LANDMARKS], canonical_template(64, 48))
    track = judge.measure(warp(clip.frames, affine, (64, 48)))
    assert track.landmarks.shape == (3, 68, 2)
    assert np.isfinite(transform_points(track.landmarks, inverse_affine(affine))).all()


@pytest.mark.parametrize("frames, message", [
    (np.zeros((2, 64, 64, 3), np.float32), "float32"),
    (np.zeros((64, 64, 3), np.uint8), r"\[64, 64, 3\]"),
    (np.zeros((2, 64, 40, 3), np.uint8), "64 x 40.*48"),
])
def test_wrong_frames_are_named(judge, frames, message):
    with pytest.raises(UserError, match=message):
        judge.measure(frames)
