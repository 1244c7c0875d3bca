"""Crop recipes of `prepare`: what is stored of a rendered head that moves, turns and is tracked exactly."""

import dataclasses

import numpy as np
import pytest
from skimage.transform import SimilarityTransform, warp

from data_pipelines import records
from data_pipelines.crops import STABLE_LANDMARKS, canonical_template, similarity, transform_points
from data_pipelines.loader import Loader
from data_pipelines.mp4 import write_mp4
from data_pipelines.prepare import framing
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.crop_pose import FOCAL
from data_pipelines.prepare.labels import Track
from data_pipelines.prepare.opened import sha256
from data_pipelines.prepare.pictures import Picture
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.schema import SAMPLE_RATE, DataError
from data_pipelines.synthetic import frame_renderer
from data_pipelines.synthetic.identity import sample_identity
from data_pipelines.synthetic.render import render_clip
from data_pipelines.synthetic.scene import neutral_scene
from tests.data_pipelines.prepare.conftest import prepared
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.face3d.camera import Camera, project, transform

FRAMES, FULL, SIZE = 16, 160, 64


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """A head that walks, nods, turns and rolls; its film, and labels of the film: (root, labels, rendered, person)."""
    root, labels = tmp_path_factory.mktemp("films"), tmp_path_factory.mktemp("labels")
    phase = np.linspace(0, 2 * np.pi, FRAMES)[:, None]
    pose = np.sin(phase + np.arange(6)) * (12, 6, 60, 0.1, 0.15, 0.25)
    person = sample_identity(np.random.default_rng(2))
    made = render_clip(person, neutral_scene(), np.zeros((FRAMES, 20)), pose, size=FULL)
    path = root / "s" / "a.mp4"
    path.parent.mkdir()
    sound = 3000 * np.sin(np.arange(FRAMES * SAMPLE_RATE // 25) * 0.1)
    write_mp4(path, made.frames, sound.astype(np.int16))
    size, digest = sha256(Location(str(path)))
    (labels / "folder" / "s").mkdir(parents=True)
    np.savez(labels / "folder" / "s" / "a.npz", times=np.arange(FRAMES) / 25, landmarks=made.landmarks, pose=made.pose,
             face_ok=np.ones(FRAMES, np.uint8), tracker="exact", focal=frame_renderer.camera(FULL).focal,
             video_bytes=size, video_sha256=digest)
    return root, labels, made, person


def clip_of(filmed, crop, size=SIZE):
    root, labels, _, _ = filmed
    reference = ClipReference("folder/s/a", "folder/s", Location(str(root / "s" / "a.mp4")))
    return make_clip(reference, Settings(size, crop, labels=True), labels)


def frames_of(clip):
    shape = {name: clip[name] for name in ("height", "width", "video")}
    return records.decode_frames(shape | {"codec": "jpeg", "n": len(clip["video"])}, range(len(clip["video"])))


def test_canonical_stores_every_frame_upright_in_4_to_3(filmed):
    made = clip_of(filmed, "canonical")
    assert (made["height"], made["width"]) == (64, 48) and frames_of(made).shape == (FRAMES, 64, 48, 3)
    stable, template = made["landmarks"][:, STABLE_LANDMARKS], canonical_template(64, 48)
    # Of a least-squares map the mean is exact, and what is left does not turn: a head seen from the side is narrower.
    np.testing.assert_allclose(stable.mean(1), np.broadcast_to(template.mean(0), (FRAMES, 2)), atol=1e-3)
    assert np.abs(stable - template).max() < 4
    across = stable[:, 4] - stable[:, 1]
    source = filmed[2].landmarks[:, 45] - filmed[2].landmarks[:, 36]
    assert np.abs(across[:, 1] / across[:, 0]).max() < 0.06 < 0.2 < np.abs(source[:, 1] / source[:, 0]).max()


@pytest.mark.parametrize("crop", ["canonical", "pos224", "box"])
def test_pictures_and_labels_of_a_recipe_agree(filmed, crop):
    """The stored pose shows the head where the stored landmarks have it, and the picture has its eyes there."""
    _, _, rendered, person = filmed
    made = clip_of(filmed, crop)
    height, width = made["height"], made["width"]
    renderer = frame_renderer.FrameRenderer(person, neutral_scene(), 32)
    points = renderer.neutral[renderer.mesh.landmarks].astype(float)
    steady = [*range(17), *range(27, 31), *STABLE_LANDMARKS]
    for stored, landmarks in zip(made["pose"].astype(float), made["landmarks"], strict=True):
        shown = project(transform(points, stored), Camera(FOCAL * height, width, height))
        assert np.abs(shown - landmarks)[steady].max() < 0.035 * height
    # The picture went where its landmarks went: scikit-image's warp by these, and not by a pixel beside them.
    for stored, landmarks, source, points in list(zip(frames_of(made), made["landmarks"], rendered.frames,
                                                      rendered.landmarks, strict=True))[::5]:
        back = SimilarityTransform.from_estimate(landmarks - 0.5, points - 0.5)
        beside = SimilarityTransform(translation=(1, 1)) + back
        right, wrong = (warp(source.astype(float), way, output_shape=(height, width), mode="edge") for way in
                        (back, beside))
        missed = np.abs(stored - right).mean()
        assert missed < 4 and np.abs(stored - wrong).mean() > 2.5 * missed


def test_the_box_holds_all_landmarks_and_a_tenth_more(filmed):
    box, head = clip_of(filmed, "box")["landmarks"], clip_of(filmed, "head")["landmarks"]
    assert np.ptp(box.reshape(-1, 2), axis=0).max() == pytest.approx(SIZE / 1.1, rel=1e-3)
    assert box.min() >= 0 and box.max() <= SIZE
    assert np.ptp(head.reshape(-1, 2), axis=0).max() < 0.85 * np.ptp(box.reshape(-1, 2), axis=0).max()


def five(points):
    """Landmarks `[1, 68, 2]` with the five points of `pos224` at given places."""
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, 36:42], landmarks[0, 42:48] = points[0], points[1]
    landmarks[0, 33], landmarks[0, 48], landmarks[0, 54] = points[2:]
    return landmarks


def test_pos224_is_the_orthographic_pose_of_the_public_procedure():
    """A planted scaled turn of the standard face comes back; anything else as numpy's own least squares has it."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    planted = 37 * framing.POS_POINTS @ turn[:2].T * (1, -1) + (90, 70)
    affine = framing.pos_affine(five(planted), 224)[0]
    scale = 102 / 37
    np.testing.assert_allclose(affine, [[scale, 0, 112 - 90 * scale], [0, scale, 112 - 70 * scale]], rtol=1e-5)
    np.testing.assert_allclose(framing.pos_affine(five(planted), 112)[0], affine / 2, rtol=1e-5)
    wild = np.random.default_rng(1).uniform(40, 90, (5, 2))
    system = np.zeros((10, 8))  # rows x and y of every point, with y up
    system[0::2, :3], system[1::2, 4:7], system[0::2, 3], system[1::2, 7] = *[framing.POS_POINTS] * 2, 1, 1
    found = np.linalg.lstsq(system, (wild * (1, -1)).reshape(-1), rcond=None)[0]
    scale = 102 / np.mean([np.linalg.norm(found[:3]), np.linalg.norm(found[4:7])])
    affine = framing.pos_affine(five(wild), 224)[0]
    np.testing.assert_allclose(affine[:, :2], np.eye(2) * scale, rtol=1e-5)
    np.testing.assert_allclose(affine[:, :2] @ (found[3], -found[7]) + affine[:, 2], (112, 112), rtol=1e-4)


@pytest.mark.parametrize("numbers", [None, np.array([0, 1, 4, 5])])
def test_between_frames_with_a_face_lies_what_is_between_their_maps(filmed, numbers):
    known, landmarks = [0, 1, 4, 5], filmed[2].landmarks
    track = Track(np.array(known) / 25, np.ones(4, bool), {"landmarks": landmarks[known]}, "exact", numbers)
    frame = framing.Framing("a", "canonical", 32, (FULL, FULL), track)
    # A track that knows frames by number goes by that, whatever their times are.
    late = 0.0 if numbers is None else 0.3
    at = lambda number: frame.at(Picture(None, number / 25 + late, True, number))[0]
    exact = similarity(landmarks[:, STABLE_LANDMARKS], canonical_template(32, 24))
    for number in known:
        np.testing.assert_allclose(at(number), exact[number], atol=1e-4)
    np.testing.assert_allclose(at(3), (exact[1] + 2 * exact[4]) / 3, atol=1e-4)
    np.testing.assert_allclose(at(9), exact[5], atol=1e-4)


def test_faces_smaller_than_what_is_stored_and_landmarks_that_are_no_face_are_refused(filmed):
    for crop in ("canonical", "pos224", "box"):
        with pytest.raises(BadClip, match="the corpus stores 156; frames are never enlarged") as raised:
            clip_of(filmed, crop, 156)
        assert raised.value.reason == "too_small"
    point = Track(np.arange(2) / 25, np.ones(2, bool), {"landmarks": np.full((2, 68, 2), 7.0)}, "exact")
    for crop in ("canonical", "pos224"):
        with pytest.raises(BadClip, match="eyes and nose lie on one point") as raised:
            framing.Framing("a", crop, 32, (FULL, FULL), point)
        assert raised.value.reason == "label_mismatch"


def test_frames_without_a_face_are_shown_where_their_neighbours_are(filmed, tmp_path):
    """At the clip's ends, and in a gap that is too long to be bridged: masked, and nothing of it is wild."""
    root, labels, rendered, _ = filmed
    (tmp_path / "folder" / "s").mkdir(parents=True)
    with np.load(labels / "folder" / "s" / "a.npz") as archive:
        content = dict(archive)
    content["face_ok"][[0, 6, 7, 15]] = 0
    content["landmarks"][[0, 6, 7, 15]] = np.nan
    np.savez(tmp_path / "folder" / "s" / "a.npz", **content)
    made, whole = clip_of((root, tmp_path, rendered, None), "canonical"), clip_of(filmed, "canonical")
    assert made["face_ok"].tolist() == [0, *[1] * 5, 2, 2, *[1] * 7, 0]
    assert np.abs(frames_of(made)[6:8].astype(float) - frames_of(whole)[6:8]).mean() < 8
    np.testing.assert_allclose(made["landmarks"][8:15], whole["landmarks"][8:15], atol=1e-3)
    assert np.isfinite(made["landmarks"]).all() and np.isfinite(made["pose"]).all()


def test_an_aligned_corpus_teaches_nobody_how_heads_move(filmed, tmp_path):
    root, labels, _, _ = filmed
    out = prepared(root, tmp_path, settings=Settings(32, "pos224", labels=True), label_folder=labels).directory
    with pytest.raises(DataError, match="every frame aligned, .* prepare it with --crop head"):
        Loader(out, DataSpec(fields=("frames", "pose"), batch=1, crop=CropSpec("centre", 32, 32)))
    assert Loader(out, DataSpec(fields=("frames",), batch=1, crop=CropSpec("centre", 32, 32))).examples == 1


def test_recipes_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="'canonical' needs landmarks"):
        Settings(64, "canonical")
    with pytest.raises(DataError, match="take 48 or 52"):
        Settings(50, "canonical", labels=True)
    with pytest.raises(DataError, match="known: centre, head, box, canonical, pos224"):
        Settings(64, "face", labels=True)


