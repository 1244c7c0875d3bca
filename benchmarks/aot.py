"""Compiles a training step for accelerators that are not here.

    python -m benchmarks.aot SYSTEM:VARIANT --topology v5e:2x2

Needs libtpu (`pip install 'thjax[tpu]'`) and no TPU. Prints what one device would hold and compute.
"""

import argparse
import dataclasses
import importlib
import time

import jax

from data_pipelines.schema import RECORD_FRAMES, example_shapes
from thjax.core.data_spec import DataSpec
from thjax.parallel import aot
from thjax.systems import build, logical_axes


def abstract_batch(spec: DataSpec) -> dict[str, jax.ShapeDtypeStruct]:
    """{field: [B, ...]} as the loader would give it; a window of 0 counts as a nominal record."""
    shapes = example_shapes(spec, spec.window or RECORD_FRAMES, coefficients=0)
    return {name: jax.ShapeDtypeStruct((spec.batch, *shape), dtype) for name, (shape, dtype) in shapes.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.aot", description=__doc__)
    parser.add_argument("run", help="SYSTEM:VARIANT")
    parser.add_argument("--topology", default="v5e:2x2", help="name of a TPU topology (default: %(default)s)")
    parser.add_argument("--fsdp", type=int, default=1, help="parallel.fsdp (default: %(default)s)")
    parser.add_argument("--tensor", type=int, default=1, help="parallel.tensor (default: %(default)s)")
    arguments = parser.parse_args()
    name, _, variant = arguments.run.partition(":")
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    cut = dataclasses.replace(config.parallel, fsdp=arguments.fsdp, tensor=arguments.tensor)
    config = dataclasses.replace(config, parallel=cut)
    system = build(config)
    for stage in system.stages:
        start = time.monotonic()
        cost = aot.compile_for(arguments.topology, system, stage, config, abstract_batch(stage.data),
                               logical_axes(name))
        print(f"{arguments.run} stage {stage.name} for {arguments.topology}: jax {jax.__version__}, "
              f"{time.monotonic() - start:.0f} s, {cost}")


if __name__ == "__main__":
    main()
