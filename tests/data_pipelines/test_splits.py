import pytest

from data_pipelines import splits
from data_pipelines.schema import DataError

SPEAKERS = [f"s{i:02d}" for i in range(33)]
SHARES = {"train": 0.5, "validation": 0.2, "test": 0.3}


def test_speakers_are_divided_without_overlap_by_their_shares():
    divided = splits.by_speaker(SPEAKERS, SHARES, seed=1)
    splits.check_disjoint(divided)
    assert sorted(name for names in divided.values() for name in names) == SPEAKERS
    # 16.5, 6.6 and 9.9 speakers by the shares: the largest remainders are rounded up.
    assert {name: len(names) for name, names in divided.items()} == {"train": 16, "validation": 7, "test": 10}


def test_the_seed_alone_decides():
    assert splits.by_speaker(SPEAKERS, SHARES, 1) == splits.by_speaker(SPEAKERS[::-1], SHARES, 1)
    assert splits.by_speaker(SPEAKERS, SHARES, 1) != splits.by_speaker(SPEAKERS, SHARES, 2)


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_few_speakers_leave_no_split_empty(count):
    divided = splits.by_speaker(SPEAKERS[:count], {"train": 0.9, "validation": 0.05, "test": 0.05})
    assert all(divided.values()) and sum(map(len, divided.values())) == count


def test_a_share_of_zero_gets_nobody():
    assert splits.by_speaker(SPEAKERS, {"train": 1.0, "test": 0.0})["test"] == []


@pytest.mark.parametrize("speakers,shares,message", [
    (SPEAKERS, {"train": 0.5, "test": 0.4}, "must be at least 0 and sum to 1"),
    (SPEAKERS[:2], SHARES, "2 speakers cannot fill the splits train, validation, test; use at least 3"),
    (["a", "a", "b"], SHARES, "a speaker is named twice"),
])
def test_wrong_use_is_named(speakers, shares, message):
    with pytest.raises(DataError, match=message):
        splits.by_speaker(speakers, shares)


def test_an_overlap_is_named():
    with pytest.raises(DataError, match="speaker 'b' is in the splits 'train' and 'test'"):
        splits.check_disjoint({"train": ["a", "b"], "test": ["b"]})
