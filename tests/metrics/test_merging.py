"""Sums over shards against one pass."""

import numpy as np
import pytest

from thjax.metrics.merging import Moments, PerClip, Ratio, merge


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(1e4, [1, 30, 0.01], (500, 3))


@pytest.mark.parametrize("shards", [1, 2, 7, 100])
def test_moments_of_shards_are_numpys_of_everything(features, shards):
    """A mean a million deviations from zero: raw sums of squares would lose ten digits here."""
    merged = merge(Moments.of(part) for part in np.array_split(features, shards))
    assert merged.count == 500
    np.testing.assert_allclose(merged.mean, features.mean(0), rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, np.cov(features.T), rtol=1e-9, atol=1e-9)
    one_pass = Moments.of(features)
    np.testing.assert_allclose(merged.covariance, one_pass.covariance, rtol=1e-9, atol=1e-9)


def test_half_precision_features_are_summed_in_double():
    x = np.random.default_rng(1).normal(100, 1, (4000, 2)).astype(np.float16)
    np.testing.assert_allclose(Moments.of(x).covariance, np.cov(x.astype(np.float64).T), rtol=1e-12)


def test_ratios_weigh_long_clips_more():
    rng = np.random.default_rng(2)
    above, below = rng.random(1000), rng.random(1000)
    parts = [merge(Ratio(*pair) for pair in zip(above[i::4], below[i::4], strict=True)) for i in range(4)]
    assert merge(parts).value == pytest.approx(above.sum() / below.sum(), abs=1e-12)
    assert np.isnan(Ratio(0, 0).value)


def test_per_clip_values_do_not_depend_on_shards_or_order():
    values = {f"clip{i}": float(i) for i in range(9)}
    halves = [PerClip({"psnr": {k: v for k, v in values.items() if int(k[4]) % 2 == rest}}) for rest in (0, 1)]
    for order in (halves, halves[::-1]):
        names, kept = merge(order).of("psnr")
        assert names == sorted(values) and kept.tolist() == [values[name] for name in names]
    other = PerClip({"ssim": {"clip0": 1.0}})
    assert set(merge([*halves, other]).values) == {"psnr", "ssim"}


def test_overlapping_shards_and_nothing_at_all_are_named():
    with pytest.raises(ValueError, match="'a'.*psnr.*overlap"):
        PerClip({"psnr": {"a": 1.0}}) + PerClip({"psnr": {"a": 1.0, "b": 2.0}})
    with pytest.raises(ValueError, match="'ssim' was not measured; there are psnr"):
        PerClip({"psnr": {"a": 1.0}}).of("ssim")
    with pytest.raises(ValueError, match="nothing to merge"):
        merge([])


def test_moments_name_what_they_cannot_take(features):
    with pytest.raises(ValueError, match="3 and 2 features"):
        Moments.of(features) + Moments.of(features[:, :2])
    with pytest.raises(ValueError, match="1 of 1500"):
        Moments.of(np.where(features == features[4, 1], np.nan, features))
    with pytest.raises(ValueError, match=r"\[N, D\].*\(500,\)"):
        Moments.of(features[:, 0])
