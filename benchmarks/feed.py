"""The loader beside its roof: reading, unpacking and decoding the same frames in a bare loop.

    python -m benchmarks.feed [--data DIR] [--batches 60]

Batches are the demo's: 4 windows of 12 frames and a still each, aligned and cropped to 64 x 48, mirrored in half of the
cases. Without --data a small corpus is rendered first. Writes benchmarks/results/feed.json.
"""

import argparse
import functools
import pathlib
import tempfile
import time
from unittest import mock

from benchmarks import timing
from data_pipelines import records
from data_pipelines.loader import Loader
from data_pipelines.order import uniform_draws
from data_pipelines.shards import ShardReader
from thjax.core.data_spec import CropSpec, DataSpec

SPEC = DataSpec(fields=("frames", "still", "audio", "landmarks"), window=12, batch=4, mirror=True,
                crop=CropSpec("canonical", 64, 48))
ROUNDS = 7


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, help="corpus with landmarks (default: one is rendered)")
    parser.add_argument("--batches", type=int, default=60, help="of a timing (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.data or render_corpus(pathlib.Path(folder)), arguments.batches)
    print(f"wrote {timing.write('feed', result)}")


def render_corpus(folder: pathlib.Path) -> pathlib.Path:
    """The embedded corpus as the demo sizes it, but few clips."""
    from data_pipelines.synthetic import workshop
    from data_pipelines.synthetic.settings import Corpus

    return workshop.write(Corpus(speakers=8, clips=4, size=96), folder, workers=2).directory


def measure(data: pathlib.Path, batches: int) -> dict:
    """Rows in the one form of results; frames are those of the windows, the stills come on top."""
    kept = Loader(data, SPEC)
    with mock.patch("data_pipelines.loader.KEPT_BYTES", 0):
        loader = Loader(data, SPEC)
    ahead = loader.iterate()
    runs = {
        "roof: read, unpack, decode": functools.partial(bare_loop, loader, batches),
        "loader, nothing kept": functools.partial(one_thread, loader, batches),
        "loader, nothing kept, prefetching": functools.partial(consume, ahead, batches),
        "loader, small split kept in memory": functools.partial(one_thread, kept, batches),
    }
    cpu = {name: [] for name in runs}
    timed = {name: functools.partial(add_cpu_time, run, cpu[name]) for name, run in runs.items()}
    wall = timing.interleave(timed, ROUNDS)
    ahead.close()
    frames = batches * SPEC.batch * SPEC.window
    rows = {name: {"frames/s": timing.median([frames / seconds for seconds in wall[name]]),
                   "CPU ms/batch": timing.median(cpu[name][1:], 1e3 / batches)} for name in runs}
    bytes_per_frame = loader.manifest.bytes / sum(p["frames"] for p in loader.manifest.content["splits"].values())
    about = timing.machine() | {"stored": f"{loader.manifest.content['height']} px, {bytes_per_frame:.0f} bytes/frame"}
    return {"command": timing.command(), "about": about, "rows": rows}


def add_cpu_time(run, seconds: list[float]) -> None:
    """Runs and notes the CPU time of all threads."""
    start = time.process_time()
    run()
    seconds.append(time.process_time() - start)


def bare_loop(loader: Loader, batches: int) -> None:
    """What no loader can avoid: read a record, unpack it, decode its window and its still."""
    manifest = loader.manifest
    reader = ShardReader([manifest.directory / shard["name"] for shard in manifest.content["shards"]])
    rows = manifest.rows(SPEC.split)
    for number in range(batches * SPEC.batch):
        which, where = uniform_draws(1, number, 2)
        row = rows[int(which * len(rows))]
        record = records.decode(reader.read(int(manifest.index["shard"][row]), int(manifest.index["offset"][row])), ())
        start = int(where * (record["n"] - SPEC.window + 1))
        records.decode_frames(record, [*range(start, start + SPEC.window), 0])


def one_thread(loader: Loader, batches: int) -> None:
    """Batches one after the other."""
    for step in range(batches):
        loader.batch_at(step)


def consume(ahead, batches: int) -> None:
    """Batches made ahead by background threads."""
    for _ in range(batches):
        next(ahead)


if __name__ == "__main__":
    main()
