"""Seeded splits in which no speaker is in two parts."""

from collections.abc import Mapping, Sequence

from data_pipelines.order import permutation
from data_pipelines.schema import DataError


def by_speaker(speakers: Sequence[str], shares: Mapping[str, float], seed: int = 0) -> dict[str, list[str]]:
    """Divides speakers over splits.

    Args:
        speakers: unique names, in any order.
        shares: split -> share of the speakers, for example {"train": 0.5, "validation": 0.2, "test": 0.3}. They sum
            to 1; a split with a share above 0 gets at least one speaker.
        seed: of the shuffle.

    Returns:
        split -> its speakers, sorted. Equal for any order of `speakers`.

    Raises:
        DataError: shares that do not sum to 1, a speaker named twice, or fewer speakers than splits.
    """
    if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        raise DataError(f"shares {dict(shares)} must be at least 0 and sum to 1")
    if len(set(speakers)) < len(speakers):
        raise DataError(f"a speaker is named twice among {len(speakers)}; give every speaker once")
    wanted = [split for split, share in shares.items() if share > 0]
    if len(speakers) < len(wanted):
        raise DataError(f"{len(speakers)} speakers cannot fill the splits {', '.join(wanted)}; "
                        f"use at least {len(wanted)}")
    names = sorted(speakers)
    shuffled = [names[i] for i in permutation(len(names), seed)]
    result, start = {}, 0
    for split, count in _counts(len(speakers), shares).items():
        result[split] = sorted(shuffled[start : start + count])
        start += count
    return result


def check_disjoint(splits: Mapping[str, Sequence[str]]) -> None:
    """Checks that no speaker is in two splits.

    Raises:
        DataError: names the speaker and the splits.
    """
    seen: dict[str, str] = {}
    for split, speakers in splits.items():
        for speaker in speakers:
            if seen.setdefault(speaker, split) != split:
                raise DataError(f"speaker {speaker!r} is in the splits {seen[speaker]!r} and {split!r}; keep one")


def _counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that sum to `total`, as near to the shares as can be: largest remainders, none wanted empty."""
    counts = {split: int(total * share) for split, share in shares.items()}
    by_remainder = sorted(shares, key=lambda split: total * shares[split] - counts[split], reverse=True)
    for split in by_remainder[: total - sum(counts.values())]:
        counts[split] += 1
    for split, share in shares.items():
        if share > 0 and counts[split] == 0:
            counts[max(counts, key=counts.get)] -= 1
            counts[split] = 1
    return counts
