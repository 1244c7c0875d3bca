"""Batches, loss and examination of the judge of faces, on a few rendered frames."""

import dataclasses

import jax
import numpy as np
import optax
import pytest

from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import neutral_scene
from thjax.judge_training import face as training
from thjax.judge_training import face_batches, face_exam
from thjax.judge_training.face_material import EXPRESSION, Faces, Spoken, speaker_frames
from thjax.judge_training.fit import fit
from thjax.judges import face as judge

SMALL = judge.Config(finder=(4,), face=(4,), mouth=(4,), hidden=8)


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(1)
    pose = rng.uniform(-1, 1, (6, 6)) * (5, 5, 40, 0.15, 0.3, 0.15)
    made = render_clip(sample_identity(rng), neutral_scene(), rng.uniform(0, 0.5, (6, 20)), pose, size=96)
    return Faces(made.frames, made.landmarks, made.coefficients[:, EXPRESSION], made.pose, made.blink,
                 np.arange(6) // 2)


def test_a_mirrored_view_is_the_picture_of_a_mirrored_head(faces):
    """The label of a mirrored frame fits its pixels: mirrored twice it is the frame again."""
    rows = np.arange(6)
    affine = np.broadcast_to(np.eye(2, 3), (6, 2, 3))
    there = face_batches.views(faces, rows, affine, (96, 96), mirrored=True)
    np.testing.assert_array_equal(there.frames, faces.frames[:, :, ::-1])
    again = face_batches.views(dataclasses.replace(
        faces, frames=there.frames, landmarks=there.landmarks,
        pose=faces.pose * face_batches.MIRROR_POSE), rows, affine, (96, 96), mirrored=True)
    np.testing.assert_allclose(again.landmarks, faces.landmarks, atol=1e-4)
    np.testing.assert_allclose(again.rotation, faces.pose[:, 3:], atol=1e-5)


def test_labels_of_what_is_seen_lead_back_to_the_truth(faces):
    """What a perfect network would answer becomes the true pose and the true landmarks of the frame."""
    rows, rng = np.arange(6), np.random.default_rng(0)
    affine = np.broadcast_to(np.eye(2, 3), (6, 2, 3))
    views = face_batches.views(faces, rows, affine, (96, 96), mirrored=False)
    stable = views.landmarks[:, judge.STABLE] + rng.normal(0, 1, (6, 5, 2))
    _, _, to_face = judge.reader_views(views.frames, stable)
    turn = face_batches.alignment.angle_of(to_face)
    answers = {
        "landmarks": face_batches.transform_points(views.landmarks, to_face), "expression": views.expression,
        "rotation": face_batches.alignment.turned(views.rotation, turn),
        "origin": face_batches.alignment.points_through(views.origin, to_face),
        "log_scale": np.log(views.scale * face_batches.alignment.scale_of(to_face)),
        "blink": np.zeros(6), "face": np.full(6, 3.0),
    }
    landmarks = face_batches.transform_points(answers["landmarks"], judge.inverse_affine(to_face))
    track = judge._track(answers, landmarks, to_face, 96, 96)
    np.testing.assert_allclose(track.landmarks, faces.landmarks, atol=1e-3)
    np.testing.assert_allclose(track.pose, faces.pose, atol=2e-2)
    np.testing.assert_allclose(track.expression, faces.expression)


def test_a_batch_is_a_function_of_its_seed_and_knows_which_rows_show_no_face(faces):
    first, second = (next(face_batches.batches((faces, faces), 1, 48, 5)) for _ in range(2))
    for name, part in first.items():
        np.testing.assert_array_equal(part, second[name])
        assert len(part) == 48 and np.isfinite(part).all()
    assert (first["is_face"] == 0).sum() == 6
    other = next(face_batches.batches((faces, faces), 1, 48, 6))
    assert (other["face_picture"] != first["face_picture"]).any()


def test_training_lowers_the_loss_and_rows_without_a_face_teach_nothing_but_that(faces):
    batch = next(training.told(face_batches.batches((faces,), 1, 24, 0), (faces,), training.Recipe()))
    variables = judge.initial(SMALL, 0, training.typical((faces,), 24, 0))
    losses = []
    fit(variables, training.loss_of(judge.Network(SMALL)), optax.adam(3e-3), [batch] * 12, 0,
        lambda step, loss: losses.append(loss), every=1)
    assert losses[-1] < losses[0]
    answers = {"landmarks": batch["landmarks"] + 1, **{name: batch[name] for name in ("expression", "rotation",
               "origin", "log_scale", "blink")}, "face": batch["is_face"]}
    spoilt = jax.tree.map(np.array, answers)
    for name in set(answers) - {"face"}:
        spoilt[name][batch["is_face"] == 0] += 7
    same = [training.loss_terms(batch["stable"], one, batch) for one in (answers, spoilt)]
    assert {name: float(value) for name, value in same[0].items()} == pytest.approx(
        {name: float(value) for name, value in same[1].items()})


def test_of_people_who_are_not_told_only_the_stable_landmarks_teach_and_all_that_is_no_landmark(faces):
    made = list(face_batches.batches((faces, faces), 1, 48, 0))
    people = made[0]["person"].copy()
    batch = next(training.told(iter(made), (faces, faces), training.Recipe(pointed=0.34)))
    np.testing.assert_array_equal(batch["pointed"], people == 0)  # the first of three
    answers = {name: batch[name] for name in ("landmarks", "expression", "rotation", "origin", "log_scale", "blink")}
    right = answers | {"face": batch["is_face"]}
    stable = np.isin(np.arange(68), judge.STABLE)
    wrong = lambda which: batch["landmarks"] + 5 * (people > 0)[:, None, None] * which[:, None]
    loss = lambda **answer: training.loss_terms(batch["stable"], right | answer, batch)
    assert float(loss(landmarks=wrong(~stable))["landmarks"]) == pytest.approx(0, abs=1e-6)
    # Each of five points counts alike: sqrt(1 + 5^2) - 1, and twice that of the four corners of the eyes.
    bent = np.sqrt(26) - 1
    assert float(loss(landmarks=wrong(stable))["landmarks"]) == pytest.approx((bent + 4 * 2 * bent) / 5, rel=1e-5)
    assert float(loss(expression=batch["expression"] + (people > 0)[:, None])["expression"]) > 1


def perfect(view):
    """What a judge without errors would read of a view."""
    lips = [face_exam.lip_gap(points) for points in view.landmarks]
    return [judge.Track(points, 5 * units[:, :17], pose, units, blink.astype(float), gap, blink >= 0, blink + 1.0)
            for points, units, pose, blink, gap in zip(view.landmarks, view.expression, view.pose, view.blink, lips,
                                                       strict=True)]


def test_spoken_frames_and_the_figures_of_perfect_and_of_wrong_answers():
    spoken = Spoken(**speaker_frames((9, "train", 0, 2, 64, 3)))
    assert spoken.frames.shape == (2, 25, 64, 64, 3) and len(spoken.faces) == 50
    assert spoken.speech.any() and not spoken.speech.all()
    view = face_exam.View(*(list(getattr(spoken, name)) for name in ("frames", "landmarks", "pose", "expression",
                          "blink")), spoken.speaker, True, spoken)
    figures = face_exam.figures_of(perfect(view), view)
    assert figures["landmarks"]["mean"] == figures["pitch_degrees"]["mean"] == 0
    assert figures["r_au26"]["mean"] == pytest.approx(1)
    mean = face_exam.mean_face(spoken)
    wrong = face_exam.figures_of([mean(frames) for frames in view.frames], view)
    assert wrong["landmarks"]["mean"] > 1 and wrong["r_au26"]["mean"] == 0
    crop = face_exam.cropped(view, 64)
    assert crop.frames[0].shape == (25, 64, 48, 3) and mean(crop.frames[0]).landmarks[0, :, 0].max() < 60


def test_errors_that_two_judges_share_correlate():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(size=(3, 4, 500))
    assert abs(face_exam.pooled_r(list(x), list(y))["mean"]) < 0.1
    assert face_exam.pooled_r(list(x + z), list(y + z))["mean"] == pytest.approx(0.5, abs=0.06)
    assert face_exam.pooled_r(list(x), [np.ones(500)] * 4)["mean"] == 0


def test_the_correlation_of_errors_tells_shared_persons_from_shared_motion():
    rng = np.random.default_rng(0)
    truth = np.tile(rng.normal(0, 20, (68, 2)), (6, 30, 1, 1))
    units = np.zeros((6, 30, 20))
    view = face_exam.View([], list(truth), [], list(units), [], np.arange(6), True, None)
    person = rng.normal(size=(6, 1, 68, 2))
    read = [[judge.Track(points, None, None, rng.normal(size=(30, 20)), None, None, None, None)
             for points in truth + person + 0.3 * rng.normal(size=truth.shape)] for _ in range(2)]
    found = face_exam.error_correlation(*read, view)
    assert found["error_correlation_landmarks"]["mean"] > 0.8
    assert abs(found["error_correlation_landmark_motion"]["mean"]) < 0.1
    assert abs(found["error_correlation_expression"]["mean"]) < 0.1
