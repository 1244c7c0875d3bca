"""Labels of a tracker beside videos and references: its own name on every metric, and what does not fit is said."""

import json

import numpy as np
import pytest

from data_pipelines.mp4 import write_mp4
from data_pipelines.prepare.opened import sha256
from data_pipelines.readers.reference import Location
from data_pipelines.schema import AU_INTENSITY, AU_PRESENCE, POSE
from tests.evaluate import planted
from tests.evaluate.test_evaluate_videos import picture, sound
from thjax.core.errors import UserError
from thjax.evaluate import command
from thjax.evaluate.given_labels import HS_ALONE
from thjax.evaluate.judges import Judges
from thjax.evaluate.result import result_of
from thjax.evaluate.videos import collect_videos

pytest.importorskip("av")
FRAMES = 24
FACE = planted.clip(count=FRAMES).landmarks[0]


def label(folder, key, video, landmarks, **changes):
    """What `thjax label --tracker dlib --corpus folder` writes of a video."""
    size, digest = sha256(Location(str(video)))
    count = len(landmarks)
    content = {
        "times": np.arange(count) / 25, "landmarks": landmarks.astype(np.float32),
        "face_ok": np.ones(count, np.uint8), "focal": np.nan,
        "pose": np.tile(np.float32([0, 0, 600, 0, 0, 0]), (count, 1)),
        "au": np.ones((count, 17), np.float32), "au_source": "geometric(approximate)", "tracker": "dlib",
        "tracker_version": "19", "every": 1, "pictures": count, "video_bytes": size, "video_sha256": digest,
    }
    path = folder / "folder" / f"{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **(content | changes))


@pytest.fixture
def place(tmp_path):
    """Two clips of a speaker, the made ones twice as large; a mouth that a tracker sees wider by 2 and 4 pixels."""
    for name, seed in (("a", 0), ("b", 1)):
        true = picture(seed)
        write_mp4(tmp_path / "true/s1" / f"{name}.mp4", true, sound())
        write_mp4(tmp_path / "made/s1" / f"{name}.mp4", true.repeat(2, 1).repeat(2, 2), sound())
    still = np.tile(FACE, (FRAMES, 1, 1))
    moving = still + np.sin(np.arange(FRAMES))[:, None, None]
    for name, wider in (("a", 2), ("b", 4)):
        label(tmp_path / "labels/true", f"s1/{name}", tmp_path / "true/s1" / f"{name}.mp4", moving)
        made = 2 * moving
        made[:, 48] -= (2 * wider, 0)  # of frames that are twice as large
        label(tmp_path / "labels/made", f"s1/{name}", tmp_path / "made/s1" / f"{name}.mp4", made)
    return tmp_path


def measured(place, judges=None):
    return collect_videos(place / "made", place / "true", judges=judges or planted.judges(),
                          labels=(place / "labels/made", place / "labels/true"))[0]


def test_a_tracker_s_landmarks_are_compared_under_its_name(place):
    result = result_of(measured(place), "")
    ours = result.per_clip["ours"]
    # One of 20 points is off by w of 64 pixels, so by 4 w of 256; centring shares a twentieth of that out.
    for value, wider in zip(ours["lmd[dlib]"], (2, 4), strict=True):
        off = 4 * wider / 20
        assert value == pytest.approx(((4 * wider - off) + 19 * off) / 20, rel=1e-3)
    np.testing.assert_allclose(ours["lmd_abs[dlib]"], [8 / 20, 16 / 20], rtol=1e-3)
    assert result.rows["ours"]["undetected[dlib]"].mean == 0
    assert result.rows["copy_first_frame"]["lmd_abs[dlib]"].mean > 2 and "lmd[synthetic]" in ours
    assert "au_f1[dlib]" not in ours and "hs[dlib]" not in ours  # we have guessed both from its landmarks
    assert "lmd[dlib]" not in result.rows["re_encoded_truth"]


