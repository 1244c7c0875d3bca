"""CPBD against the public package, Canny against scikit-image, FDBM against spectra known by hand and torch."""

import numpy as np
import pytest
import scipy.ndimage
from skimage import data
from skimage.feature import canny as skimage_canny

from thjax.metrics.canny import canny
from thjax.metrics.sharpness import cpbd, fdbm


@pytest.fixture(scope="module")
def package():
    """The `cpbd` package imports a picture reader that SciPy has dropped and that its `compute` does not use."""
    if not hasattr(scipy.ndimage, "imread"):
        scipy.ndimage.imread = None
    import cpbd as package

    return package


@pytest.fixture(scope="module")
def picture():
    return data.camera()[100:228, 150:310].astype(np.float64)


@pytest.mark.parametrize("sigma", [0, 0.5, 1, 2])
def test_cpbd_equals_the_public_package(package, picture, sigma):
    plane = scipy.ndimage.gaussian_filter(picture, sigma)
    assert cpbd(plane[None, ..., None]) == pytest.approx(package.compute(plane), abs=1e-12)


def test_cpbd_equals_the_package_on_noise_long_ramps_and_odd_sizes(package):
    rng = np.random.default_rng(0)
    ramp = np.tile(np.minimum(np.abs(np.arange(300) - 150.0), 120), (64, 1))
    noisy_ramp = ramp + rng.normal(0, 3, ramp.shape)
    for plane in (rng.integers(0, 256, (70, 131)), rng.integers(100, 120, (64, 64)), ramp, noisy_ramp):
        plane = plane.astype(np.float64)
        assert cpbd(plane[None, ..., None]) == pytest.approx(package.compute(plane), abs=1e-12)


def test_cpbd_falls_with_blur_and_is_a_mean_over_frames(picture):
    blurred = [scipy.ndimage.gaussian_filter(picture, sigma) for sigma in (0, 0.5, 1, 2)]
    values = [cpbd(plane[None, ..., None]) for plane in blurred]
    assert values == sorted(values, reverse=True) and values[0] > values[-1] + 0.2
    assert cpbd(np.stack(blurred)[..., None]) == pytest.approx(np.mean(values))


def test_cpbd_of_a_flat_frame_is_zero_and_small_frames_are_named():
    assert cpbd(np.full((1, 64, 64, 3), 90, np.uint8)) == 0
    with pytest.raises(ValueError, match="64 x 64.*48 x 96"):
        cpbd(np.zeros((1, 48, 96, 3), np.uint8))


def test_canny_equals_scikit_image(picture):
    for plane in (picture, scipy.ndimage.gaussian_filter(picture, 3), np.zeros((9, 7))):
        np.testing.assert_array_equal(canny(plane), skimage_canny(plane))


def test_fdbm_of_spectra_known_by_hand():
    point = np.zeros((1, 16, 8, 1), np.uint8)
    point[0, 3, 5] = 200
    assert fdbm(point) == 1  # flat spectrum
    assert fdbm(np.full((1, 16, 8, 1), 7, np.uint8)) == 1 / 128  # the mean alone
    stripes = np.tile(np.array([0, 200], np.uint8), (1, 16, 4))[..., None]
    assert fdbm(stripes) == 2 / 128  # the mean and the finest wave
    assert fdbm(np.zeros((1, 4, 4, 3), np.uint8)) == 0


def test_fdbm_equals_a_count_with_torchs_transform(picture):
    torch = pytest.importorskip("torch")
    smooth = np.stack([scipy.ndimage.gaussian_filter(picture, sigma) for sigma in (0, 1, 3)])
    counts = []
    for plane in smooth:
        magnitude = torch.fft.fftshift(torch.fft.fft2(torch.tensor(plane))).abs()
        counts.append(float((magnitude > magnitude.max() / 1000).double().mean()))
    assert counts == sorted(counts, reverse=True)
    assert fdbm(smooth[..., None]) == pytest.approx(np.mean(counts), abs=1e-12)
