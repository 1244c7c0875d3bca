"""The head's geometry: landmarks, action units, lips that close, openings that show nothing but what lies in them."""

import dataclasses

import numpy as np
import pytest
from matplotlib.path import Path
from scipy.ndimage import binary_fill_holes
from scipy.optimize import least_squares

from data_pipelines.synthetic import render
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES, LIP_OPENING_NAMES
from data_pipelines.synthetic.frame_renderer import FrameRenderer, camera, head_pose
from data_pipelines.synthetic.hair import HAIR_STYLES
from data_pipelines.synthetic.head import Head
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.scene import neutral_scene
from data_pipelines.synthetic.shape import SHAPE_LIMIT, SHAPE_NAMES
from tests.face3d.test_rasteriser import oracle
from thjax.face3d.camera import project, transform
from thjax.face3d.rasteriser import ANY, EMPTY, SUBPIXELS

MOUTH_UNITS = [name for name in EXPRESSION_NAMES if name not in LIP_OPENING_NAMES]


def expression(**units):
    row = np.zeros(len(EXPRESSION_NAMES), np.float32)
    for name, value in units.items():
        row[EXPRESSION_INDEX[name]] = value
    return row


def person(seed, extreme=False, hair=None):
    rng = np.random.default_rng(seed)
    identity = sample_identity(rng)
    if extreme:
        corner = (SHAPE_LIMIT * rng.choice([-1, 1], len(SHAPE_NAMES))).astype(np.float32)
        identity = dataclasses.replace(identity, shape=corner)
    return identity if hair is None else dataclasses.replace(identity, hair=hair)


def drawn(renderer, units, pitch=0.0, yaw=0.0, roll=0.0):
    """Ids of the supersampled picture."""
    pose = head_pose(renderer.scene, np.array([[0, 0, 0, pitch, yaw, roll]]))[0]
    renderer.place(units, pose)
    renderer.visible()
    return renderer.ids


def measures(identity, rows):
    renderer = FrameRenderer(identity, neutral_scene(), 48)
    return render._measures(renderer, np.stack(rows))


def test_mesh_is_symmetric():
    for hair in ("bald", "short", "long"):
        mesh = Head.load().mesh(hair)
        points = mesh.model.mean.astype(np.float64)
        mirrored = points * [-1, 1, 1]
        order, other = np.lexsort(np.round(points, 3).T), np.lexsort(np.round(mirrored, 3).T)
        np.testing.assert_allclose(points[order], mirrored[other], atol=2e-3)


def test_landmarks_are_the_projected_vertices_in_ibug_order():
    clip = render.render_clip(person(3), neutral_scene(), np.zeros((1, 20)), np.zeros((1, 6)), size=128)
    x, y = clip.landmarks[0].T
    assert (np.diff(x[:17]) > 0).all(), "jaw from the image's left to its right"
    assert (np.diff(x[17:27]) > 0).all() and (np.diff(y[27:31]) > 0).all() and (np.diff(x[31:36]) > 0).all()
    assert x[36] < x[39] < x[42] < x[45] and x[48] < x[60] < x[62] < x[64] < x[54]
    assert y[8] == y.max() and y[51] < y[62] <= y[66] < y[57] and y[37] < y[41] and y[44] < y[46]
    flip = np.r_[
        16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1
    ]
    np.testing.assert_allclose(clip.landmarks[0][flip], clip.landmarks[0] * [-1, 1] + [128, 0], atol=1e-3)


def test_pose_is_recovered_from_the_landmarks():
    """The camera's perspective-n-point problem, solved by scipy, gives back the pose that the labels name."""
    motion = np.array([[4.0, -3, 20, 0.15, -0.4, 0.1], [-6, 2, -30, -0.2, 0.3, -0.15]])
    identity = person(5)
    clip = render.render_clip(identity, neutral_scene(), np.zeros((2, 20)), motion, size=128)
    model = Head.load().mesh(identity.hair).model
    points = model.neutral(identity.shape)[Head.load().mesh(identity.hair).landmarks].astype(np.float64)
    for frame in range(2):

        def residual(pose):
            return (project(transform(points, pose), camera(128)) - clip.landmarks[frame]).ravel()

        found = least_squares(residual, np.array([0, 0, 700.0, 0, 0, 0]), x_scale=[10, 10, 100, 0.1, 0.1, 0.1]).x
        np.testing.assert_allclose(found[3:], clip.pose[frame, 3:], atol=np.radians(0.02))
        np.testing.assert_allclose(found[:3], clip.pose[frame, :3], atol=0.5)
        np.testing.assert_allclose(clip.pose[frame, 3:], motion[frame, 3:], atol=1e-6)


