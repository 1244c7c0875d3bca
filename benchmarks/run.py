"""Every benchmark, one after the other, then the tables: `python -m benchmarks.run` (`make bench`).

Each runs in a process of its own, so that none inherits another's threads, memory or compiled programs.
"""

import pathlib
import subprocess
import sys
import tempfile

CORPUS = ("--speakers", "12", "--clips", "4", "--size", "96", "--motion", "still", "--seed", "0")


def main() -> None:
    """Makes a small corpus for what needs one and runs everything."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(pathlib.Path(folder) / "corpus")
        run("thjax.cli", "data", "synth", *CORPUS, "--out", data)
        run("benchmarks.conv")
        run("benchmarks.rasteriser")
        run("benchmarks.feed", "--data", data)
        run("benchmarks.feed_sizes")
        run("benchmarks.train_step", "--data", data)
        run("benchmarks.generate")
        run("benchmarks.dirfa_step")
        run("benchmarks.sampling")
        run("benchmarks.evaluate")
    run("benchmarks.table")


def run(module: str, *arguments: str) -> None:
    """Runs `python -m module arguments`; stops at the first failure."""
    print(f"== {module} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    main()
