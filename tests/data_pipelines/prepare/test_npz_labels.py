"""Labels of the source's frames arrive on the stored frames, or the clip is refused."""

import dataclasses
import functools
import shutil

import numpy as np
import pytest

from data_pipelines.prepare import labels
from data_pipelines.prepare import plan as planning
from data_pipelines.prepare import run as running
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.opened import sha256
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import ClipReference, Location
from tests.data_pipelines.prepare.filming import NTSC, film

FRAMES = 36
GUESSED = "geometric(approximate)"


@pytest.fixture
def clip(tmp_path):
    """A reference, and a writer of its labels: a face of 20 x 24 pixels that moves a pixel a frame to the right."""
    video = Location(str(film(tmp_path / "a.mp4", FRAMES, NTSC, size=(64, 96), tone=0.3)))
    spread = np.random.default_rng(0).uniform((0, 0), (20, 24), (68, 2))
    spread[0], spread[1] = (0, 0), (20, 24)
    size, digest = sha256(video)

    def write(**changes):
        points = spread[None] + np.stack([20 + np.arange(FRAMES), np.full(FRAMES, 20)], 1)[:, None]
        content = {
            "times": np.arange(FRAMES) / float(NTSC), "landmarks": points.astype(np.float32),
            "face_ok": np.ones(FRAMES, np.uint8), "tracker": "mediapipe", "video_bytes": size, "video_sha256": digest,
            "au": np.repeat(np.arange(FRAMES)[:, None] / 10, 17, 1).astype(np.float32),
            "blink": (np.arange(FRAMES) >= 20).astype(np.uint8)}
        (tmp_path / "toy" / "s").mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / "toy" / "s" / "a.npz", **(content | changes))
        return tmp_path

    return ClipReference("toy/s/a", "toy/s", video), write


def test_labels_follow_the_frames_that_are_shown_into_the_head_square(clip):
    reference, write = clip
    made = make_clip(reference, Settings(size=32, crop="head", labels=True), write())
    assert len(made["video"]) == 30 and (made["face_ok"] == 1).all()
    assert made["label_source"] == {"landmarks": "mediapipe", "au": GUESSED, "blink": "mediapipe"}
    source = np.round(made["au"][:, 0] * 10)  # the label says which source frame it is of
    middle = (np.arange(30) + 0.5) / 25
    np.testing.assert_array_equal(source, np.floor(middle * float(NTSC) + 1e-9))
    np.testing.assert_array_equal(made["blink"], source >= 20)
    # One square: what moves a pixel in the source moves the same part of the stored frame, all of it inside.
    scale = np.diff(made["landmarks"][:, 0, 0]) / np.diff(source)
    assert np.ptp(scale) < 1e-4 and 0 < scale[0] < 1
    assert made["landmarks"].min() >= 0 and made["landmarks"].max() <= 32
    width = np.ptp(made["landmarks"][0, :, 0])
    np.testing.assert_allclose(width, 20 * scale[0], rtol=1e-4)


def test_short_gaps_are_bridged_and_long_ones_masked(clip):
    reference, write = clip
    face_ok = np.ones(FRAMES, np.uint8)
    face_ok[5:9] = 0
    wild = np.full((FRAMES, 68, 2), 1e6, np.float32)
    directory = write(face_ok=face_ok)
    with np.load(directory / "toy" / "s" / "a.npz") as archive:
        points = np.where(face_ok[:, None, None] > 0, archive["landmarks"], wild)
    made = make_clip(reference, Settings(size=32, labels=True), write(face_ok=face_ok, landmarks=points))
    assert (made["face_ok"] == 2).sum() == 4 and (made["face_ok"] == 0).sum() == 0
    np.testing.assert_allclose(np.diff(made["landmarks"][:10, 0, 0]) * 2, np.diff(made["au"][:10, 0]) * 10, atol=1e-3)
    face_ok[5:25] = 0
    with pytest.raises(BadClip, match="masked_frames"):
        make_clip(reference, Settings(size=32, labels=True), write(face_ok=face_ok))


def test_a_pose_is_carried_from_the_camera_that_the_file_names(clip):
    reference, write = clip
    pose = np.tile(np.array([0, 0, 800, 0.1, -0.2, 0.05], np.float32), (FRAMES, 1))
    made = make_clip(reference, Settings(size=32, labels=True), write(pose=pose, focal=128.0, every=1,
                                                                      tracker_version="mediapipe 0", au_source="npz"))
    # Twice the focal length of the centred square of 64 pixels; stored crops have 3.2 times their side.
    np.testing.assert_allclose(made["pose"][:, 2], 800 * 3.2 / 2, rtol=1e-3)
    assert made["label_source"]["pose"] == "mediapipe" and made["label_source"]["au"] == "npz"
    sources = {"au": "npz", **dict.fromkeys(("blink", "landmarks", "pose"), "mediapipe")}
    assert made["ledger"]["labels"] == {"sources": sources, "tracker_version": "mediapipe 0", "every": 1,
                                        "focal": 128.0}


@pytest.mark.parametrize("tracker,source", [("mediapipe", GUESSED), ("dlib", GUESSED), ("npz", "npz"),
                                            ("openface_csv", "openface_csv"), ("exact", "exact")])
def test_trackers_that_give_no_action_units_are_not_called_their_source(clip, tracker, source):
    reference, write = clip
    presence = np.ones((FRAMES, 18), np.float32)
    made = make_clip(reference, Settings(size=32, labels=True), write(tracker=tracker, au_presence=presence))
    assert made["label_source"] == {"landmarks": tracker, "blink": tracker, "au": source, "au_presence": source}


