"""CSV files of OpenFace become labels of the stored frames, or the clip is refused; poses are judged by rendering."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest

from data_pipelines import command, crops, schema
from data_pipelines.prepare import card, crop_pose, labels, openface
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.opened import sha256
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.schema import DataError
from data_pipelines.synthetic import frame_renderer, identity, scene
from tests.data_pipelines.prepare.conftest import prepared
from tests.data_pipelines.prepare.filming import NTSC, film
from thjax.face3d.camera import Camera, project, rotation_angles, rotation_matrix, transform

FRAMES, HEIGHT, WIDTH, SIZE = 36, 64, 96, 32


def content(frames=FRAMES, rate=float(NTSC)):
    """Columns of a face of 20 x 24 pixels that moves a pixel a frame to the right; AUs say the frame, AU45_c 0 or 1."""
    spread = np.random.default_rng(0).uniform((0, 0), (20, 24), (68, 2))
    spread[0], spread[1] = (0, 0), (20, 24)
    number = np.arange(frames)
    table = {"frame": number + 1, "face_id": 0 * number, "timestamp": np.round(number / rate, 3),
             "confidence": 0.98 + 0 * number, "success": 1 + 0 * number, "gaze_angle_x": 0.1 + 0 * number}
    for point in range(68):
        x, y = spread[point] + 19.5
        table[f"x_{point}"], table[f"y_{point}"] = x + number, y + 0 * number
    table |= {f"{unit}_r": np.minimum(number / 10, 5) for unit in schema.AU_INTENSITY}
    table |= {f"{unit}_c": (number >= 20).astype(int) for unit in schema.AU_PRESENCE}
    pose = (number, 0 * number, 600 + 0 * number, 0.1 + 0 * number, 0 * number, 0 * number)
    return table | {f"pose_{name}": values for name, values in zip(schema.POSE, pose, strict=True)}


def lines_of(table):
    """As FeatureExtraction writes them, with blanks in the header and between the cells."""
    rows = zip(*table.values(), strict=True)
    return [", ".join(table), *(", ".join(f"{value:.6g}" for value in row) for row in rows)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return Location(str(film(tmp_path_factory.mktemp("film") / "a.mp4", FRAMES, NTSC, size=(HEIGHT, WIDTH), tone=0.3)))


@pytest.fixture
def clip(video, tmp_path):
    """A reference, and a writer of its CSV and JSON files."""
    size, digest = sha256(video)

    def write(lines=None, **changes):
        folder = tmp_path / "toy" / "s"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.csv").write_text("\n".join(lines or lines_of(content())) + "\n")
        facts = {"video_bytes": size, "video_sha256": digest, "person_normalised": True, "focal": None}
        (folder / "a.json").write_text(json.dumps(facts | changes))
        return tmp_path

    return ClipReference("toy/s/a", "toy/s", video), write


def refused(call, *arguments):
    with pytest.raises(BadClip) as raised:
        call(*arguments)
    assert raised.value.reason == "label_mismatch"
    return raised.value.detail


def test_labels_follow_the_frames_that_are_shown(clip):
    reference, write = clip
    made = make_clip(reference, Settings(SIZE, crop="head", labels=True), write(openface="2.2.0"))
    assert len(made["video"]) == 30 and (made["face_ok"] == 1).all()
    sources = dict.fromkeys(("landmarks", "au", "au_presence", "pose"), "openface_csv")
    assert made["label_source"] == sources
    assert made["ledger"]["labels"] == {"sources": sources, "person_normalised": True, "focal": None,
                                        "openface": "2.2.0"}
    middle = (np.arange(30) + 0.5) / 25
    source = np.floor(middle * float(NTSC) + 1e-9)
    # Exact, though the CSV's times are rounded to ms: the video's own times count.
    np.testing.assert_allclose(made["au"], np.repeat(source[:, None], 17, 1) / 10, atol=1e-4)
    np.testing.assert_array_equal(made["au_presence"], np.repeat(source[:, None] >= 20, 18, 1))
    scale = np.diff(made["landmarks"][:, 0, 0])[0] / np.diff(source)[0]
    assert made["landmarks"].min() >= 0 and made["landmarks"].max() <= SIZE and made["pose"].dtype == np.float32
    # The head moves with its landmarks: 1 mm and 1 pixel a frame, each on its own scale.
    focal = openface.default_focal(HEIGHT, WIDTH)
    shown = project(made["pose"][:, None, :3].astype(float), Camera(crop_pose.FOCAL * SIZE, SIZE, SIZE))[:, 0, 0]
    np.testing.assert_allclose(np.diff(shown), np.diff(source) * focal / 600 * scale, rtol=1e-3)


def test_the_landmarks_of_a_pixel_s_centre_lie_half_a_pixel_further(clip):
    reference, write = clip
    track = labels.load(write(), reference.key, reference.video)
    np.testing.assert_allclose(track.values["landmarks"][3, 0], (23, 20))


def test_missing_failed_and_unsure_rows_are_bridged_or_masked(clip):
    reference, write = clip
    table = content()
    table["success"][5:7] = 0
    table["confidence"][7:9] = openface.MIN_CONFIDENCE - 0.01
    lines = lines_of(table)
    lines[6] = ", ".join([*lines[6].split(", ")[:5], *["-nan(ind)"] * (len(table) - 5)])  # so on Windows
    made = make_clip(reference, Settings(SIZE, labels=True), write(lines))
    jumping = make_clip(reference, Settings(SIZE, labels=True), write(lines[:6] + lines[10:]))
    for one in (made, jumping):
        assert (one["face_ok"] == 2).sum() == 4 and (one["face_ok"] == 0).sum() == 0
        np.testing.assert_allclose(np.diff(one["landmarks"][:10, 0, 0]) * 2, np.diff(one["au"][:10, 0]) * 10, atol=1e-3)
        np.testing.assert_array_equal(one["pose"], made["pose"])
    with pytest.raises(BadClip, match="masked_frames"):
        make_clip(reference, Settings(SIZE, labels=True), write(lines[:6] + lines[26:]))


@pytest.mark.parametrize("column,value,said", [
    ("AU12_r", 5.2, "AU12_r of frame 4 is 5.2, must be 0 to 5"),
    ("AU12_r", -0.3, "AU12_r of frame 4 is -0.3"),
    ("AU28_c", 0.5, "AU28_c of frame 4 is 0.5, must be 0 or 1"),
    ("pose_Tz", -3.0, "pose_Tz of frame 4 is -3, must be above 0"),
    ("x_7", np.nan, "x_7 of frame 4 is 'nan', must be a number"),
    ("frame", 3, "frame must be whole numbers from 1 that rise"),
    ("timestamp", 0.0, "timestamp must rise"),
])
def test_values_that_openface_does_not_write_are_named(clip, column, value, said):
    reference, write = clip
    table = content()
    table[column] = table[column].astype(float)
    table[column][3] = value
    assert said in refused(labels.load, write(lines_of(table)), reference.key, reference.video)


def test_intensities_are_clipped_by_rounding_alone(clip):
    reference, write = clip
    table = content()
    table["AU12_r"][3], table["AU14_r"][3] = 5.004, -0.004
    track = labels.load(write(lines_of(table)), reference.key, reference.video)
    assert track.values["au"][3, 8] == 5 and track.values["au"][3, 9] == 0


def test_files_that_are_no_whole_output_are_refused(clip):
    reference, write = clip

    def said(lines):
        return refused(labels.load, write(lines), reference.key, reference.video)

    whole = lines_of(content())
    short = {name: column for name, column in content().items() if name not in ("x_3", "AU28_c")}
    assert "lacks the columns x_3, AU28_c" in said(lines_of(short))
    assert "has more than once the columns y_0" in said([f"{line}, {extra}" for line, extra in
                                                         zip(whole, ["y_0"] + ["1"] * FRAMES, strict=True)])
    cells = whole[1].split(", ")
    cells[whole[0].split(", ").index("AU01_r")] = "high"
    assert "AU01_r of frame 1 is 'high', must be a number" in said([whole[0], ", ".join(cells), *whole[2:]])
    assert "row 36 has 5 cells" in said([*whole[:-1], ", ".join(whole[-1].split(", ")[:5])])
    assert "no row below its header" in said(whole[:1])
    table = content()
    table["success"][:] = 0
    assert "no row with success 1" in said(lines_of(table))


def test_the_json_file_binds_the_csv_to_its_video(clip, tmp_path):
    reference, write = clip
    arguments = write(video_bytes=5), reference.key, reference.video
    assert "is of another file than" in refused(labels.load, *arguments)
    assert "focal is -1, must be pixels" in refused(labels.load, write(focal=-1), *arguments[1:])
    assert "person_normalised is 1, must be" in refused(labels.load, write(person_normalised=1), *arguments[1:])
    beside = tmp_path / "toy" / "s" / "a.json"
    beside.write_text("[]")
    assert "lacks focal, person_normalised" in refused(labels.load, *arguments)
    beside.write_text("{")
    assert "no JSON file" in refused(labels.load, *arguments)
    beside.unlink()
    table = beside.with_suffix(".csv")
    assert f"write it with `thjax data openface --csv {table} --video FILE`" in refused(labels.load, *arguments)
    words = ["openface", "--csv", str(table), "--video", reference.video.path]
    assert command.run([*words, "--focal", "900", "--person_normalised", "no"]) == 0
    assert labels.load(*arguments).facts == {"person_normalised": False, "focal": 900.0}
    with pytest.raises(DataError, match=r"--focal -1.0 must be pixels"):
        command.run([*words, "--focal", "-1"])
    table.write_text("frame, success\n")
    with pytest.raises(DataError, match="lacks the columns timestamp"):
        command.run(words)


def test_two_label_files_of_a_clip_are_refused(clip):
    reference, write = clip
    folder = write()
    (folder / "toy" / "s" / "a.npz").touch()
    assert "both label the clip; keep one" in refused(labels.load, folder, reference.key, reference.video)


def test_labels_of_more_frames_than_the_video_has_are_refused(clip):
    reference, write = clip
    folder = write(lines_of(content(FRAMES + 20)))
    assert "has 36 frames, its labels reach to frame 56" in refused(make_clip, reference,
                                                                    Settings(SIZE, labels=True), folder)


def test_labels_of_pixels_that_are_not_square_are_refused(clip, tmp_path):
    reference, write = clip
    shown = Location(str(film(tmp_path / "wide.mp4", FRAMES, NTSC, size=(HEIGHT, WIDTH), tone=0.3,
                              pixel_shape=Fraction(4, 3))))
    size, digest = sha256(shown)
    folder = write(video_bytes=size, video_sha256=digest)
    message = refused(make_clip, dataclasses.replace(reference, video=shown), Settings(SIZE, labels=True), folder)
    assert "pixels are not square" in message and "setsar=1" in message


def test_a_corpus_is_prepared_and_says_how_it_was_labelled(tmp_path):
    root, folder = tmp_path / "films", tmp_path / "labels"
    for number, speaker in enumerate("abc"):
        path = film(root / speaker / "c.mp4", 12, 25, size=(HEIGHT, WIDTH), tone=0.3, seed=number)
        table = folder / "folder" / speaker / "c.csv"
        table.parent.mkdir(parents=True)
        tracked = content(12, 25)
        tracked["success"][3:5], tracked["success"][11] = 0, 0  # two frames between others, and the last one
        table.write_text("\n".join(lines_of(tracked)))
        command.run(["openface", "--csv", str(table), "--video", str(path), "--person_normalised",
                     "no" if speaker == "c" else "yes"])
    manifest = prepared(root, tmp_path / "records", settings=Settings(16, labels=True), label_folder=folder)
    assert manifest.content["counts"]["written"] == 3 and "pose" in manifest.labels
    sources = dict.fromkeys(("landmarks", "au", "au_presence", "pose"), "openface_csv")
    assert manifest.content["label_facts"] == [
        {"sources": sources, "person_normalised": normalised, "focal": None, "clips": clips, "frames": 12 * clips,
         "frames_masked": clips, "frames_interpolated": 2 * clips} for normalised, clips in ((False, 1), (True, 2))]
    said = card.card(manifest)
    assert "| pose Tz |" in said and "| au AU12 |" in said
    assert said.count("| openface_csv |") == 2
    assert ("| openface_csv | 2 | 24 | 8.33% | 16.67% | focal: the tracker's own, person normalised: yes |") in said
    assert ("| openface_csv | 1 | 12 | 8.33% | 16.67% | focal: the tracker's own, person normalised: no |") in said


FULL, CROP = 256, 96
FOCAL = frame_renderer.camera(FULL).focal
DISTANCE = 1700.0


@pytest.fixture(scope="module")
def renderers():
    """Of one person, in a whole frame several heads wide, and in the crop."""
    person = identity.sample_identity(np.random.default_rng(4))
    return [frame_renderer.FrameRenderer(person, scene.neutral_scene(), size) for size in (FULL, CROP)]


def marks(renderer, pose, focal, size):
    """Landmarks of the mean head in a pose `[6]`, pixels `[68, 2]`."""
    mean = renderer.mesh.model.mean[renderer.mesh.landmarks].astype(float)
    return project(transform(mean, np.asarray(pose, float)), Camera(focal, size, size))


def map_to_crop(pose, scale, angle=0.0):
    """An affine map that brings a head's origin near the middle of the crop, float64 `[2, 3]`."""
    origin = project(np.asarray(pose, float)[None, :3], Camera(FOCAL, FULL, FULL))[0]
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([turn, (np.array([CROP / 2 + 3, CROP / 2 - 2]) - turn @ origin)[:, None]], 1)