def test_a_corpus_that_is_stored_aligned_is_fed_as_it_lies(filmed, tmp_path):
    """What a system gets is what it would get from whole frames, and no frame is warped again."""
    root, labels, _, _ = filmed
    out = {}
    for settings in (Settings(64, "canonical", labels=True), Settings(FULL, "centre", labels=True)):
        manifest = prepared(root, tmp_path / settings.crop, settings=settings, label_folder=labels)
        out[settings.crop] = manifest.directory
    spec = DataSpec(fields=("frames", "landmarks"), window=FRAMES, batch=1, crop=CropSpec("canonical", 64, 48))
    aligned, whole = (Loader(out[crop], spec).example_at(0) for crop in ("canonical", "centre"))
    np.testing.assert_allclose(aligned["landmarks"], whole["landmarks"], atol=1e-3)
    apart = aligned["frames"].astype(float) - whole["frames"]
    assert np.sqrt(np.mean(apart**2)) < 6  # JPEG once small and once large
    stored = Loader(out["canonical"], dataclasses.replace(spec, crop=CropSpec("none", 64, 48))).example_at(0)
    np.testing.assert_array_equal(aligned["frames"], stored["frames"])
    smaller = dataclasses.replace(spec, crop=CropSpec("canonical", 32, 24))
    np.testing.assert_allclose(Loader(out["canonical"], smaller).example_at(0)["landmarks"], stored["landmarks"] / 2,
                               atol=1e-3)


def test_maps_are_applied_frame_by_frame(filmed):
    made, points = clip_of(filmed, "pos224"), filmed[2].landmarks
    maps = framing.pos_affine(points, SIZE)
    np.testing.assert_allclose(made["landmarks"], transform_points(points, maps), atol=1e-3)
    assert np.ptp(maps[:, 0, 0]) > 0.05 * maps[0, 0, 0]
