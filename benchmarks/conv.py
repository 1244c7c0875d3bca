"""Every convolution of the talking heads: ours, `lax`'s own lowering and torch, in each of its three directions.

    python -m benchmarks.conv [--sizes demo synthetic] [--rounds 9] [--only halve]

A direction is what `thjax.blocks.conv` calls it: `convolve` (a convolution, or the input gradient of a transposed one),
`spread` (a transposed convolution, or the input gradient of a convolution), `correlate` (both their weight gradients).
Values are asserted equal before anything is timed; torch's figure is the faster of its two memory layouts. Torch's
threads spin after their work, so the timings are apart by a pause, and no wait policy is forced on it: a passive one
would slow its small operations down. Writes benchmarks/results/conv.json.
"""

import argparse
import functools
import os
import statistics

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import timing
from thjax.blocks import conv
from thjax.blocks.conv_geometry import Geometry, native_convolve, native_correlate, native_spread

DIRECTIONS = {
    "convolve": (conv.convolve, native_convolve, "xw", 1e-4),
    "spread": (conv.spread, native_spread, "yw", 1e-4),
    "correlate": (conv.correlate, native_correlate, "xy", 1e-4),
}
FRAMES = {"demo": 48, "synthetic": 8}
IMAGE = {"demo": ((64, 48), (24, 48, 96, 192)), "synthetic": ((128, 96), (64, 128, 256, 512, 1024))}
AUDIO = {"demo": ((16, 32, 64, 64, 128, 128), 128), "synthetic": ((16, 32, 64, 128, 256, 512), 256)}
IDENTITY = 50


def layers(size: str) -> dict[str, tuple[Geometry, int, int]]:
    """{name: (geometry, channels of the large map, channels of the small map)} of one model size."""
    (height, width), channels = IMAGE[size]
    found, large = {}, 3
    for level, small in enumerate(channels):
        extent = (height >> level, width >> level)
        geometry = Geometry((4, 4), (2, 2), (1, 1), extent)
        found[f"halve {extent[0]}x{extent[1]} {large}-{small}"] = (geometry, large, small)
        large = small
    first = Geometry((4, 4), (2, 2), (1, 1), (height, width))
    found[f"halve {height}x{width} 6-{channels[0]}"] = (first, 6, channels[0])
    for level, small in enumerate(channels[1:], 2):
        extent = (height >> level, width >> level)
        same = Geometry((3, 3), (1, 1), (1, 1), extent)
        found[f"same {extent[0]}x{extent[1]} {small}-{small}"] = (same, small, small)
    deepest = (height >> len(channels), width >> len(channels))
    found[f"full {deepest[0]}x{deepest[1]} {channels[-1]}-{IDENTITY}"] = (
        Geometry(deepest, (1, 1), (0, 0), deepest), channels[-1], IDENTITY)
    strided, code = AUDIO[size]
    found[f"wave 2560 k80s16 1-{strided[0]}"] = (Geometry((80,), (16,), (32,), (2_560,)), 1, strided[0])
    length = 160
    for large, small in zip(strided, strided[1:], strict=False):
        found[f"wave {length} k4s2 {large}-{small}"] = (Geometry((4,), (2,), (1,), (length,)), large, small)
        length //= 2
    found[f"wave {length} k{length} {strided[-1]}-{code}"] = (
        Geometry((length,), (1,), (0,), (length,)), strided[-1], code)
    return found


