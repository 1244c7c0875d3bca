import numpy as np
import pytest
import skimage.data
import skimage.transform

from data_pipelines import crops
from data_pipelines.schema import DataError
from thjax.core.data_spec import CropSpec

# The pairs of the iBUG 68 markup, as its figure numbers them (here from 0).
PAIRS = [(0, 16), (1, 15), (2, 14), (3, 13), (4, 12), (5, 11), (6, 10), (7, 9), (17, 26), (18, 25), (19, 24), (20, 23),
         (21, 22), (31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53),
         (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
MIDDLE = [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def similarity_matrix(scale, angle, shift):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]], np.float32)


def reference_warp(image, affine, size):
    """skimage's bilinear warp; its pixel centres are at whole numbers, ours at +0.5."""
    to_half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    full = np.vstack([affine.astype(float), [0, 0, 1]])
    transform = skimage.transform.AffineTransform(matrix=np.linalg.inv(to_half) @ full @ to_half)
    return skimage.transform.warp(image.astype(float), transform.inverse, order=1, mode="edge", output_shape=size,
                                  preserve_range=True)


def test_mirrored_landmarks_are_the_pairs_of_the_markup():
    expected = np.arange(68)
    for a, b in PAIRS:
        expected[a], expected[b] = b, a
    np.testing.assert_array_equal(crops.MIRRORED_LANDMARKS, expected)
    assert sorted(MIDDLE + [i for pair in PAIRS for i in pair]) == list(range(68))


def test_similarity_equals_skimage():
    rng = np.random.default_rng(0)
    source, target = rng.normal(50, 20, (4, 5, 2)), rng.normal(30, 9, (5, 2))
    for points, ours in zip(source, crops.similarity(source, target), strict=True):
        reference = skimage.transform.SimilarityTransform.from_estimate(points, target)
        np.testing.assert_allclose(ours, reference.params[:2], rtol=1e-5, atol=1e-5)


def test_canonical_brings_moved_and_turned_landmarks_to_the_template():
    spec = CropSpec("canonical", 64, 48)
    template = crops.canonical_template(64, 48)
    moves = np.stack([similarity_matrix(s, a, t) for s, a, t in ((2.0, 0.3, (9, 5)), (1.4, -0.2, (20, 0)))])
    landmarks = np.random.default_rng(0).uniform(0, 96, (2, 68, 2)).astype(np.float32)
    landmarks[:, crops.STABLE_LANDMARKS] = crops.transform_points(np.stack([template] * 2), moves)
    affine = crops.affine_for(spec, landmarks, (96, 96))
    moved = crops.transform_points(landmarks, affine)
    np.testing.assert_allclose(moved[:, crops.STABLE_LANDMARKS], np.stack([template] * 2), atol=2e-4)


@pytest.mark.parametrize("size", [(128, 96), (64, 48), (64, 64), (96, 48)])
def test_the_template_is_one_shape_at_every_size(size):
    template = crops.canonical_template(*size)
    base = crops.canonical_template(64, 48)
    scale = min(size[0] / 64, size[1] / 48)
    np.testing.assert_allclose(template - template.mean(0), scale * (base - base.mean(0)), atol=1e-4)
    assert (template > 0).all() and (template < np.array(size[::-1])).all()


def test_centre_takes_the_largest_box_of_the_wanted_aspect():
    affine = crops.affine_for(CropSpec("centre", 64, 48), None, (100, 200), 3)
    corners = np.array([[[62.5, 0.0], [137.5, 100.0]]] * 3)
    np.testing.assert_allclose(crops.transform_points(corners, affine), [[[0, 0], [48, 64]]] * 3, atol=1e-4)


def test_none_takes_frames_as_they_are_or_says_why_not():
    frames = np.random.default_rng(0).integers(0, 255, (2, 8, 6, 3)).astype(np.uint8)
    affine = crops.affine_for(CropSpec("none", 8, 6), None, (8, 6), 2)
    np.testing.assert_array_equal(crops.warp(frames, affine, (8, 6)), frames)
    with pytest.raises(DataError, match="takes frames as stored, 8 x 6, and the spec asks for 8 x 8; set"):
        crops.affine_for(CropSpec("none", 8, 8), None, (8, 6))


