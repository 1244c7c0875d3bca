"""Error rates of verification against a count of every pair."""

import numpy as np
import pytest

from thjax.judge_training import verification


def clouds(people, each, spread, seed=0):
    """Unit vectors around a direction for each person."""
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(people, 1, 24)) + spread * rng.normal(size=(people, each, 24))
    codes = codes.reshape(-1, 24) / np.linalg.norm(codes.reshape(-1, 24), axis=1, keepdims=True)
    return codes.astype(np.float32), np.repeat(np.arange(people), each)


def counted(codes, people):
    """Where the share of refused pairs of one person meets that of accepted pairs of two, threshold by threshold."""
    first, second = np.triu_indices(len(codes), 1)
    cosines, same = (codes @ codes.T)[first, second], people[first] == people[second]
    rates = [((cosines[same] < at).mean(), (cosines[~same] >= at).mean()) for at in np.sort(cosines[same])]
    return next((refused + accepted) / 2 for refused, accepted in rates if refused >= accepted)


@pytest.mark.parametrize("spread", [0.7, 1.5])
def test_equal_error_is_that_of_counting(spread):
    codes, people = clouds(80, 6, spread)
    order = np.random.default_rng(1).permutation(len(codes))
    figure = verification.equal_error(codes[order], people[order])
    assert figure["mean"] == pytest.approx(counted(codes, people), abs=2e-3)
    assert figure["ci95"][0] < figure["mean"] < figure["ci95"][1] and figure["n"] == 80


def test_perfect_and_meaningless_codes():
    perfect = verification.figures(*clouds(12, 4, 1e-3))
    assert perfect["eer"]["mean"] == 0 and perfect["rank1"]["mean"] == 1 and perfect["same"]["mean"] > 0.999
    codes, people = clouds(40, 6, 1.0)
    chance = verification.figures(np.random.default_rng(2).permutation(codes), people)
    assert chance["eer"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert chance["same"]["mean"] == pytest.approx(chance["different"]["mean"], abs=0.05)