def test_ids_of_the_head_equal_the_oracle():
    renderer = FrameRenderer(person(2, hair="long"), neutral_scene(), 64)
    drawn(renderer, expression(AU26=0.7, AU25=0.5), pitch=0.1, yaw=0.35)
    mesh, points = renderer.mesh, renderer.snapped / SUBPIXELS
    ids = np.full_like(renderer.ids, EMPTY)
    renderer.depth.fill(0)
    renderer.ids.fill(EMPTY)
    renderer._draw(mesh.one_sided, False, (ANY, 0))
    ids = oracle(points, renderer.inverse_depth, mesh.triangles[slice(*mesh.one_sided)], *ids.shape)
    np.testing.assert_array_equal(renderer.ids, ids)


@pytest.mark.parametrize(
    "unit, landmark_rule",
    [
        ("AU26", lambda m: m[:, 66, 1] - m[:, 62, 1]),
        ("AU25", lambda m: m[:, 66, 1] - m[:, 62, 1]),
        ("funnel", lambda m: m[:, 66, 1] - m[:, 62, 1]),
        ("AU12", lambda m: m[:, 51, 1] - m[:, 54, 1]),
        ("AU20", lambda m: m[:, 54, 0] - m[:, 48, 0]),
        ("pucker", lambda m: m[:, 48, 0] - m[:, 54, 0]),
        ("press", lambda m: m[:, 51, 1] - m[:, 57, 1]),
        ("AU15", lambda m: m[:, 54, 1] - m[:, 51, 1]),
        ("AU01", lambda m: m[:, 27, 1] - m[:, 21, 1]),
        ("AU02", lambda m: m[:, 27, 1] - m[:, 25, 1]),
        ("AU04", lambda m: m[:, 21, 1] - m[:, 27, 1]),
        ("AU45", lambda m: m[:, 37, 1] - m[:, 41, 1]),
        ("AU05", lambda m: m[:, 41, 1] - m[:, 37, 1]),
        ("AU07", lambda m: m[:, 37, 1] - m[:, 41, 1]),
        ("AU17", lambda m: -m[:, 8, 1] - m[:, 57, 1]),
        ("AU10", lambda m: -m[:, 51, 1]),
        ("AU23", lambda m: m[:, 48, 0] - m[:, 54, 0]),
        ("AU14", lambda m: m[:, 54, 0] - m[:, 48, 0]),
        ("AU09", lambda m: -m[:, 51, 1]),
        ("AU06", None),
    ],
)
def test_units_move_what_they_name_and_the_more_the_further(unit, landmark_rule):
    rows = np.stack([expression(**{unit: level}) for level in np.linspace(0, 1, 5)])
    clip = render.render_clip(person(1), neutral_scene(), rows, np.zeros((5, 6)), size=96)
    if landmark_rule is None:  # no landmark on the cheek: the picture under the eye changes
        change = np.abs(clip.frames.astype(int) - clip.frames[0]).mean((1, 2, 3))
        assert (np.diff(change) > 0).all()
    else:
        assert (np.diff(landmark_rule(clip.landmarks)) > 0.05).all()


def test_press_rolls_the_lips_in():
    closed, pressed = (
        render.render_clip(person(1), neutral_scene(), expression(press=p)[None], np.zeros((1, 6)), size=128)
        for p in (0, 1)
    )
    red = [m.landmarks[0, 57, 1] - m.landmarks[0, 51, 1] for m in (closed, pressed)]
    assert red[1] < 0.55 * red[0]
    x0, y0 = closed.landmarks[0, 48].astype(int) - [0, 8]
    x1, y1 = closed.landmarks[0, 54].astype(int) + [0, 8]
    assert np.abs(closed.frames.astype(int) - pressed.frames)[0, y0:y1, x0:x1].mean() > 8


def test_press_closes_a_jaw_that_is_slightly_open():
    gap, _ = measures(person(4), [expression(AU26=0.12), expression(AU26=0.12, press=1)])
    assert gap[0] > 1.5 and gap[1] <= 0


def test_closed_lips_meet_exactly_and_closed_lids_meet():
    rng = np.random.default_rng(0)
    for seed in range(8):
        closed = [
            expression(
                **{name: rng.uniform() for name in MOUTH_UNITS if name not in ("press", "AU05", "AU07", "AU45")}, AU45=1
            )
            for _ in range(4)
        ]
        gap, eyes = measures(person(seed, extreme=True), closed)
        np.testing.assert_allclose(gap, 0, atol=1e-4)
        assert (eyes <= 0).all(), eyes
        assert measures(person(seed, extreme=True), [expression()])[1] > 4


def closed_mouths():
    yield expression()
    for name in ("press", "pucker", "AU12", "AU20", "AU10", "AU14", "AU15", "AU17", "AU23"):
        yield expression(**{name: 1})
    yield expression(pucker=1, press=1)
    yield expression(press=1, AU26=0.1)
    yield expression(AU12=1, AU10=1, AU09=1)