def operands(geometry: Geometry, large: int, small: int, frames: int) -> dict[str, np.ndarray]:
    """Both maps and the kernel, in our layout."""
    rng = np.random.default_rng(0)
    shapes = {"x": (frames, *geometry.size, large), "y": (frames, *geometry.small, small),
              "w": (*geometry.kernel, large, small)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def torch_runs(direction: str, geometry: Geometry, arrays: dict[str, np.ndarray]) -> dict:
    """{layout: function that returns the result in torch's layout}."""
    x, y = (torch.from_numpy(np.moveaxis(arrays[name], -1, 1).copy()) for name in "xy")
    w = torch.from_numpy(np.moveaxis(arrays["w"], (-1, -2), (0, 1)).copy())
    fixed = (geometry.stride, geometry.padding, (1,) * geometry.dims)
    runs = {}
    for layout in ("contiguous", "channels_last") if geometry.dims == 2 else ("contiguous",):
        kind = torch.channels_last if layout == "channels_last" else torch.contiguous_format
        a, b, k = (tensor.contiguous(memory_format=kind) for tensor in (x, y, w))
        if direction == "convolve":
            runs[layout] = functools.partial(torch.convolution, a, k, None, *fixed, False, (0,) * geometry.dims, 1)
        else:
            mask = [direction == "spread", direction == "correlate", False]
            backward = functools.partial(torch.ops.aten.convolution_backward, b, a, k, None, *fixed, False,
                                         (0,) * geometry.dims, 1, mask)
            runs[layout] = lambda backward=backward, index=mask.index(True): backward()[index]
    return runs


def to_ours(direction: str, value: torch.Tensor) -> np.ndarray:
    """Torch's result in our layout."""
    value = value.contiguous().numpy()
    return np.moveaxis(value, (0, 1), (-1, -2)) if direction == "correlate" else np.moveaxis(value, 1, -1)


def compare(size: str, layer: str, direction: str, rounds: int) -> dict:
    """One row: milliseconds of the three, and the ratios of ours to the others."""
    geometry, large, small = layers(size)[layer]
    arrays = operands(geometry, large, small, FRAMES[size])
    ours, native, names, tolerance = DIRECTIONS[direction]
    given = [jnp.asarray(arrays[name]) for name in names]
    compiled = {
        "ours": jax.jit(functools.partial(ours, geometry=geometry)).lower(*given).compile(),
        "lax": jax.jit(functools.partial(native, geometry=geometry)).lower(*given).compile(),
    }
    twins = torch_runs(direction, geometry, arrays)
    expected = np.asarray(compiled["lax"](*given))
    results = {"ours": np.asarray(compiled["ours"](*given))}
    results |= {layout: to_ours(direction, run()) for layout, run in twins.items()}
    for name, result in results.items():
        error = np.abs(result - expected).max() / np.abs(expected).max()
        assert error <= tolerance, f"{size} {layer} {direction}: {name} is {error:.1e} of the maximum away from lax"
    runs = {name: lambda run=run: jax.block_until_ready(run(*given)) for name, run in compiled.items()} | twins
    seconds = timing.interleave(runs, rounds)
    best = min(twins, key=lambda layout: statistics.median(seconds[layout]))
    row = {name: timing.median(values, 1e3) for name, values in
           (("ours_ms", seconds["ours"]), ("lax_ms", seconds["lax"]), ("torch_ms", seconds[best]))}
    return row | ratios(row)


def ratios(row: dict) -> dict:
    """Ours over the other two, of medians."""
    return {f"ours_over_{other}": timing.number(row["ours_ms"]["mean"] / row[f"{other}_ms"]["mean"])
            for other in ("lax", "torch")}


def total(rows: dict) -> dict:
    """The sum of the medians over layers and directions."""
    names = ("ours_ms", "lax_ms", "torch_ms")
    row = {name: timing.number(sum(one[name]["mean"] for one in rows.values())) for name in names}
    return row | ratios(row)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conv", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=list(FRAMES), choices=list(FRAMES))
    parser.add_argument("--rounds", type=int, default=9, help="timings of every competitor")
    parser.add_argument("--only", default="", help="time layers whose name contains this; the result is not written")
    arguments = parser.parse_args()
    rows = {}
    for size in arguments.sizes:
        mine = {}
        for layer in layers(size):
            for direction in DIRECTIONS if arguments.only in layer else ():
                label = f"{size}, {FRAMES[size]} frames: {layer} {direction}"
                mine[label] = compare(size, layer, direction, arguments.rounds)
                print(f"{label:58s}", "  ".join(f"{k} {v['mean']:.3g}" for k, v in mine[label].items()), flush=True)
        rows |= {f"{size}, {FRAMES[size]} frames: all": total(mine)} | mine
        print(f"{size} in all:", "  ".join(f"{k} {v['mean']:.3g}" for k, v in total(mine).items()), flush=True)
    if not arguments.only:
        about = timing.machine() | {"jax": jax.__version__, "torch": torch.__version__}
        path = timing.write("conv", {"command": timing.command(), "config_hash": None, "seeds": [0], "about": about,
                                     "rows": rows})
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
