"""PSNR and SSIM in every variant, against scikit-image, dm-pix, torch, wrapped integers and closed forms."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from thjax.metrics.colour import grey
from thjax.metrics.image import PSNR_CAP, psnr, psnr_per_frame, psnr_uint8_overflow, ssim, ssim_skimage7, ssim_torch11


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (3, 32, 24, 3)).astype(np.uint8)
    noisy = np.clip(truth + rng.normal(0, [[[[4]]], [[[12]]], [[[40]]]], truth.shape), 0, 255).astype(np.uint8)
    return truth, noisy


def test_grey_is_pillows(clips):
    from PIL import Image

    expected = [np.asarray(Image.fromarray(frame).convert("L")) for frame in clips[0]]
    np.testing.assert_array_equal(grey(clips[0]), expected)
    np.testing.assert_allclose(grey(clips[0].astype(float)), expected, atol=0.51)
    with pytest.raises(ValueError, match="three|3"):
        grey(np.zeros((1, 4, 4, 2)))


def test_psnr_per_frame_is_the_mean_of_scikit_images(clips):
    frames = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(*clips, strict=True)]
    assert psnr_per_frame(*clips) == pytest.approx(np.mean(frames), abs=1e-9)
    assert psnr_per_frame(*clips) > psnr(*clips)  # the logarithm is concave


def test_psnr_equals_dm_pix_in_single_precision(clips):
    import dm_pix as pix  # brings jax along

    a, b = (clip.astype(np.float32) / 255 for clip in clips)
    assert psnr_per_frame(*clips) == pytest.approx(float(np.mean(pix.psnr(a, b))), abs=1e-3)
    assert psnr(*clips) == pytest.approx(float(pix.psnr(a.reshape(1, -1, 24, 3), b.reshape(1, -1, 24, 3))[0]), abs=1e-3)


def test_identical_frames_are_capped():
    same = np.zeros((2, 16, 16, 3), np.uint8)
    other = same.copy()
    other[1] = 10
    assert psnr_per_frame(same, same) == psnr_uint8_overflow(same, same) == PSNR_CAP
    assert psnr_per_frame(same, other) == pytest.approx((PSNR_CAP + 20 * np.log10(25.5)) / 2)


def test_the_overflow_variant_counts_wrapped_errors():
    """The wrap by hand: an error of e counts as (e * e) mod 256, so 16 counts as none and 20 as 12."""
    truth = np.full((1, 16, 16, 1), 100, np.uint8)
    for error in (3, 15, 20, -20, 100):
        expected = 10 * np.log10(255**2 / (error * error % 256))
        assert psnr_uint8_overflow(truth, (truth.astype(int) + error).astype(np.uint8)) == pytest.approx(expected)
    assert psnr_uint8_overflow(truth, truth + np.uint8(16)) == PSNR_CAP


def test_the_overflow_variant_prints_28_where_the_truth_is_11():
    rng = np.random.default_rng(1)
    truth = rng.integers(60, 196, (2, 64, 64, 1)).astype(np.uint8)
    noisy = np.clip(truth + rng.normal(0, 75, truth.shape), 0, 255).astype(np.uint8)
    assert psnr_per_frame(truth, noisy) < 12
    assert 27.5 < psnr_uint8_overflow(truth, noisy) < 28.5
    mild = np.clip(truth + rng.integers(-15, 16, truth.shape), 0, 255).astype(np.uint8)
    assert psnr_uint8_overflow(truth, mild) == pytest.approx(psnr_per_frame(truth, mild))
    with pytest.raises(ValueError, match="float64.*uint8"):
        psnr_uint8_overflow(truth.astype(float), noisy.astype(float))


def test_ssim_gauss11_equals_scikit_image_and_dm_pix(clips):
    expected = [
        structural_similarity(a, b, channel_axis=-1, data_range=255, gaussian_weights=True, sigma=1.5,
                              use_sample_covariance=False)
        for a, b in zip(*clips, strict=True)
    ]
    assert ssim(*clips) == pytest.approx(np.mean(expected), abs=1e-9)
    import dm_pix as pix  # brings jax along

    a, b = (clip.astype(np.float32) / 255 for clip in clips)
    assert ssim(*clips) == pytest.approx(float(np.mean(pix.ssim(a, b))), abs=1e-4)


def test_ssim_skimage7_equals_scikit_images_default(clips):
    expected = [structural_similarity(a, b, channel_axis=-1, data_range=255) for a, b in zip(*clips, strict=True)]
    assert ssim_skimage7(*clips) == pytest.approx(np.mean(expected), abs=1e-9)


def test_ssim_torch11_equals_a_zero_padded_convolution_in_torch(clips):
    torch = pytest.importorskip("torch")
    line = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    window = (line / line.sum()).outer(line / line.sum()).expand(3, 1, 11, 11)

    def mean(x):
        return torch.nn.functional.conv2d(x, window, padding=5, groups=3)

    x, y = (torch.tensor(clip / 255.0).permute(0, 3, 1, 2) for clip in clips)
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    value = ((2 * mx * my + 1e-4) * (2 * cov + 9e-4)) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim_torch11(*clips) == pytest.approx(float(value.mean()), abs=1e-9)


def test_every_ssim_is_one_for_equal_clips_and_known_for_two_greys():
    black, white = np.zeros((1, 16, 16, 3), np.uint8), np.full((1, 16, 16, 3), 255, np.uint8)
    for measure in (ssim, ssim_skimage7, ssim_torch11):
        assert measure(white, white) == pytest.approx(1)
    for measure in (ssim, ssim_skimage7):
        assert measure(black, white) == pytest.approx(6.5025 / (255**2 + 6.5025))
    with pytest.raises(ValueError, match="7 x 7.*6 x 16"):
        ssim_skimage7(black[:, :6], white[:, :6])


def test_psnr_names_a_mask_of_the_wrong_shape_and_empty_clips(clips):
    with pytest.raises(ValueError, match=r"\(3, 32\).*\[T, H, W\]"):
        psnr(*clips, mask=np.ones((3, 32), bool))
    with pytest.raises(ValueError, match="no frame"):
        psnr_per_frame(clips[0][:0], clips[1][:0])