def write_csv(folder, key, video, without=()):
    """What OpenFace writes of a video, with its JSON file; rows `without` are left out."""
    number = np.array([frame for frame in range(FRAMES) if frame not in without])
    points = np.tile(FACE, (FRAMES, 1, 1))[number] * (2 if "made" in str(video) else 1) - 0.5
    rng = np.random.default_rng(0)
    table = {"frame": number + 1, "timestamp": number / 25, "confidence": 0 * number + 0.98, "success": 0 * number + 1}
    table |= {f"{axis}_{point}": points[:, point, index] for point in range(68) for index, axis in enumerate("xy")}
    strength = {"AU45": np.where((number >= 5) & (number < 8), 4, 0), "AU12": 0 * number + 2}
    table |= {f"{unit}_r": strength.get(unit, 0 * number) for unit in AU_INTENSITY}
    table |= {f"{unit}_c": (np.asarray(strength.get(unit, 0 * number)) > 0).astype(int) for unit in AU_PRESENCE}
    turns = rng.normal(0, 0.1, FRAMES)[number]
    table |= {f"pose_{name}": 600 + 0 * number if name == "Tz" else turns for name in POSE}
    rows = zip(*table.values(), strict=True)
    lines = [", ".join(table), *(", ".join(f"{value:.6g}" for value in row) for row in rows)]
    path = folder / "folder" / f"{key}.csv"
    path.with_suffix(".npz").unlink()
    path.write_text("\n".join(lines) + "\n")
    size, digest = sha256(Location(str(video)))
    facts = {"video_bytes": size, "video_sha256": digest, "person_normalised": True, "focal": None}
    path.with_suffix(".json").write_text(json.dumps(facts))


def test_openface_s_units_and_pose_count_beside_our_own_judge_s(place):
    alone = result_of(collect_videos(place / "made", place / "true", judges=planted.judges())[0], "").rows["ours"]
    for side in ("true", "made"):
        write_csv(place / "labels" / side, "s1/a", place / side / "s1/a.mp4", without=(10,) if side == "made" else ())
    result = result_of(measured(place), "")
    rows = result.rows["ours"]
    assert rows["au_f1[openface_csv, AU12]"].mean == 1 and "hs[openface_csv]" not in rows
    assert "hs[openface_csv]" in json.dumps(result.left_out[HS_ALONE])
    assert rows["au_f1[openface_csv]"].mean == 1  # the two units that show up
    assert rows["blink_rate_au45[openface_csv]"].mean == pytest.approx(1 / ((FRAMES - 1) / 25))
    assert rows["undetected[openface_csv]"].mean == pytest.approx(1 / FRAMES)  # a row that is left out is no face
    assert rows["lmd[dlib]"].n == 1
    for name in (name for name in alone if name.startswith(("au_", "lmd", "hs"))):
        assert rows[name].mean == alone[name].mean, name


@pytest.mark.parametrize("every", [1, 2])
def test_frames_that_the_tracker_lost_do_not_count(place, every):
    """Of pictures 0, `every`, 2 `every` ... the fourth one shows it no face."""
    times = np.arange(0, FRAMES, every)
    found = (np.arange(len(times)) != 3).astype(np.uint8)
    label(place / "labels/made", "s1/a", place / "made/s1/a.mp4", np.tile(2 * FACE, (len(times), 1, 1)),
          times=times / 25, face_ok=found)
    collected = measured(place)
    lost = collected.rows["ours"]["undetected[dlib]"][0]
    last = FRAMES - 1 - times[-1]  # behind the last look
    assert lost.above == (1 if every == 1 else 3) + last and lost.below == FRAMES


@pytest.mark.parametrize("change, reason", [
    ({"video_bytes": 3}, "no labels that fit the files"),
    ({"tracker": "mediapipe"}, "labels of the two sides by different trackers"),
])
def test_labels_that_do_not_fit_are_left_out_and_said(place, change, reason):
    label(place / "labels/made", "s1/b", place / "made/s1/b.mp4", np.tile(FACE, (FRAMES, 1, 1)), **change)
    collected = measured(place)
    assert collected.left_out[reason]["ours"] == {
        1: ["lmd[labels]", "lmd_abs[labels]", "f_lmd[labels]", "blink_rate_ear[labels]"]}
    assert result_of(collected, "").rows["ours"]["lmd[dlib]"].n == 1


def test_the_command_takes_them_with_videos_alone(place, monkeypatch):
    monkeypatch.setattr(Judges, "load", classmethod(lambda cls, public: planted.judges()))
    labels = [str(place / "labels/made"), str(place / "labels/true")]
    videos = ["--videos", str(place / "made"), "--reference", str(place / "true"), "--out", str(place / "out")]
    assert command.run([*videos, "--labels", *labels]) == 0
    table = json.loads((place / "out/table.json").read_text())
    assert "lmd[dlib]" in json.dumps(table)
    with pytest.raises(UserError, match="no folder; give what `thjax label"):
        command.run([*videos, "--labels", labels[0], str(place / "nowhere")])
    with pytest.raises(UserError, match="--labels are those of --videos"):
        command.run(["--checkpoint", "run", "--data", "corpus", "--labels", *labels])