def carried(pose, affine):
    return crop_pose.carried(np.asarray(pose, float)[None], affine[None], FOCAL, (FULL / 2, FULL / 2), (CROP, CROP))[0]


def miss(renderer, pose, stored, affine):
    """Largest distance, in sides of the crop, of the stored head's landmarks from the cropped ones."""
    cropped = marks(renderer, pose, FOCAL, FULL) @ affine[:, :2].T + affine[:, 2]
    return np.abs(marks(renderer, stored, crop_pose.FOCAL * CROP, CROP) - cropped).max() / CROP


def test_stored_crops_have_the_camera_of_the_embedded_corpus():
    assert frame_renderer.camera(CROP).focal == pytest.approx(crop_pose.FOCAL * CROP)


@pytest.mark.parametrize("angle", [0.0, 0.3])
@pytest.mark.parametrize("rotation", [(0, 0, 0), (0.3, -0.2, 0.1), (-0.2, 0.4, -0.2)])
@pytest.mark.parametrize("place", [(-250, 0), (150, -200), (0, 0)])
def test_the_stored_pose_shows_the_head_where_the_crop_does(renderers, place, rotation, angle):
    pose = np.array([*place, DISTANCE, *rotation])
    # At the same depth only the stretch far from the axis is lost: 0.3 % of the side.
    affine = map_to_crop(pose, CROP / FULL, angle)
    stored = carried(pose, affine)
    assert miss(renderers[0], pose, stored, affine) < 0.003
    rolled = rotation_matrix(np.array([0, 0, angle])) @ rotation_matrix(pose[3:])
    unturned = np.array([*stored[:3], *rotation_angles(rolled)])
    assert place == (0, 0) or miss(renderers[0], pose, unturned, affine) > 0.012
    # Enlarged, it stands at half the depth, with the perspective of that: 2 % of the side for a head that fills it.
    affine = map_to_crop(pose, 0.8, angle)
    stored = carried(pose, affine)
    assert miss(renderers[0], pose, stored, affine) < 0.02 and 700 < stored[2] < 900


