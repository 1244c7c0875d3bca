"""Distances between distributions of features: Frechet and kernel."""

import dataclasses
import warnings

import numpy as np

from thjax.metrics.merging import Moments
from thjax.metrics.names import metric_name
from thjax.metrics.shapes import expect_shape, finite

FEWEST_SAMPLES = 2048
"""Below this many samples a side a Frechet distance is biased upward too far to be compared."""
KERNEL_ROWS = 1024


@dataclasses.dataclass(frozen=True)
class Features:
    """Features of one side, as shards and hosts sum them up with `+`.

    Attributes:
        moments: of all rows.
        kept: [k, D] float64, at most `FEWEST_SAMPLES` rows: what a kernel distance needs where N is small. Which rows
            follows from themselves alone, so that the order of shards decides nothing.
    """

    moments: Moments
    kept: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Features":
        """Of features [N, D]."""
        return cls(Moments.of(features), _drawn(features.astype(np.float64)))

    def __add__(self, other: "Features") -> "Features":
        moments = self.moments + other.moments
        return Features(moments, _drawn(np.concatenate([self.kept, other.kept])))


def _drawn(rows: np.ndarray) -> np.ndarray:
    """At most `FEWEST_SAMPLES` of [N, D] float64 rows: those with the least hashes, of all in that order."""
    odd = np.random.default_rng(0).integers(0, 2**63, rows.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    bits = np.ascontiguousarray(rows).view(np.uint64)
    hashed = (bits ^ (bits >> np.uint64(29))) @ odd  # modulo 2^64
    hashed = (hashed ^ (hashed >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return rows[np.argsort(hashed, kind="stable")[:FEWEST_SAMPLES]]


def frechet(real: Moments, made: Moments) -> float:
    """Frechet distance of two Gaussians: |m1 - m2|^2 + tr(S1 + S2 - 2 sqrt(S1 S2)).

    Source: Heusel et al. 2017 (FID, with Inception features). The estimate is biased upward, by an amount that depends
    on the number of samples: only values of one N compare.

    Args:
        real: of features of true frames or clips.
        made: of generated ones, by the same network.

    Returns:
        Squared units of the features, 0 and up, lower is better.

    Raises:
        ValueError: numbers of features differ, or a side has fewer than two samples.
    """
    if real.mean.shape != made.mean.shape:
        raise ValueError(f"real features have {real.mean.size} components, generated ones {made.mean.size}; "
                         "one network must make both")
    apart = real.mean - made.mean
    root = _root(real.covariance)
    shared = np.sqrt(_eigenvalues(root @ made.covariance @ root)).sum()
    value = apart @ apart + np.trace(real.covariance) + np.trace(made.covariance) - 2 * shared
    return float(max(value, 0.0))


def kernel_distance(real: np.ndarray, made: np.ndarray) -> float:
    """Kernel distance (KID): unbiased squared maximum mean discrepancy under the kernel (x.y / D + 1)^3.

    Source: Binkowski et al. 2018; over all samples at once, which is what their random subsets estimate.

    Args:
        real: [N, D] features, N at least 2.
        made: [M, D] features, M at least 2.

    Returns:
        0 on average for equal distributions, slightly negative by chance; lower is better.

    Raises:
        ValueError: shapes or values are wrong.
    """
    for name, features in (("real", real), ("generated", made)):
        expect_shape(f"{name} features", features, ("N", real.shape[1]))
        finite(f"{name} features", features)
        if len(features) < 2:
            raise ValueError(f"{name} features have {len(features)} row; a kernel distance needs at least 2")
    n, m = len(real), len(made)
    within_real = (_kernel_sum(real, real) - _kernel_diagonal(real)) / (n * (n - 1))
    within_made = (_kernel_sum(made, made) - _kernel_diagonal(made)) / (m * (m - 1))
    return float(within_real + within_made - 2 * _kernel_sum(real, made) / (n * m))


def distribution_distances(real: Features, made: Features, network: str, crop: str, size: int,
                           base: str = "fid") -> dict[str, float]:
    """The Frechet distance under its full name; below 2,048 samples a side also the kernel distance, and a warning.

    Args:
        real: of true frames or clips.
        made: of generated ones.
        network: that made the features, for example `inception-2015`.
        crop: what of the frame it saw, for example `head`.
        size: side of the crop in pixels before the network's own resize.
        base: `fid`, or another Frechet distance's name, for example `fvd`.

    Returns:
        {`fid[inception-2015, head 128, N=4096]`: value}, N the smaller side, and `kid[...]` where N is small.
    """
    n = min(real.moments.count, made.moments.count)
    values = {metric_name(base, network, crop, size, n): frechet(real.moments, made.moments)}
    if n < FEWEST_SAMPLES:
        name = metric_name("kid", network, crop, size, n)
        warnings.warn(f"{base} over {n} samples is biased upward (fewer than {FEWEST_SAMPLES}); read {name} beside it, "
                      "or measure more frames", stacklevel=2)
        values[name] = kernel_distance(real.kept, made.kept)
    return values


def _eigenvalues(matrix: np.ndarray) -> np.ndarray:
    """[D] eigenvalues of a positive semi-definite matrix; what is rounding error of zero becomes zero.

    The square root turns an error of 1e-16 into 1e-8, once for each of hundreds of empty directions.
    """
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return np.where(values > _noise(values), values, 0.0)


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.where(values > _noise(values), values, 0.0))) @ vectors.T


def _noise(values: np.ndarray) -> float:
    return max(values.max(), 0.0) * len(values) * np.finfo(np.float64).eps


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of the kernel over all pairs, in blocks of rows, so that memory stays bounded."""
    y = y.astype(np.float64)
    blocks = (x[start : start + KERNEL_ROWS].astype(np.float64) for start in range(0, len(x), KERNEL_ROWS))
    return sum(float(((block @ y.T / x.shape[1] + 1) ** 3).sum()) for block in blocks)


def _kernel_diagonal(x: np.ndarray) -> float:
    squares = (x.astype(np.float64) ** 2).sum(axis=1)
    return float(((squares / x.shape[1] + 1) ** 3).sum())
