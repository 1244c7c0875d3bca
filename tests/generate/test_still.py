"""The crop of a user's picture, against scikit-image's similarity and warp."""

import numpy as np
import pytest
from skimage import data, transform

from data_pipelines.crops import STABLE_LANDMARKS, canonical_template
from data_pipelines.schema import DataError
from tests.generate.toy_sampler import face
from thjax.core.data_spec import CropSpec
from thjax.generate.still import prepare_still, read_landmarks

CANONICAL = CropSpec("canonical", 64, 48)


def planted_landmarks(scale: float, angle: float, shift: tuple[float, float]) -> tuple[np.ndarray, object]:
    """Landmarks whose stable points lie where a known similarity puts the template, and that similarity."""
    known = transform.SimilarityTransform(scale=scale, rotation=angle, translation=shift)
    landmarks = np.random.default_rng(0).uniform(20, 100, (68, 2))
    landmarks[list(STABLE_LANDMARKS)] = known(canonical_template(64, 48))
    return landmarks, known


def smooth_picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([128 + 100 * np.sin(x / 30), 128 + 100 * np.cos(y / 25), 128 + 90 * np.sin((x + y) / 40)], -1)


@pytest.mark.parametrize("scale", [0.9, 1.0])
def test_landmarks_place_the_face(scale):
    picture = smooth_picture(160, 150)
    landmarks, known = planted_landmarks(scale, 0.2, (40.0, 30.0))
    still = prepare_still(picture.astype(np.uint8), landmarks, CANONICAL)
    centres = transform.SimilarityTransform(translation=(0.5, 0.5))  # scikit-image puts pixel centres at whole numbers
    move = centres + known + centres.inverse
    truth = transform.warp(picture, move, output_shape=(64, 48), order=1, mode="edge", preserve_range=True)
    assert still.shape == (64, 48, 3) and still.dtype == np.uint8
    assert np.abs(still - truth).max() < 1.6


def test_a_photograph_is_aligned_by_its_eyes_and_nose():
    photograph = data.astronaut()
    seen = {33: (224.5, 130.5), 36: (192.5, 100.0), 39: (210.5, 103.0), 42: (238.3, 104.5), 45: (258.8, 102.0)}
    landmarks = np.full((68, 2), np.mean(list(seen.values()), axis=0))
    landmarks[list(seen)] = list(seen.values())
    still = prepare_still(photograph, landmarks, CropSpec("canonical", 128, 96))
    known = transform.SimilarityTransform.from_estimate(canonical_template(128, 96), np.array(list(seen.values())))
    centres = transform.SimilarityTransform(translation=(0.5, 0.5))
    move = centres + known + centres.inverse
    truth = transform.warp(photograph, move, output_shape=(128, 96), order=1, mode="edge", preserve_range=True)
    assert np.abs(still - truth).mean() < 2
    eyes = still[36:46].mean(axis=2)
    assert eyes[:, 20:36].min() < 70 and eyes[:, 60:76].min() < 70 and eyes[:, 44:52].min() > 120  # pupils, and skin


def test_a_models_own_template_is_used():
    landmarks, known = planted_landmarks(1.0, 0.0, (40.0, 30.0))
    picture = smooth_picture(160, 150).astype(np.uint8)
    moved = prepare_still(picture, landmarks, CANONICAL, canonical_template(64, 48) + 3)
    usual = prepare_still(picture, landmarks, CANONICAL)
    np.testing.assert_array_equal(moved[3:, 3:], usual[:-3, :-3])


def test_without_landmarks_the_middle_is_taken_and_told(caplog):
    picture = face(96, 200)
    still = prepare_still(picture, None, CANONICAL)
    assert "no landmarks: taking the middle" in caplog.text
    middle = transform.resize(picture[:, 64:136].astype(float), (64, 48), order=1, anti_aliasing=True)
    assert np.abs(still.astype(float) - middle)[4:-4, 4:-4].mean() < 3


def test_a_picture_of_the_models_size_is_taken_as_it_is(caplog):
    np.testing.assert_array_equal(prepare_still(face(), None, CANONICAL), face())
    assert not caplog.text


def test_a_recipe_without_landmarks_says_that_they_are_not_used(caplog):
    prepare_still(face(100, 100), np.ones((68, 2)), CropSpec("centre", 64, 48))
    assert "uses no landmarks" in caplog.text


def test_landmark_files(tmp_path):
    points = np.random.default_rng(0).uniform(0, 200, (68, 2)).astype(np.float32)
    np.savez(tmp_path / "a.npz", landmarks=points[None])
    np.savez(tmp_path / "only.npz", points)
    np.save(tmp_path / "a.npy", points)
    np.savetxt(tmp_path / "a.csv", points, delimiter=",", header="x,y", fmt="%.6f")
    np.savetxt(tmp_path / "a.txt", points, fmt="%.6f")
    lines = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    (tmp_path / "a.pts").write_text("version: 1\nn_points: 68\n{\n" + lines + "\n}\n")
    for name in ("a.npz", "only.npz", "a.npy", "a.csv", "a.txt", "a.pts"):
        np.testing.assert_allclose(read_landmarks(tmp_path / name), points, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name, content, message", [
    ("a.txt", "1 2\n3 4\n", r"shape \(2, 2\); give 68 rows"),
    ("a.txt", "1 2\n3\n", "no landmarks"),
    ("a.csv", "", "is empty"),
    ("a.csv", "\n".join(["1,nan"] * 68), "not finite"),
    ("a.npz", "no zip", "no landmarks"),
])
def test_bad_landmark_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_landmarks(tmp_path / name)


def test_a_landmark_file_that_was_cut_short_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", landmarks=np.ones((68, 2)))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:600])
    with pytest.raises(DataError, match="a.npz: no landmarks"):
        read_landmarks(tmp_path / "a.npz")


def test_landmarks_that_were_pickled_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no landmarks"):
        read_landmarks(tmp_path / "a.npy")
