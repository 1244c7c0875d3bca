"""How fast a corpus feeds a step that does nothing, beside the roof: `thjax data bench`.

The roof is what no loader can avoid: reading the same records, unpacking them, and decoding their windows and stills,
in a bare loop of as many threads as the loader has threads or worker processes. Both are timed in turn in one process.
Nothing is kept in memory, so a small corpus shows what a large one would, but for its disk. Rows of frames as stored
do the roof's work and no more; a row of crops shows what aligning and mirroring cost on top.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import pathlib
import shlex
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from data_pipelines import records, schema
from data_pipelines.examples import ExampleMaker
from data_pipelines.loader import Loader, order_of
from data_pipelines.manifest import Manifest
from data_pipelines.order import uniform_draws
from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader
from thjax.core import files, timing
from thjax.core.config import LoaderConfig
from thjax.core.data_spec import CropSpec, DataSpec

WINDOWS = (12, 25, 75)
"""Frames of an example that are tried, as far as the longest record goes."""
BATCH = 8
FRAMES = 4_000
"""Of a timing, at least; stills come on top and are not counted."""
BATCHES = 16
"""Of a timing, at least. While others are timed, two worker processes fill up to eight batches ahead; the run before a
timing uses those up."""
ROUNDS = 9
RATES = (2_000, 20_000)
"""Frames/s that an accelerator may take."""


class Roof:
    """The bare loop over the records and windows that a loader's stream asks for; works through it batch by batch.

    Args:
        loader: whose stream it is; not used itself.
        threads: that share a batch's examples; 1 uses none but the caller's.
    """

    def __init__(self, loader: Loader, threads: int = 1):
        manifest, self._spec, self._seed, self._next = loader.manifest, loader.spec, loader.seed, 0
        self._index, self._length = manifest.index, loader.length
        self._labels = ExampleMaker(loader.spec, loader.seed, loader.length).labels
        self._order = order_of(manifest, loader.spec, loader.seed)
        self._shards = ShardReader([manifest.directory / shard["name"] for shard in manifest.content["shards"]])
        self._pool = concurrent.futures.ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, batches: int) -> None:
        """Reads, unpacks and decodes the next batches."""
        positions = range(self._next, self._next + batches * self._spec.batch)
        self._next = positions.stop
        for _ in self._pool.map(self._decode, positions) if self._pool else map(self._decode, positions):
            pass

    def close(self) -> None:
        """Ends the threads."""
        if self._pool:
            self._pool.shutdown()

    def bytes_read_over_used(self, batches: int) -> float:
        """Bytes of the records of the stream's first batches over those of what examples hold of them."""
        read = used = 0
        for position in range(batches * self._spec.batch):
            size, record, window, still = self._opened(position)
            read += size
            used += sum(len(record["video"][frame]) for frame in {*window, still})
            used += 2 * (len(window) * schema.SAMPLES_PER_FRAME + 2 * schema.AUDIO_CONTEXT)  # int16
            used += sum(record[name][window].nbytes for name in self._labels)
        return read / used

    def _decode(self, position: int) -> None:
        _, record, window, still = self._opened(position)
        records.decode_frames(record, list(dict.fromkeys([*window, still])))

    def _opened(self, position: int) -> tuple[int, dict, range, int]:
        """Bytes of the record at a position of the stream, the record, frames of the window, the still."""
        row = self._order[position]
        data = self._shards.read(int(self._index["shard"][row]), int(self._index["offset"][row]))
        record = records.decode(data, self._labels)
        n = record["n"]
        start = int(uniform_draws(self._seed, position, 3)[0] * max(n - self._length + 1, 1))  # as ExampleMaker draws
        return len(data), record, range(start, min(start + self._length, n)), int(np.argmax(record["face_ok"] > 0))


def make_in_turn(loader: Loader, batches: int) -> None:
    """Batches one after the other in the caller's thread."""
    for step in range(batches):
        loader.batch_at(step)


def consume(ahead: Iterable, batches: int) -> None:
    """Batches made ahead by background threads or processes, for a step that does nothing."""
    for _ in range(batches):
        next(ahead)


