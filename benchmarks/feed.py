"""The loader beside reading, unpacking and decoding the same frames in a bare loop, which crops nothing.

    python -m benchmarks.feed [--data DIR] [--batches 60]

Batches are the demo's: 4 windows of 12 frames and a still each, aligned and cropped to 64 x 48, mirrored in half of the
cases. Without --data a small corpus is rendered first. Writes benchmarks/results/feed.json. `thjax data bench` measures
any corpus, by window and number of workers.
"""

import argparse
import functools
import pathlib
import tempfile

from benchmarks import timing
from data_pipelines.bench import Roof, consume, make_in_turn, timed
from data_pipelines.loader import Loader
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
    print(f"wrote {timing.write('feed', {'command': timing.command()} | result)}")


def render_corpus(folder: pathlib.Path) -> pathlib.Path:
    """The embedded corpus as the demo sizes it, but few clips."""
    from data_pipelines.synthetic import workshop
    from data_pipelines.synthetic.settings import Corpus

    return workshop.write(Corpus(speakers=8, clips=4, size=96), folder, workers=2).directory


def measure(data: pathlib.Path, batches: int) -> dict:
    """Rows in the one form of results; frames are those of the windows, the stills come on top."""
    kept, loader = Loader(data, SPEC), Loader(data, SPEC, kept_bytes=0)
    with loader.iterate() as ahead:
        runs = {
            "roof: read, unpack, decode": functools.partial(Roof(loader).run, batches),
            "loader, cropped and mirrored, nothing kept": functools.partial(make_in_turn, loader, batches),
            "loader, cropped and mirrored, nothing kept, prefetching": functools.partial(consume, ahead, batches),
            "loader, mirrored, small split kept in memory": functools.partial(make_in_turn, kept, batches),
        }
        wall, cpu = timed(runs, ROUNDS)
    frames = batches * SPEC.batch * SPEC.window
    rows = {name: {"frames/s": timing.median([frames / seconds for seconds in wall[name]]),
                   "CPU ms/batch": timing.median(cpu[name], 1e3 / batches)} for name in runs}
    bytes_per_frame = loader.manifest.bytes / sum(p["frames"] for p in loader.manifest.content["splits"].values())
    about = timing.machine() | {"stored": f"{loader.manifest.content['height']} px, {bytes_per_frame:.0f} bytes/frame"}
    return {"about": about, "rows": rows}


if __name__ == "__main__":
    main()
