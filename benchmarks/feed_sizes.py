"""The loader beside its roof by stored size, codec and window: `thjax data bench` on small corpora.

    python -m benchmarks.feed_sizes [--sizes 64 128 224]

Below 128 pixels records hold JPEG 95 with whole colours, from 128 on JPEG 90 with halved ones; so sizes are codecs,
too. Corpora are rendered first, which is not timed. Writes benchmarks/results/feed_sizes.json.
"""

import argparse
import pathlib
import tempfile

from benchmarks import timing
from data_pipelines import bench, records

SIZES = (64, 128, 224)
SPEAKERS, CLIPS = 6, 3
WORKERS = (0, 1, 2)
LARGEST = 224
"""Pixels; as many smaller frames are decoded sooner, and shorter timings scatter more, so they are repeated as much
more often."""


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="S",
                        help="pixels of the stored squares (default: %(default)s)")
    arguments = parser.parse_args()
    rows = {}
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            result = bench.measure(render_corpus(pathlib.Path(folder), size), WORKERS, rounds_of(size))
        quality, colours = records.jpeg_settings(size, size)
        rows |= {f"{size} px, JPEG {quality} {colours}, {name}": row for name, row in result["rows"].items()}
    about = timing.machine() | {"batch": bench.BATCH}
    print(f"wrote {timing.write('feed_sizes', {'command': timing.command(), 'about': about, 'rows': rows})}")


def rounds_of(size: int) -> int:
    """How often frames of that size are timed: `bench.ROUNDS` for the largest, more for smaller ones."""
    return max(bench.ROUNDS, round(bench.ROUNDS * LARGEST / size))


def render_corpus(folder: pathlib.Path, size: int) -> pathlib.Path:
    """A small embedded corpus of that size."""
    from data_pipelines.synthetic import workshop
    from data_pipelines.synthetic.settings import Corpus

    return workshop.write(Corpus(speakers=SPEAKERS, clips=CLIPS, size=size), folder / "corpus", workers=2).directory


if __name__ == "__main__":
    main()