def test_canonical_without_landmarks_says_what_to_do():
    with pytest.raises(DataError, match="'canonical' needs landmarks and the records have none; label the corpus"):
        crops.affine_for(CropSpec("canonical", 8, 6), None, (8, 6))


@pytest.mark.parametrize("scale,angle,shift", [(1.0, 0.0, (3.25, -2.5)), (1.7, 0.4, (10, -60)), (1.0, -0.9, (5, 90)),
                                               (3.0, 0.0, (-100, -150))])
def test_warp_without_shrinking_equals_skimage(scale, angle, shift):
    image = skimage.data.astronaut()[:128, 150:278]
    affine = similarity_matrix(scale, angle, shift)
    ours = crops.warp(image[None], affine[None], (90, 110))[0].astype(float)
    error = np.abs(ours - reference_warp(image, affine, (90, 110)))
    # Weights have 8 bits: at most 1/256 of the contrast of a pixel's neighbours, and half a level of rounding.
    assert error.max() < 2.0 and error.mean() < 0.35


def test_a_shift_by_whole_pixels_is_exact_and_the_border_repeats():
    image = np.random.default_rng(0).integers(0, 255, (1, 20, 30, 3)).astype(np.uint8)
    shifted = crops.warp(image, similarity_matrix(1, 0, (-4, 3))[None], (20, 30))[0]
    np.testing.assert_array_equal(shifted[3:, :26], image[0, :17, 4:])
    np.testing.assert_array_equal(shifted[:3, :26], np.repeat(image[0, :1, 4:], 3, 0))
    np.testing.assert_array_equal(shifted[3:, 26:], np.repeat(image[0, :17, -1:], 4, 1))


@pytest.mark.parametrize("shrink", [3, 5, 9])
def test_shrinking_by_an_odd_number_is_the_mean_of_blocks(shrink):
    size = 12
    image = np.random.default_rng(0).integers(0, 255, (1, size * shrink, size * shrink, 3)).astype(np.uint8)
    ours = crops.warp(image, similarity_matrix(1 / shrink, 0, (0, 0))[None], (size, size))[0]
    blocks = image[0].reshape(size, shrink, size, shrink, 3).mean((1, 3))
    assert np.abs(ours - blocks).max() <= 1.5


@pytest.mark.parametrize("shrink", [1.5, 2.0, 2.7, 4.2, 8.0])
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_shrinking_removes_what_the_crop_cannot_show(shrink, angle):
    """Noise of one pixel: area averages divide its deviation by the shrink; plain bilinear sampling keeps 2/3 of it."""
    noise = np.random.default_rng(0).normal(128, 40, (1, 300, 300, 3)).clip(0, 255).astype(np.uint8)
    affine = similarity_matrix(1 / shrink, angle, (0, 0))
    affine[:, 2] = 15 - affine[:, :2] @ [150, 150]
    crop = crops.warp(noise, affine[None], (30, 30))[0]
    assert crop.std() < 1.1 * noise.std() / shrink
    assert abs(crop.mean() - noise.mean()) < 2


def test_shrinking_keeps_what_the_crop_can_show():
    """A slow wave survives: within 4 % of skimage's resampling with its Gaussian prefilter."""
    y, x = np.mgrid[:192, :192] + 0.5
    image = np.repeat((127 + 100 * np.sin(2 * np.pi * (x + 0.5 * y) / 48))[..., None], 3, 2)
    ours = crops.warp(image.round().astype(np.uint8)[None], similarity_matrix(0.5, 0, (0, 0))[None], (96, 96))[0]
    reference = skimage.transform.resize(image, (96, 96), anti_aliasing=True)
    inner = np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(ours[inner].std(), reference[inner].std(), rtol=0.04)
    assert np.abs(ours[inner] - reference[inner]).max() < 6


