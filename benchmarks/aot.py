"""Compiles a training step for accelerators that are not here.

    python -m benchmarks.aot SYSTEM:VARIANT --topology v5e:2x2

Needs libtpu (`pip install 'thjax[tpu]'`) and no TPU. Prints what one device would hold and compute.
"""

import argparse
import importlib
import time

import jax

from thjax.parallel import aot
from thjax.systems import build


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aot", description=__doc__)
    parser.add_argument("run", help="SYSTEM:VARIANT")
    parser.add_argument("--topology", default="v5e:2x2", help="name of a TPU topology (default: %(default)s)")
    arguments = parser.parse_args()
    name, _, variant = arguments.run.partition(":")
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    system = build(config)
    for stage in system.stages:
        start = time.monotonic()
        compiled = aot.compile_for(arguments.topology, system, stage, config)
        print(f"{arguments.run} stage {stage.name} for {arguments.topology}: jax {jax.__version__}, "
              f"{time.monotonic() - start:.0f} s, {compiled}")


if __name__ == "__main__":
    main()
