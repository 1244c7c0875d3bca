import pickle

import numpy as np
import pytest

from data_pipelines import order
from data_pipelines.order import BalancedOrder, ShuffledOrder, permutation, uniform_draws

PINNED_ORDER = [7, 3, 5, 6, 4, 0, 2, 1]
PINNED_DRAWS = [0.646420652986388, 0.5637030865523015]


def test_every_epoch_holds_every_item_once_in_another_order():
    items = np.arange(100, 137)
    shuffled = ShuffledOrder(items, seed=7)
    epochs = [[shuffled[37 * e + i] for i in range(37)] for e in range(3)]
    assert all(sorted(epoch) == items.tolist() for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != items.tolist()
    assert [ShuffledOrder(items, seed=7)[i] for i in range(37)] == epochs[0]
    assert [ShuffledOrder(items, seed=8)[i] for i in range(37)] != epochs[0]


def test_the_order_is_pinned():
    """Resumed runs rely on it: it may not change with a library."""
    assert permutation(8, 3, 1).tolist() == PINNED_ORDER
    np.testing.assert_array_equal(uniform_draws(3, 10**12, 2), PINNED_DRAWS)


def test_places_are_uniform():
    places = np.stack([permutation(5, seed, 0) for seed in range(4000)])
    counts = np.stack([np.bincount(column, minlength=5) for column in places.T])
    # 800 expected, standard deviation 25.
    assert np.abs(counts - 800).max() < 110


def test_draws_are_uniform_and_independent_of_their_neighbours():
    draws = np.stack([uniform_draws(0, position, 3) for position in range(4000)])
    assert draws.min() >= 0 and draws.max() < 1
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.02)
    np.testing.assert_allclose(draws.std(0), 12**-0.5, atol=0.01)
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.06


@pytest.mark.parametrize("seed", [-1, 0, 2**64 - 1])
def test_any_whole_number_is_a_seed(seed):
    assert sorted(permutation(9, seed, 0)) == list(range(9))
    assert permutation(99, seed, 0).tolist() != permutation(99, seed - 2, 0).tolist()


def test_every_group_comes_once_a_round_and_its_items_take_turns():
    groups = np.array([5, 5, 9, 5, 2, 9, 5])
    items = np.arange(100, 107)
    balanced = BalancedOrder(items, groups, seed=3)
    drawn = np.array([balanced[position] for position in range(3 * 24)])
    of = dict(zip(items.tolist(), groups.tolist(), strict=True))
    rounds = [[of[item] for item in turn] for turn in drawn.reshape(24, 3).tolist()]
    assert all(sorted(turn) == [2, 5, 9] for turn in rounds) and len({tuple(turn) for turn in rounds}) > 4
    for group, own in ((2, [104]), (5, [100, 101, 103, 106]), (9, [102, 105])):
        turns = np.array([item for item in drawn.tolist() if of[item] == group]).reshape(-1, len(own))
        assert all(sorted(epoch) == own for epoch in turns.tolist())
        assert len(own) == 1 or len({tuple(epoch) for epoch in turns.tolist()}) > 1
    again = BalancedOrder(items, groups, seed=3)
    assert [again[position] for position in (71, 0, 40)] == drawn[[71, 0, 40]].tolist()
    assert [BalancedOrder(items, groups, seed=4)[position] for position in range(72)] != drawn.tolist()


def test_sequences_that_are_drawn_from_in_turn_shuffle_once_an_epoch(monkeypatch):
    made = []
    monkeypatch.setattr(order, "permutation", lambda *arguments: made.append(arguments) or permutation(*arguments))
    sequences = [ShuffledOrder(np.arange(10 + number), seed=number) for number in range(9)]
    drawn = [[sequence[position] for sequence in sequences] for position in range(15)]
    assert len(made) == len(set(made)) == 18 - 4  # two epochs, but of those of 15 items and more
    far = pickle.loads(pickle.dumps(sequences[0]))
    assert [far[position] for position in range(15)] == [row[0] for row in drawn]
    assert [sequences[0][position] for position in (44, 3, 27)] == [far[position] for position in (44, 3, 27)]
