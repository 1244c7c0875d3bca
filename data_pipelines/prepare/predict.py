"""What a corpus will take, in bytes and hours, from its first clips."""

import concurrent.futures
import dataclasses
import shutil
import time

from data_pipelines import records
from data_pipelines.prepare.plan import Plan
from data_pipelines.prepare.process import Makers
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.schema import DataError

MOST = 200
"""Clips that a prediction is made from."""
SHARD_BYTES = 96 << 10
"""What a shard takes beside its records: ArrayRecord ends it with a block of 64 KiB and fills the one before."""
SECONDS = 5.0
"""Past which a twentieth of the corpus, if it is fewer, is enough: a prediction must cost little."""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What was measured, and what follows.

    Attributes:
        tried: clips made.
        bad: of these, lost.
        bytes: of all shards of the corpus.
        hours: of one core, for all clips.
    """

    tried: int
    bad: int
    bytes: float
    hours: float

    def report(self) -> str:
        """One line for people."""
        return (f"predicted from {self.tried} clips ({self.bad} bad): {self.bytes / 1e12:.3g} TB "
                f"({self.bytes / 1e6:.1f} MB), {self.hours:.3g} core-hours")


def predict(plan: Plan, makers: Makers, threads: int) -> Prediction:
    """Makes the first clips of the plan, whose order is random, and throws them away.

    Raises:
        DataError: most clips are smaller than the size asked for, or the disk cannot hold the corpus.
    """
    keys = [key for shard in plan.shards for key in shard.clips]
    enough = min(MOST, max(1, len(keys) // 20))
    keys = keys[:MOST]

    def attempt(key: str) -> tuple[float, int, BadClip | None]:
        started = time.monotonic()
        made = makers(plan.reference(key))
        seconds = time.monotonic() - started
        return (seconds, 0, made) if isinstance(made, BadClip) else (seconds, _size(made, plan), None)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(attempt, keys[:threads]))  # starting a process is no part of a clip's cost
        until = time.monotonic() + SECONDS
        tried = list(pool.map(
            lambda place: attempt(keys[place]) if place < enough or time.monotonic() < until else None,
            range(len(keys))))
    tried = [measured for measured in tried if measured is not None]
    bad = [made for _, _, made in tried if made is not None]
    small = [made for made in bad if made.reason == "too_small"]
    if 2 * len(small) > len(tried):
        raise DataError(f"{len(small)} of {len(tried)} clips are smaller than --size {plan.settings.size}, for example "
                        f"{small[0].detail}")
    scale = plan.clips / len(tried)
    prediction = Prediction(len(tried), len(bad),
                            scale * sum(size for _, size, _ in tried) + SHARD_BYTES * len(plan.shards),
                            scale * sum(seconds for seconds, _, _ in tried) / 3600)
    free = shutil.disk_usage(plan.directory).free
    if prediction.bytes > free:
        raise DataError(f"{plan.directory}: the records will take {prediction.bytes / 1e6:.1f} MB and the disk has "
                        f"{free / 1e6:.1f} MB left; make room, choose another --out, or a smaller --size")
    return prediction


def _size(clip: dict, plan: Plan) -> int:
    whole = clip | {"dataset": plan.content["corpus"], "split": "train"}
    return sum(len(records.encode(record)) for record in records.segments(whole))