def test_nothing_of_the_mouths_inside_shows_while_the_lips_are_closed():
    """At the limits of the identity range, to the sides and up and down: not one sample."""
    for seed in range(5):
        renderer = FrameRenderer(person(seed, extreme=True), neutral_scene(), 64)
        inside = range(renderer.mesh.mouth[0], renderer.mesh.interior[1])
        for units in closed_mouths():
            for yaw, pitch in ((0, 0), (-30, 0), (30, 0), (0, -20), (0, 20), (25, 15), (-25, -15)):
                ids = drawn(renderer, units, np.radians(pitch), np.radians(yaw))
                assert not ((ids >= inside.start) & (ids < inside.stop)).any(), (seed, units, yaw, pitch)


def test_the_eyeballs_are_covered_by_closed_lids_and_show_between_open_ones():
    for seed in range(6):
        renderer = FrameRenderer(person(seed, extreme=True), neutral_scene(), 64)
        for yaw, pitch in ((0, 0), (-30, 10), (30, -10)):
            seen = [
                ((ids >= renderer.mesh.eye_left[0]) & (ids < renderer.mesh.eye_right[1])).sum()
                for ids in (
                    drawn(renderer, expression(AU45=level), np.radians(pitch), np.radians(yaw)) for level in (1, 0.5, 0)
                )
            ]
            assert seen[0] == 0 and seen[2] > seen[1] > 0


def distance_to(polygon, points):
    """Distance of points from the closed polygon's line."""
    edges, away = np.roll(polygon, -1, 0) - polygon, points[:, None] - polygon
    along = np.clip((away * edges).sum(-1) / np.maximum((edges * edges).sum(-1), 1e-9), 0, 1)
    return np.linalg.norm(away - along[..., None] * edges, axis=-1).min(1)


def test_the_mouths_inside_shows_only_between_the_inner_lips():
    """Every sample lies in the polygon of the projected inner lips (matplotlib decides), to half a pixel."""
    curves = Head.load().template.curves
    contour = np.concatenate([curves["upper_0"], curves["lower_0"][::-1]])
    for seed in range(4):
        renderer = FrameRenderer(person(seed, extreme=True, hair="bald"), neutral_scene(), 96)
        for units in (expression(AU26=1, AU25=1), expression(AU25=0.6, AU20=1), expression(pucker=1, AU25=0.7)):
            for yaw in (-35, 0, 35):
                ids = drawn(renderer, units, yaw=np.radians(yaw))
                rows, columns = np.nonzero((ids >= renderer.mesh.mouth[0]) & (ids < renderer.mesh.interior[1]))
                lips, centres = renderer.snapped[contour] / SUBPIXELS, np.stack([columns, rows], 1) + 0.5
                outside = centres[~Path(lips).contains_points(centres)]
                assert len(rows) > 10 and (distance_to(lips, outside) < 1).all(), (seed, yaw)


def test_no_background_shines_through_the_face():
    """Also at the far corner of an open mouth, beyond 20 degrees of yaw."""
    rows = (
        expression(),
        expression(AU26=1, AU25=1),
        expression(AU20=1, AU25=0.8),
        expression(pucker=1, AU26=0.4),
        expression(AU45=1, press=1),
        expression(AU12=1, AU25=1, AU26=0.5),
    )
    for seed in range(5):
        renderer = FrameRenderer(person(seed, extreme=True, hair="bald"), neutral_scene(), 96)
        mesh = renderer.mesh
        for units in rows:
            for yaw, pitch in ((0, 0), (-25, 0), (25, 0), (-40, 10), (40, -10), (0, 25), (0, -25)):
                ids = drawn(renderer, units, np.radians(pitch), np.radians(yaw))
                head = (mesh.triangles < mesh.face).all(1)
                head[mesh.eye_left[0] :] = True
                covered = (ids >= 0) & head[ids]
                holes = binary_fill_holes(covered) & (ids == EMPTY)
                assert not holes.any(), (seed, yaw, pitch, holes.sum())


def test_every_hair_style_draws_and_unknown_ones_are_named():
    for hair in HAIR_STYLES:
        ids = drawn(FrameRenderer(person(0, hair=hair), neutral_scene(), 48), expression())
        assert 0.35 < (ids >= 0).mean() < 0.95
    with pytest.raises(ValueError, match="unknown hair style 'mohawk'; known: short"):
        Head.load().mesh("mohawk")


def test_head_fills_the_frame_as_promised():
    """Eye line to chin takes 0.40 to 0.55 of the frame for the mean head, and no face leaves the frame."""
    mean = dataclasses.replace(person(0), shape=np.zeros(len(SHAPE_NAMES), np.float32))
    marks = render.render_clip(mean, neutral_scene(), np.zeros((1, 20)), np.zeros((1, 6)), size=128).landmarks[0] / 128
    assert 0.40 < marks[8, 1] - marks[36:48, 1].mean() < 0.55
    for seed in range(20):
        marks = render.render_clip(
            person(seed), neutral_scene(), np.zeros((1, 20)), np.zeros((1, 6)), size=48
        ).landmarks[0]
        assert marks.min() > 1 and marks.max() < 47
