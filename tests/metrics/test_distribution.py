"""Frechet and kernel distances against SciPy's matrix root, scikit-learn's kernel, closed forms; names and warnings."""

import warnings

import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics.pairwise import polynomial_kernel

from thjax.metrics.distribution import Features, distribution_distances, frechet, kernel_distance
from thjax.metrics.merging import Moments, merge


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(24, 24)) / 5
    return rng.normal(1, 1, (400, 24)) @ mix, rng.normal(0.8, 1.3, (300, 24)) @ mix + 0.1


def test_frechet_equals_the_matrix_root_of_scipy(features):
    real, made = features
    s1, s2 = np.cov(real.T), np.cov(made.T)
    root = scipy.linalg.sqrtm(s1 @ s2).real
    expected = ((real.mean(0) - made.mean(0)) ** 2).sum() + np.trace(s1 + s2 - 2 * root)
    assert frechet(Moments.of(real), Moments.of(made)) == pytest.approx(expected, abs=1e-9)


def test_frechet_of_planted_gaussians():
    """Exact moments: a shift of d costs |d|^2, scaling by k costs (k - 1)^2 tr(S)."""
    x = np.random.default_rng(1).normal(size=(50, 6))
    moments, trace = Moments.of(x), np.trace(np.cov(x.T))
    assert frechet(moments, moments) == pytest.approx(0, abs=1e-9)
    assert frechet(moments, Moments.of(x + 2)) == pytest.approx(24, abs=1e-9)
    centred = x - x.mean(0)
    assert frechet(Moments.of(centred), Moments.of(3 * centred)) == pytest.approx(4 * trace, abs=1e-9)


def test_fewer_samples_than_features_leave_no_rounding_behind():
    """With empty directions in both covariances the nuclear norm of the data gives the root without squaring."""
    rng = np.random.default_rng(2)
    real, made = rng.normal(5, 1, (40, 200)), rng.normal(5, 1, (30, 200))
    a, b = real - real.mean(0), made - made.mean(0)
    shared = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(39 * 29)
    expected = ((real.mean(0) - made.mean(0)) ** 2).sum() + (a**2).sum() / 39 + (b**2).sum() / 29 - 2 * shared
    assert frechet(Moments.of(real), Moments.of(made)) == pytest.approx(expected, abs=1e-6)
    assert frechet(Moments.of(real), Moments.of(real)) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_equals_scikit_learns_kernel(features):
    real, made = features
    kernel = [polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((real, real), (made, made), (real, made))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernel[:2]]
    assert kernel_distance(real, made) == pytest.approx(within[0] + within[1] - 2 * kernel[2].mean(), abs=1e-9)


def test_kernel_distance_is_unbiased_where_frechet_is_not():
    rng = np.random.default_rng(3)
    draws = [(rng.normal(size=(60, 10)), rng.normal(size=(60, 10))) for _ in range(60)]
    kid = np.array([kernel_distance(a, b) for a, b in draws])
    assert abs(kid.mean()) < 3 * kid.std() / np.sqrt(60)
    assert min(frechet(Moments.of(a), Moments.of(b)) for a, b in draws) > 0.3


def test_names_carry_network_crop_size_and_n_and_small_sets_warn(features):
    real, made = (Features.of(side) for side in features)
    with pytest.warns(UserWarning, match=r"300 samples.*2048.*kid\[inception-2015, head 128, N=300\]"):
        values = distribution_distances(real, made, "inception-2015", "head", 128)
    assert list(values) == ["fid[inception-2015, head 128, N=300]", "kid[inception-2015, head 128, N=300]"]
    assert values["kid[inception-2015, head 128, N=300]"] == pytest.approx(kernel_distance(*features), abs=1e-9)


def test_what_is_kept_of_many_is_a_fair_sample_and_no_matter_of_order():
    rng = np.random.default_rng(5)
    rows = np.sort(rng.normal(size=(6000, 4)).astype(np.float32), axis=0)  # the first are the least
    parts = [Features.of(rows[start : start + 300]) for start in range(0, 6000, 300)]
    one, there, back = Features.of(rows), merge(parts), merge(parts[::-1])
    assert one.kept.shape == (2048, 4) and {*map(tuple, one.kept)} <= {*map(tuple, rows.astype(np.float64))}
    np.testing.assert_array_equal(there.kept, one.kept)
    np.testing.assert_array_equal(back.kept, one.kept)
    assert np.abs(one.kept.mean(0) - rows.mean(0)).max() < 4 / np.sqrt(2048)
    made = Features.of(rng.normal(size=(500, 4)))
    with pytest.warns(UserWarning, match="500 samples"):
        kid = {distribution_distances(side, made, "x", "head", 64)["kid[x, head 64, N=500]"]
               for side in (one, there, back)}
    assert len(kid) == 1


def test_from_2048_samples_on_there_is_one_value_and_no_warning():
    x = np.random.default_rng(4).normal(size=(2048, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = distribution_distances(Features.of(x), Features.of(x + 1), "i3d", "frame", 224, base="fvd")
    assert values == {"fvd[i3d, frame 224, N=2048]": pytest.approx(3)}


def test_shards_give_what_one_pass_gives(features):
    """Features far from zero, cut unevenly, merged in two orders: both distances within 1e-9."""
    real, made = (side + 1000 for side in features)
    cuts = [slice(0, 2), slice(2, 170), slice(170, 171), slice(171, 400)]
    whole = frechet(Moments.of(real), Moments.of(made))
    for order in (cuts, cuts[::-1]):
        sharded = merge(Features.of(real[cut]) for cut in order)
        assert frechet(sharded.moments, Moments.of(made)) == pytest.approx(whole, abs=1e-9)
        assert kernel_distance(sharded.kept - 1000, made - 1000) == pytest.approx(kernel_distance(*features), abs=1e-9)


def test_shards_agree_where_samples_are_fewer_than_features():
    real, made = (np.random.default_rng(seed).gamma(1, 0.5, (60, 150)) for seed in (5, 6))
    sharded = merge(Moments.of(part) for part in np.array_split(real, 7))
    whole = frechet(Moments.of(real), Moments.of(made))
    assert frechet(sharded, Moments.of(made)) == pytest.approx(whole, abs=1e-9)


def test_what_cannot_be_compared_is_named(features):
    with pytest.raises(ValueError, match="24 components.*23"):
        frechet(Moments.of(features[0]), Moments.of(features[1][:, :23]))
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        frechet(Moments.of(features[0][:1]), Moments.of(features[1]))
    with pytest.raises(ValueError, match="at least 2"):
        kernel_distance(features[0], features[1][:1])