def test_flat_areas_stay_exactly_flat():
    for value in (0, 1, 128, 255):
        frame = np.full((1, 50, 40, 3), value, np.uint8)
        for scale in (0.11, 0.37, 0.9, 1.3):
            affine = similarity_matrix(scale, 0.3, (1, 2))[None]
            assert (crops.warp(frame, affine, (20, 20)) == value).all()


def test_points_follow_the_pixels():
    """A bright spot is where its transformed coordinate says."""
    frame = np.zeros((1, 80, 80, 3), np.uint8)
    frame[0, 28:33, 48:53] = 255
    spot = np.array([[[50.5, 30.5]]])
    for scale, angle in ((1.6, 0.3), (0.6, -0.4)):
        affine = similarity_matrix(scale, angle, (5, 20))[None]
        crop = crops.warp(frame, affine, (128, 96))[0, ..., 0].astype(float)
        ys, xs = np.mgrid[:128, :96] + 0.5
        centre = np.array([(crop * xs).sum(), (crop * ys).sum()]) / crop.sum()
        np.testing.assert_allclose(crops.transform_points(spot, affine)[0, 0], centre, atol=0.05)


def test_a_frame_of_a_clip_is_warped_as_it_would_be_alone():
    frames = skimage.data.astronaut()[None, :96, 100:196].repeat(3, 0)
    affine = np.stack([similarity_matrix(s, 0.1, (0, 0)) for s in (0.4, 0.8, 1.5)])
    together = crops.warp(frames, affine, (64, 48))
    for t in range(3):
        np.testing.assert_array_equal(crops.warp(frames[t : t + 1], affine[t : t + 1], (64, 48))[0], together[t])


def test_mirror_twice_is_the_original():
    rng = np.random.default_rng(0)
    example = {"frames": rng.integers(0, 255, (3, 8, 6, 3)).astype(np.uint8), "still": np.ones((8, 6, 3), np.uint8),
               "landmarks": rng.uniform(0, 6, (3, 68, 2)).astype(np.float32), "au": rng.random((3, 17)),
               "pose": rng.normal(size=(3, 6)).astype(np.float32),
               "coefficients": rng.random((3, 3)).astype(np.float32)}
    coefficients = np.array([[0, 2, 1], [-1, 1, 1]])
    once = crops.mirror(example, 6, coefficients)
    twice = crops.mirror(once, 6, coefficients)
    for name, value in example.items():
        np.testing.assert_allclose(twice[name], value, atol=1e-6)  # coordinates up to 6
    np.testing.assert_array_equal(once["frames"], example["frames"][:, :, ::-1])
    np.testing.assert_array_equal(once["pose"], example["pose"] * [-1, 1, 1, 1, -1, -1])
    np.testing.assert_array_equal(once["coefficients"], example["coefficients"][:, [0, 2, 1]] * [-1, 1, 1])
    np.testing.assert_allclose(once["landmarks"][:, 36], [6, 0] + example["landmarks"][:, 45] * [-1, 1], atol=1e-6)


@pytest.mark.parametrize("size", [(3, 5), (40, 900), (2000, 1500)])
def test_any_photograph_gives_a_still(size):
    photograph = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    still, aligned = crops.crop_still(photograph, None, CropSpec("canonical", 64, 48))
    assert still.shape == (64, 48, 3) and still.dtype == np.uint8 and not aligned


def test_a_photograph_with_landmarks_is_aligned():
    photograph = skimage.data.astronaut()
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[list(crops.STABLE_LANDMARKS)] = crops.canonical_template(64, 48) * 2.5 + [180, 40]
    still, aligned = crops.crop_still(photograph, landmarks, CropSpec("canonical", 64, 48))
    assert aligned
    expected = skimage.transform.resize(photograph[40:200, 180:300].astype(float), (64, 48), anti_aliasing=True)
    assert np.abs(still - expected)[2:-2, 2:-2].mean() < 3