def timed(runs: dict[str, Callable[[], None]], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds of wall clock and of this process's CPU of every run in every round, see `timing.interleave`."""
    cpu = {name: [] for name in runs}

    def with_cpu(name: str) -> None:
        start = time.process_time()
        runs[name]()
        cpu[name].append(time.process_time() - start)

    wall = timing.interleave({name: functools.partial(with_cpu, name) for name in runs}, rounds)
    # Every round runs twice; what is kept is the second time, and not of the first round.
    return wall, {name: seconds[3::2] for name, seconds in cpu.items()}


def spec_of(manifest: Manifest, window: int, cropped: bool = False) -> DataSpec:
    """Pictures, sound and landmarks, if any, of the split that trains; as stored, or in mirrored upright crops, which
    records that are stored upright already have not to be warped for.

    Raises:
        DataError: the corpus has no pixels.
    """
    if not manifest.pixels:
        raise DataError(f"{manifest.directory} holds feature records, without pixels, and bench times how fast pixels "
                        "are decoded; give a corpus with frames")
    marked = "landmarks" in manifest.labels
    height, width = manifest.content["height"], manifest.content["width"]
    crop = CropSpec("none", height, width)
    if cropped:
        crop = CropSpec("canonical" if marked else "centre", height, max(height * 3 // 4, 1))
    return DataSpec(manifest.splits[0], ("frames", "still", "audio", *(["landmarks"] if marked else [])), window,
                    crop=crop, mirror=cropped, batch=BATCH)


def measure(data: pathlib.Path, workers: Sequence[int], rounds: int | None = None) -> dict:
    """Rows in the one form of results, for each window one of every number of workers, and one of crops.

    Args:
        data: folder of the records.
        workers: numbers of processes; 0 decodes in threads.
        rounds: how often everything is timed; None is `ROUNDS`.
    """
    manifest = Manifest.load(data)
    longest = int(manifest.index["n"][manifest.rows(manifest.splits[0])].max())
    rows = {}
    for window in [window for window in WINDOWS if window <= longest] or [longest]:
        rows |= measure_window(data, spec_of(manifest, window), list(dict.fromkeys(workers)), rounds)
        cropped = measure_window(data, spec_of(manifest, window, cropped=True), workers[:1], rounds)
        rows |= {f"{name}, aligned and mirrored": row for name, row in cropped.items()}
    height, width = manifest.content["height"], manifest.content["width"]
    stored = f"{height} px" if height == width else f"{height} x {width} px"
    about = timing.machine() | {"stored": stored, "batch": BATCH}
    return {"about": about, "rows": rows}


def measure_window(data: pathlib.Path, spec: DataSpec, workers: Sequence[int], rounds: int | None = None) -> dict:
    """Rows of one window."""
    batches = max(BATCHES, -(-FRAMES // (spec.batch * spec.window)))
    frames = batches * spec.batch * spec.window
    threads = {number: number or LoaderConfig().prefetch for number in workers}
    alone = Loader(data, spec, kept_bytes=0)
    with contextlib.ExitStack() as stack:
        roofs = {count: Roof(alone, count) for count in set(threads.values())}
        runs = {"in turn": functools.partial(make_in_turn, alone, batches)}
        for count, roof in roofs.items():
            stack.callback(roof.close)
            runs[f"roof {count}"] = functools.partial(roof.run, batches)
        for number in workers:
            loader = Loader(data, spec, config=LoaderConfig(workers=number), kept_bytes=0)
            runs[f"workers {number}"] = functools.partial(consume, stack.enter_context(loader.iterate()), batches)
        wall, cpu = timed(runs, rounds or ROUNDS)
        ratio = next(iter(roofs.values())).bytes_read_over_used(batches) if roofs else None
    speed = {name: timing.median([frames / second for second in seconds]) for name, seconds in wall.items()}
    per_frame = timing.median(cpu["in turn"], 1 / frames)["mean"]
    rows = {}
    for number in workers:
        ours, roof = f"workers {number}", f"roof {threads[number]}"
        rows[f"window {spec.window}, {number} workers"] = {
            "frames/s": speed[ours], "roof frames/s": speed[roof],
            "share of roof": timing.median(np.divide(wall[roof], wall[ours])),  # of each round: machines change pace
            "bytes read/used": timing.number(ratio), "CPU ms/frame": timing.number(1e3 * per_frame),
            **{f"cores at {rate}/s": timing.number(rate * per_frame) for rate in RATES},
        }
    return rows


def table(result: dict) -> Table:
    """The rows for a terminal."""
    about = ", ".join(f"{name} {value}" for name, value in result["about"].items())
    made = Table(title=f"loader with a step that does nothing; {about}", title_justify="left")
    columns = list(next(iter(result["rows"].values())))
    made.add_column("")
    for name in columns:
        made.add_column(name, justify="right")
    for name, row in result["rows"].items():
        made.add_row(name, *(f"{row[column]['mean']:,.4g}" if row[column]["mean"] < 1000
                             else f"{row[column]['mean']:,.0f}" for column in columns))
    return made


def run(argv: list[str]) -> int:
    """Measures and prints; returns 0."""
    parser = argparse.ArgumentParser(
        prog="thjax data bench", description="Times the loader on prepared records with a step that does nothing, by "
        "window and workers, beside the roof: reading, unpacking and decoding the same frames in a bare loop of as "
        "many threads. Cores are those that one accelerator needs at 2,000 and 20,000 frames/s, by the CPU time of a "
        "frame made in one thread.")
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], metavar="N",
                        help="worker processes; 0 decodes in threads (default: 0 1 2)")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="writes the figures as JSON")
    options = parser.parse_args(argv)
    if min(options.workers) < 0:
        parser.error(f"--workers {min(options.workers)}: a number of processes is at least 0; 0 decodes in threads")
    result = {"command": shlex.join(["thjax", "data", "bench", *argv])} | measure(options.data, options.workers)
    Console().print(table(result))
    if options.out:
        files.write_json(options.out, result)
        print(f"wrote {options.out}")
    return 0
