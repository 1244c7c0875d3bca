"""Rendered clips: labels, repeatability, mirror symmetry, light, noise."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from data_pipelines import schema
from data_pipelines.synthetic import render, texture
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.film import TONE_GAMMA
from data_pipelines.synthetic.frame_renderer import FrameRenderer, head_pose
from data_pipelines.synthetic.identity import detail, sample_identity
from data_pipelines.synthetic.scene import BACKGROUNDS, CLOTHES, Scene, neutral_scene, sample_scene
from thjax.face3d.camera import mirror_pose
from thjax.face3d.lighting import shade

FLIP = np.r_[
    16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1
]


def talk(frames=3, seed=0):
    rng = np.random.default_rng(seed)
    units = np.zeros((frames, len(EXPRESSION_NAMES)), np.float32)
    for name in ("AU25", "AU26", "AU12", "AU01", "pucker"):
        units[:, EXPRESSION_INDEX[name]] = rng.uniform(0, 0.6, frames)
    units[-1, EXPRESSION_INDEX["AU45"]] = 0.9
    motion = rng.normal(0, 1, (frames, 6)) * [4, 3, 10, 0.1, 0.25, 0.08]
    return units, motion, rng.normal(0, 0.15, (frames, 2))


def actors(seed):
    rng = np.random.default_rng(seed)
    return sample_identity(rng), sample_scene(rng)


def test_labels_follow_the_schema():
    units, motion, gaze = talk(4)
    identity, scene = actors(0)
    clip = render.render_clip(identity, scene, units, motion, gaze, size=64, seed=1)
    for name, field in (("au", "au"), ("pose", "pose"), ("landmarks", "landmarks")):
        assert getattr(clip, name).shape[1:] == schema.BATCH_FIELDS[field].shape[1:]
    assert clip.frames.shape == (4, 64, 64, 3) and clip.frames.dtype == np.uint8
    assert clip.coefficients.shape == (4, len(render.COEFFICIENT_NAMES)) and len(set(render.COEFFICIENT_NAMES)) == 97
    np.testing.assert_allclose(clip.au, 5 * units[:, :17], rtol=1e-6)
    np.testing.assert_array_equal(clip.blink, [0, 0, 0, 1])
    assert clip.au_presence[3, schema.AU_PRESENCE.index("AU45")] == 1
    columns = [render.COEFFICIENT_NAMES.index(name) for name in schema.POSE]
    np.testing.assert_allclose(clip.coefficients[:, columns], clip.pose)
    np.testing.assert_allclose(clip.pose[:, 3:], motion[:, 3:], atol=1e-6)


def test_presence_of_lip_suck_is_press():
    units = np.zeros((2, 20), np.float32)
    units[1, EXPRESSION_INDEX["press"]] = 0.8
    clip = render.render_clip(*actors(0), units, np.zeros((2, 6)), size=48)
    np.testing.assert_array_equal(clip.au_presence[:, schema.AU_PRESENCE.index("AU28")], [0, 1])
    assert clip.au_presence.sum() == 1


SCRIPT = """
import hashlib, sys
sys.path[:0] = {path!r}
from tests.data_pipelines.synthetic.test_render import actors, talk
from data_pipelines.synthetic import render
units, motion, gaze = talk(2, seed=5)
print(hashlib.sha256(render.render_clip(*actors(7), units, motion, gaze, size=96, seed=3).frames.tobytes()).hexdigest())
"""


def test_same_bytes_in_another_process_and_after_other_clips():
    import hashlib

    units, motion, gaze = talk(2, seed=5)
    render.render_clip(*actors(1), *talk(1), size=64)
    here = hashlib.sha256(
        render.render_clip(*actors(7), units, motion, gaze, size=96, seed=3).frames.tobytes()
    ).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(path=sys.path)], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here


def test_a_clip_is_its_frames_one_by_one():
    units, motion, gaze = talk(3)
    identity, scene = actors(2)
    whole = render.render_clip(identity, dataclasses.replace(scene, noise=0.0), units, motion, gaze, size=64)
    for frame in range(3):
        cut = slice(frame, frame + 1)
        one = render.render_clip(
            identity, dataclasses.replace(scene, noise=0.0), units[cut], motion[cut], gaze[cut], size=64
        )
        np.testing.assert_array_equal(one.frames[0], whole.frames[frame])


@pytest.mark.parametrize("seed", range(6))
def test_mirrored_inputs_give_the_mirrored_picture(seed):
    units, motion, gaze = talk(2, seed)
    identity, scene = actors(seed)
    scene = dataclasses.replace(scene, noise=0.0)
    clip = render.render_clip(identity, scene, units, motion, gaze, size=96)
    other = render.render_clip(
        identity.mirrored_copy(), scene.mirrored_copy(), units, mirror_pose(motion), gaze * [-1, 1], size=96
    )
    np.testing.assert_allclose(other.landmarks[:, FLIP] * [-1, 1] + [96, 0], clip.landmarks, atol=2e-3)
    np.testing.assert_allclose(other.pose, mirror_pose(clip.pose), atol=1e-3)
    difference = np.abs(other.frames[:, :, ::-1].astype(int) - clip.frames)
    assert difference.mean() < 0.1 and (difference > 8).mean() < 2e-3


def test_mirroring_twice_is_nothing():
    for seed in range(12):
        identity, scene = actors(seed)
        twice = identity.mirrored_copy().mirrored_copy()
        assert (twice.hair, twice.mirrored) == (identity.hair, identity.mirrored)
        np.testing.assert_allclose(scene.mirrored_copy().mirrored_copy().light, scene.light)


def test_light_on_the_face_is_the_closed_form():
    """A sample of the forehead: albedo texel times the harmonics at its normal, before lens and tone."""
    identity, _ = actors(3)
    scene = dataclasses.replace(neutral_scene(), gloss=0.0)
    renderer = FrameRenderer(dataclasses.replace(identity, hair="bald"), scene, 128)
    pose = head_pose(scene, np.zeros((1, 6)))[0]
    renderer.place(np.zeros(20, np.float32), pose)
    renderer.visible()
    renderer.atlas[:] = [0.5, 0.4, 0.3]
    renderer.colour(np.zeros(20, np.float32), np.zeros(2))
    blocks = renderer.ids.reshape(128, 2, 128, 2)
    face = (renderer.mesh.triangles < renderer.mesh.face).all(1)
    face[renderer.mesh.one_sided[1] :] = False  # the membranes across eyes and mouth are no surface
    single = (blocks == blocks[:, :1, :, :1]).all((1, 3)) & (blocks[:, 0, :, 0] >= 0) & face[blocks[:, 0, :, 0]]
    rows, columns = np.nonzero(single)
    normals = renderer.normals[renderer.mesh.triangles[blocks[rows, 0, columns, 0]]].astype(np.float64)
    corners = shade(normals, scene.light.astype(np.float64)) * [0.5, 0.4, 0.3]
    got = renderer.picture[rows, columns]
    assert len(rows) > 300
    assert (got >= corners.min(1) - 1e-4).all() and (got <= corners.max(1) + 1e-4).all()


def test_albedo_is_linear_in_its_coefficients():
    mean, basis = texture.albedo_model()
    coefficients = actors(4)[0].albedo
    expected = mean + np.tensordot(coefficients, basis, 1)
    np.testing.assert_allclose(texture.linear_atlas(coefficients), expected, atol=1e-5)
    wanted = np.array([0.9, 0.1, 0.2])
    lips = texture.region_coefficients(lip=wanted)
    moved = texture.linear_atlas(np.concatenate([lips, [0, 0]])) - mean
    changed = np.abs(moved).max(-1) > 1e-6
    assert 0 < changed.sum() < 0.05 * changed.size, "only the lips change"
    with pytest.raises(ValueError, match="unknown regions .*known: skin, lip"):
        texture.region_coefficients(teeth=wanted)


def test_detail_belongs_to_the_identity_and_multiplies_around_one():
    one, again, other = actors(1)[0], actors(1)[0], actors(2)[0]
    np.testing.assert_array_equal(detail(one), detail(again))
    assert np.abs(detail(one) - detail(other)).mean() > 0.01
    assert abs(detail(one).mean() - 1) < 0.02


def test_a_freckle_that_falls_beside_the_face_is_left_out():
    person = dataclasses.replace(actors(1)[0], detail_seed=1394358313)
    assert detail(person).min() > 0


def test_noise_differs_between_frames_and_has_the_named_strength():
    units, motion = np.zeros((8, 20), np.float32), np.zeros((8, 6))
    scene = dataclasses.replace(neutral_scene(), noise=0.02, blur=0.0)
    clean = render.render_clip(actors(0)[0], dataclasses.replace(scene, noise=0.0), units[:1], motion[:1], size=64)
    noisy = render.render_clip(actors(0)[0], scene, units, motion, size=64, seed=1)
    middle = clean.frames[0] / 255.0
    light = middle**TONE_GAMMA
    expected = 0.02 * (0.4 + 0.6 * np.sqrt(light)) * (middle / np.maximum(light, 1e-3)) / TONE_GAMMA
    measured = (noisy.frames / 255.0).std(0)
    clear = (middle > 0.1) & (middle < 0.9)
    np.testing.assert_allclose(measured[clear].mean(), expected[clear].mean(), rtol=0.1)
    pair = noisy.frames[:2].astype(float) - clean.frames[0]
    assert abs(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]) < 0.05


def test_gaze_moves_the_iris():
    identity, scene = actors(5)[0], neutral_scene()
    gaze = np.array([[-0.35, 0], [0, 0], [0.35, 0], [0, -0.25], [0, 0.25]])
    clip = render.render_clip(identity, scene, np.zeros((5, 20)), np.zeros((5, 6)), gaze, size=256)
    marks = clip.landmarks[0]
    left, right, top, bottom = (
        int(v) for v in (marks[36, 0] + 3, marks[39, 0] - 3, marks[37, 1] + 2, marks[41, 1] - 2)
    )
    eye = clip.frames[:, top:bottom, left:right].astype(float).sum(-1)
    dark = np.maximum(np.quantile(eye[1], 0.5) - eye, 0)
    x = (dark * np.arange(right - left)).sum((1, 2)) / dark.sum((1, 2))
    y = (dark * np.arange(bottom - top)[:, None]).sum((1, 2)) / dark.sum((1, 2))
    assert x[0] < x[1] - 1 and x[1] < x[2] - 1 and y[3] < y[4]


def test_background_and_clothes_belong_to_the_clip():
    identity, _ = actors(0)
    units, motion = np.zeros((1, 20), np.float32), np.zeros((1, 6))
    first, second = (
        render.render_clip(identity, sample_scene(np.random.default_rng(seed)), units, motion, size=64).frames
        for seed in (1, 2)
    )
    corner = np.s_[0, :8, :8]
    assert np.abs(first[corner].astype(int) - second[corner]).mean() > 5
    scenes = [sample_scene(np.random.default_rng(seed)) for seed in range(60)]
    assert {scene.background for scene in scenes} == set(BACKGROUNDS) and {scene.clothes for scene in scenes} == set(
        CLOTHES
    )


@pytest.mark.parametrize("size", [48, 96, 128, 192, 256])
def test_sizes_show_the_same_picture(size):
    identity, scene = actors(6)
    scene = dataclasses.replace(scene, noise=0.0)
    clip = render.render_clip(identity, scene, np.zeros((1, 20)), np.zeros((1, 6)), size=size)
    reference = render.render_clip(identity, scene, np.zeros((1, 20)), np.zeros((1, 6)), size=192)
    np.testing.assert_allclose(clip.landmarks / size, reference.landmarks / 192, atol=1e-5)
    cells = [
        frames[0].reshape(16, len(frames[0]) // 16, 16, len(frames[0]) // 16, 3).mean((1, 3))
        for frames in (clip.frames, reference.frames)
    ]
    assert np.abs(cells[0] - cells[1]).mean() < 2.5


def test_bad_input_is_named():
    identity, scene = actors(0)
    still = np.zeros((2, 6))
    with pytest.raises(ValueError, match="must be 48 to 256"):
        render.render_clip(identity, scene, np.zeros((2, 20)), still, size=512)
    with pytest.raises(ValueError, match="expression has shape"):
        render.render_clip(identity, scene, np.zeros((2, 17)), still)
    with pytest.raises(ValueError, match="must lie in 0 to 1"):
        render.render_clip(identity, scene, np.full((2, 20), 1.5), still)
    with pytest.raises(ValueError, match="not finite"):
        render.render_clip(identity, scene, np.zeros((2, 20)), still * np.nan)
    with pytest.raises(ValueError, match="unknown background 'sea'; known: gradient"):
        Scene(**{**{f.name: getattr(scene, f.name) for f in dataclasses.fields(scene)}, "background": "sea"})
