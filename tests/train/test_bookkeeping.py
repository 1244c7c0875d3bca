"""Best value and patience, against counting by hand."""

import math

import pytest

from thjax.core.errors import UserError
from thjax.engine import Patience
from thjax.train.bookkeeping import Bookkeeping, after_evaluation, find_metric, patience_over


def run(values, mode="min", patience_steps=30, every=10):
    """Evaluates every 10 steps; returns (step at which patience ended the stage or None, the counters)."""
    book = Bookkeeping()
    for count, value in enumerate(values, 1):
        stage_step = count * every
        book, _ = after_evaluation(book, Patience("l1", 1, mode), {"a/l1": value}, 100 + stage_step, stage_step)
        if patience_over(book, patience_steps, stage_step):
            return stage_step, book
    return None, book


@pytest.mark.parametrize(
    "values, mode, ended, best",
    [
        ([5, 4, 3, 3, 3, 3], "min", 60, 3),  # equal is not better
        ([1, 2, 3, 3.5, 4], "max", None, 4),
        ([5, 6, 7, 4, 6, 6, 6], "min", 70, 4),  # a new best on the last chance
        ([math.nan, 5, 6, 6, 6], "min", 50, 5),  # not a number is never the best
        ([5, math.nan, math.nan, math.nan], "min", 40, 5),
    ],
)
def test_patience(values, mode, ended, best):
    stopped, book = run(values, mode)
    assert (stopped, book.best_value) == (ended, best)


def test_the_best_remembers_both_steps():
    _, book = run([3, 2, 4])
    assert (book.best_step, book.best_stage_step, book.evaluated_step) == (120, 20, 130)


def test_without_patience_there_is_no_best():
    book, better = after_evaluation(Bookkeeping(), None, {"a/l1": 1.0}, 5, 5)
    assert (book.best_step, better, book.evaluated_step) == (None, False, 5)
    assert not patience_over(book, None, 10**6)


def test_metric_names():
    metrics = {"a/l1": 1.0, "b/l1": 2.0, "b/psnr": 3.0}
    assert find_metric(metrics, "b/l1") == 2.0
    assert find_metric(metrics, "psnr") == 3.0
    for name in ("l1", "ssim"):
        with pytest.raises(UserError, match=r"patience waits for metric.*\['a/l1', 'b/l1', 'b/psnr'\]"):
            find_metric(metrics, name)
