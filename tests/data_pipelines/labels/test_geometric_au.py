"""What a face does by hand is read as the unit that the hand meant, from any side and on any head."""

import numpy as np
import pytest

from data_pipelines import schema
from data_pipelines.labels import geometric_au
from data_pipelines.labels.head_pose import head_pose, mean_landmarks
from data_pipelines.synthetic.expression import EXPRESSION_NAMES
from data_pipelines.synthetic.head import Head
from data_pipelines.synthetic.identity import sample_identity
from thjax.face3d.camera import Camera, project, transform

CAMERA = Camera(700.0, 400, 400)
CENTRE = (200.0, 200.0)
REST, DOING = 20, 10
CHIN, LOWER, UPPER = (6, 7, 8, 9, 10), (55, 56, 57, 58, 59, 65, 66, 67), (49, 50, 51, 52, 53, 61, 62, 63)
UPPER_LIDS, LOWER_LIDS = (37, 38, 43, 44), (41, 40, 47, 46)


def units(heads, pose=(5, -3, 700, 0.1, -0.15, 0.05)):
    """What is read from heads `[T, 68, 3]` mm in one pose."""
    points = project(transform(heads, np.broadcast_to(np.asarray(pose, float), (len(heads), 6))), CAMERA)
    posed = head_pose(points, CAMERA.focal, CENTRE)
    return dict(zip(schema.AU_INTENSITY, geometric_au.action_units(points, posed, CAMERA.focal, CENTRE).T, strict=True))


def by_hand(move, millimetres):
    """A mean head at rest, then with `move(points, mm)` from 0 to `millimetres`."""
    heads = np.repeat(mean_landmarks()[None], REST + DOING, 0)
    for head, amount in zip(heads[REST:], np.linspace(0, millimetres, DOING), strict=True):
        move(head, amount)
    return heads


def jaw(head, amount):
    head[[*CHIN, *LOWER], 1] += amount


def part(head, amount):
    head[list(LOWER), 1] += amount / 2
    head[list(UPPER), 1] -= amount / 2


def stretch(head, amount):
    head[[48, 60], 0] -= amount
    head[[54, 64], 0] += amount


def smile(head, amount):
    stretch(head, amount)
    head[[48, 60, 54, 64], 1] -= amount


def frown(head, amount):
    head[[48, 60, 54, 64], 1] += amount


def blink(head, amount):
    head[list(UPPER_LIDS), 1] += amount


def inner_brows(head, amount):
    head[[20, 21, 22, 23], 1] -= amount


def outer_brows(head, amount):
    head[[17, 18, 25, 26], 1] -= amount


def lower_brows(head, amount):
    head[17:27, 1] += amount


@pytest.mark.parametrize("move,millimetres,unit", [
    (jaw, 18, "AU26"), (part, 8, "AU25"), (stretch, 8, "AU20"), (smile, 8, "AU12"), (blink, 8, "AU45"),
    (inner_brows, 8, "AU01"), (outer_brows, 8, "AU02"), (lower_brows, 6, "AU04")])
def test_a_movement_by_hand_is_its_unit_above_all(move, millimetres, unit):
    found = units(by_hand(move, millimetres))
    assert found[unit][-1] > 1 and (np.diff(found[unit][REST:]) > -1e-3).all()
    assert found[unit][:REST].max() < 0.1
    assert found[unit][-1] == max(values[-1] for values in found.values())


@pytest.mark.parametrize("move,millimetres,unit", [
    (frown, 6, "AU12"), (blink, 8, "AU26"), (jaw, 18, "AU45"), (lower_brows, 6, "AU01"), (lower_brows, 6, "AU02"),
    (inner_brows, 8, "AU04")])
def test_the_opposite_and_the_elsewhere_of_a_movement_is_nothing(move, millimetres, unit):
    assert units(by_hand(move, millimetres))[unit].max() < 0.1


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("unit", [name for name in schema.AU_INTENSITY if name not in geometric_au.UNSEEN])
def test_units_of_other_people_rise_with_what_they_do(unit, seed):
    mesh = Head.load().mesh("bob")
    model, marks = mesh.model, mesh.landmarks
    shape = sample_identity(np.random.default_rng(seed)).shape
    neutral = model.mean[marks] + np.tensordot(shape, model.identity[:, marks], 1)
    amount = np.concatenate([np.zeros(REST), np.linspace(0.1, 1, DOING)])
    heads = neutral + amount[:, None, None] * model.expression[EXPRESSION_NAMES.index(unit), marks]
    found = units(heads.astype(float))
    assert np.corrcoef(found[unit], amount)[0, 1] > 0.95 and found[unit][-1] > 0.5


def test_what_landmarks_do_not_show_is_nothing():
    found = units(by_hand(smile, 8))
    assert all((found[name] == 0).all() for name in geometric_au.UNSEEN)
    assert all((values >= 0).all() and (values <= 5).all() for values in found.values())


def test_a_head_that_only_turns_does_nothing():
    turning = np.repeat(mean_landmarks()[None], 30, 0)
    pose = np.zeros((30, 6)) + (0, 0, 700, 0, 0, 0)
    pose[:, 4] = np.linspace(-0.4, 0.4, 30)
    points = project(transform(turning, pose), CAMERA)
    found = geometric_au.action_units(points, head_pose(points, CAMERA.focal, CENTRE), CAMERA.focal, CENTRE)
    assert found.max() < 1e-6


def test_the_frontal_face_of_a_mean_head_is_the_mean_head():
    pose = np.array([[10, -20, 650, 0.2, -0.3, 0.1]])
    points = project(transform(mean_landmarks()[None], pose), CAMERA)
    frontal = geometric_au.frontal(points, pose, CAMERA.focal, CENTRE)[0]
    expected = mean_landmarks()[:, :2] - mean_landmarks()[[36, 45], :2].mean(0)
    np.testing.assert_allclose(frontal, expected, atol=1e-9)