@pytest.mark.parametrize("changes,reason,detail", [
    ({"au_source": "mediapipe"}, "label_mismatch", "au_source mediapipe is unknown; known: exact, openface_csv, npz,"),
    ({"video_bytes": 5}, "label_mismatch", "was made on another file"),
    ({"tracker": "guess"}, "label_mismatch", "tracker guess is unknown; known: exact, openface_csv"),
    ({"au_source": "felt"}, "label_mismatch", r"au_source felt is unknown; known: .* geometric\(approximate\)"),
    ({"pose": np.ones((FRAMES, 6))}, "label_mismatch", "has pose and lacks focal"),
    ({"pose": np.ones((FRAMES, 6)), "focal": 0.0}, "label_mismatch", "focal is 0, must be pixels above 0"),
    ({"landmarks": np.zeros((3, 68, 2))}, "label_mismatch", r"landmarks has shape \(3, 68, 2\), 36 times need"),
    ({"face_ok": np.zeros(FRAMES)}, "label_mismatch", "no frame with a face"),
    ({"face_ok": np.ones(FRAMES - 1)}, "label_mismatch", r"face_ok has shape \(35,\), 36 times need \(36,\)"),
    ({"times": np.zeros((FRAMES, 1))}, "label_mismatch", r"times has shape \(36, 1\), 36 times need \(36,\)"),
    ({"times": np.full(FRAMES, np.nan)}, "label_mismatch", "times that do not rise"),
    ({"au": np.full((FRAMES, 17), 50.0)}, "label_mismatch", r"au at 0.000 s is \[50.0, .* must be 0 to 5"),
    ({"blink": np.full(FRAMES, 2)}, "label_mismatch", "blink at 0.000 s is 2.0, must be 0 or 1 where face_ok is 1"),
    ({"pose": np.full((FRAMES, 6), np.nan), "focal": 90.0}, "label_mismatch", "pose at .* must be finite, Tz above 0"),
    ({"pose": np.zeros((FRAMES, 6)), "focal": 90.0}, "label_mismatch", "pose at .* must be finite, Tz above 0"),
])
def test_labels_that_do_not_fit_are_refused(clip, changes, reason, detail):
    reference, write = clip
    with pytest.raises(BadClip, match=detail) as raised:
        labels.load(write(**changes), reference.key, reference.video)
    assert raised.value.reason == reason


def test_changed_labels_make_their_clips_anew_after_a_new_scan(clip, tmp_path):
    reference, write = clip
    root, out, settings = tmp_path / "films", tmp_path / "out", Settings(size=32, labels=True)
    (root / "s").mkdir(parents=True)
    shutil.copy(reference.video.path, root / "s" / "a.mp4")
    shutil.copytree(write() / "toy", tmp_path / "labels" / "folder")
    folder, again = tmp_path / "labels", tmp_path / "other"
    wish = planning.Wish("folder", str(root), settings, labels=str(folder))

    def prepare(wish, rescan=False):
        plan = planning.make(READERS["folder"], wish, out, 1, rescan)
        make = functools.partial(make_clip, settings=settings, label_folder=wish.labels)
        with running.Hands(0).makers(make) as makers:
            running.write(plan, plan.writer(), makers, running.Hands(0), 0.5)
        return next(out.glob("*.array_record")).read_bytes()

    first = prepare(wish)
    shutil.copytree(write(tracker="dlib") / "toy", again / "folder")
    assert prepare(wish) == first  # the plan stands until it is told to look again
    shutil.copytree(again, folder, dirs_exist_ok=True)
    assert prepare(wish, rescan=True) != first
    shutil.copytree(write() / "toy", again / "folder", dirs_exist_ok=True)
    assert prepare(dataclasses.replace(wish, labels=str(again))) == first  # another folder is another wish


@pytest.mark.parametrize("kept", [0, 3000])
def test_a_damaged_label_file_is_named_itself(clip, kept):
    reference, write = clip
    path = write() / "toy" / "s" / "a.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadClip, match=r"a\.npz: no npz file .*; label the clip again") as raised:
        labels.load(path.parents[2], reference.key, reference.video)
    assert raised.value.reason == "label_mismatch"


def test_what_lies_beside_the_picture_or_is_of_another_size_is_no_face(clip):
    """A tracker that went astray costs its frames, and moves neither the square nor its neighbours."""
    reference, write = clip
    with np.load(write() / "toy" / "s" / "a.npz") as archive:
        points = archive["landmarks"]
    right = make_clip(reference, Settings(size=32, crop="head", labels=True), write())
    points[7] += 5000
    points[20] = points[20].mean(0) + 0.2 * (points[20] - points[20].mean(0))
    made = make_clip(reference, Settings(size=32, crop="head", labels=True), write(landmarks=points))
    assert (made["face_ok"] == 2).sum() == 2 and (made["face_ok"] == 1).sum() == 28
    np.testing.assert_allclose(made["landmarks"], right["landmarks"], atol=0.05)
    with pytest.raises(BadClip, match="in no frame do the landmarks lie inside its 96 x 64 pixels"):
        make_clip(reference, Settings(size=32, labels=True), write(landmarks=points + 9000))


def test_a_clip_without_labels_is_named(clip, tmp_path):
    with pytest.raises(BadClip, match="no such file; label the clip"):
        labels.load(tmp_path / "none", clip[0].key, clip[0].video)
