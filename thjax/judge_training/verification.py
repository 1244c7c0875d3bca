"""Figures of verification: are two pictures of one person or of two, with intervals over people."""

import numpy as np

from thjax.metrics.bootstrap import LEVEL, bootstrap

DRAWS, BLOCK = 1_000, 50
"""Resamplings of people, and how many are held at once."""
THRESHOLDS = 400
"""At which errors are counted: half of them quantiles of each kind of pair, linear in between."""

Figure = dict


def figures(codes: np.ndarray, people: np.ndarray) -> dict[str, Figure]:
    """Equal error rate, share of nearest pictures that show the same person, mean cosines.

    Args:
        codes: `[N, D]` unit vectors.
        people: `[N]` who is seen.

    Returns:
        {"eer", "rank1", "same", "different"}: {"mean", "ci95", "n"}, n people; people are resampled.
    """
    cosines = codes @ codes.T
    known = people[:, None] == people
    itself = np.eye(len(codes), dtype=bool)
    nearest = np.where(itself, -np.inf, cosines).argmax(1)
    same, different = np.where(known & ~itself, cosines, np.nan), np.where(known, np.nan, cosines)
    return {
        "eer": equal_error(codes, people),
        "rank1": _over_people(people[nearest] == people, people),
        "same": _over_people(np.nanmean(same, 1), people),
        "different": _over_people(np.nanmean(different, 1), people),
    }


def equal_error(codes: np.ndarray, people: np.ndarray) -> Figure:
    """The error where as many pairs of one person are refused as pairs of two are accepted.

    Args:
        codes: `[N, D]` unit vectors.
        people: `[N]` who is seen; everybody at least twice.

    Returns:
        {"mean", "ci95", "n"}, errors 0 to 1, n people. A person drawn twice makes no pairs of two with themself.
    """
    names, index = np.unique(people, return_inverse=True)
    first, second = np.triu_indices(len(codes), 1)
    cosines, owners = (codes @ codes.T)[first, second], np.sort(np.stack([index[first], index[second]]), 0)
    same = owners[0] == owners[1]
    levels = np.linspace(0, 1, THRESHOLDS // 2)
    edges = np.unique(np.quantile(cosines[same], levels)), np.unique(np.quantile(cosines[~same], levels))
    edges = np.union1d(*edges)
    bins = np.searchsorted(edges, cosines, side="right")
    shape = (len(names), len(names), len(edges) + 1)
    pairs = np.bincount(np.ravel_multi_index((*owners, bins), shape), minlength=np.prod(shape))
    pairs = pairs.reshape(shape).astype(np.float32)
    own = pairs[np.arange(len(names)), np.arange(len(names))].copy()
    pairs[np.arange(len(names)), np.arange(len(names))] = 0

    def errors(weights: np.ndarray) -> np.ndarray:
        refused = (weights @ own).cumsum(1)
        ours = (weights @ pairs.reshape(len(names), -1)).reshape(len(weights), len(names), -1)
        accepted = np.einsum("dj,djb->db", weights, ours).cumsum(1)
        return _crossing(refused / refused[:, -1:], 1 - accepted / accepted[:, -1:])

    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS).astype(np.float32)
    draws = np.concatenate([errors(part) for part in np.split(drawn, DRAWS // BLOCK)])
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(draws, (tail, 100 - tail))
    mean = errors(np.ones((1, len(names)), np.float32))[0]
    return {"mean": float(mean), "ci95": [float(low), float(high)], "n": len(names)}


def _crossing(rising: np.ndarray, falling: np.ndarray) -> np.ndarray:
    """Height at which two curves `[D, B]` meet, linear between the last point below and the first one above."""
    above = (rising >= falling).argmax(1)
    rows, before = np.arange(len(rising)), np.maximum(above - 1, 0)
    gap = (falling - rising)[rows, before]
    closed = gap - (falling - rising)[rows, above]
    share = np.clip(np.divide(gap, closed, out=np.zeros_like(gap), where=closed > 0), 0, 1)
    return rising[rows, before] + share * (rising[rows, above] - rising[rows, before])


def _over_people(values: np.ndarray, people: np.ndarray) -> Figure:
    means = [values[people == person].mean() for person in np.unique(people)]
    interval = bootstrap(np.array(means)).as_json()
    return {key: interval[key] for key in ("mean", "ci95", "n")}