def face(renderer, pose):
    """Where the face is seen, bool at `SUPERSAMPLING` samples a pixel."""
    renderer.vertices[:] = transform(renderer.neutral.astype(float), np.asarray(pose, float))  # shoulders, too
    renderer.visible()
    of_face = np.append((renderer.mesh.triangles < renderer.mesh.face).all(1), False)  # -1: background
    return of_face[renderer.ids]


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_the_head_drawn_in_the_stored_pose_covers_the_cropped_one(renderers):
    whole, small = renderers
    pose = np.array([-150, 60, DISTANCE, 0.15, -0.35, 0.15])
    affine = map_to_crop(pose, 0.8)
    fine = frame_renderer.SUPERSAMPLING
    middles = (np.stack(np.meshgrid(*[np.arange(CROP * fine) + 0.5] * 2), -1).reshape(1, -1, 2)) / fine
    source = crops.transform_points(middles, crops.inverse_affine(affine[None]))[0]
    column, row = np.clip((source * fine).astype(int), 0, FULL * fine - 1).T
    cropped = face(whole, pose)[row, column].reshape(CROP * fine, CROP * fine)
    stored = carried(pose, affine)
    right = overlap(cropped, face(small, stored))
    wrong = [overlap(cropped, face(small, stored * sign)) for sign in
             ((1, 1, 1, -1, 1, 1), (1, 1, 1, 1, -1, 1), (1, 1, 1, 1, 1, -1), (-1, 1, 1, 1, 1, 1), (1, -1, 1, 1, 1, 1))]
    assert right > 0.95 and right > max(wrong) + 0.02
