"""Every 3-D convolution of dirfa's generator, forward and with both gradients: ours, `lax`'s own lowering and torch.

    python -m benchmarks.conv3d [--variants tiny vox128] [--rounds 5]

The layers are read off the model, so they are those that run. Values and gradients are asserted equal before anything
is timed, in one process, interleaved. Depthwise and grouped convolutions have no rows, for the models have none: blurs
are sums of shifted maps (thjax/blocks/feature_layers.py). Writes benchmarks/results/conv3d.json.
"""

import argparse
import functools
import os
from collections.abc import Callable

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import timing
from configs import dirfa_generator
from tests.systems import dirfa_generator_weights
from thjax import systems
from thjax.blocks.conv3d import Conv3d, conv3d

PAIRS = {"tiny": 8, "vox128": 1, "vox256": 1}
CLOSE = 2e-4
"""Of the largest value: sums of up to 50,000 products in another order."""


def layers(variant: str) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """{name: (shape of the input, shape of the kernel)} of the distinct 3-D convolutions of a generator."""
    config = dirfa_generator.get_config(variant)
    found = {}

    def note(following, arguments, options, context):
        if isinstance(context.module, Conv3d) and context.method_name == "__call__":
            x, layer = arguments[0], context.module
            size = "x".join(map(str, x.shape[1:4]))
            name = f"{layer.kernel[0]}^3 {size} {x.shape[-1]}-{layer.features}"
            found[name] = x.shape, (*layer.kernel, x.shape[-1], layer.features)
        return following(*arguments, **options)

    network, key = systems.build(config).networks["generator"], jax.random.key(0)
    variables, pairs = jax.eval_shape(network.init, key), dirfa_generator_weights.inputs_for(config, n=PAIRS[variant])
    with nn.intercept_methods(note):
        jax.eval_shape(network.module.apply, variables, *pairs)
    return found


def native(x: jax.Array, w: jax.Array) -> jax.Array:
    """The same convolution as `lax` lowers it."""
    return jax.lax.conv_general_dilated(x, w, (1, 1, 1), "SAME", dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))


def value_and_gradients(apply: Callable, x: jax.Array, w: jax.Array, ahead: jax.Array) -> tuple[jax.Array, ...]:
    """The convolution and both its gradients: the value is returned, or it would not be computed."""
    y, pull = jax.vjp(apply, x, w)
    return y, *pull(ahead)


def compare(x_shape: tuple[int, ...], w_shape: tuple[int, ...], rounds: int) -> dict:
    """One row: milliseconds of the three, forward and with gradients, and torch's over ours."""
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in (x_shape, w_shape))
    ahead = rng.normal(size=(*x_shape[:-1], w_shape[-1])).astype(np.float32)
    padding = (w_shape[0] // 2,) * 2
    forward = {"ours": lambda x, w: conv3d(x, w, 1, padding), "lax": native}
    both = {name: functools.partial(value_and_gradients, apply) for name, apply in forward.items()}
    given = [jnp.asarray(array) for array in (x, w, ahead)]
    forward = {name: jax.jit(apply).lower(*given[:2]).compile() for name, apply in forward.items()}
    both = {name: jax.jit(apply).lower(*given).compile() for name, apply in both.items()}
    tx, tahead = (torch.from_numpy(np.moveaxis(array, -1, 1).copy()) for array in (x, ahead))
    tw = torch.from_numpy(w.transpose(4, 3, 0, 1, 2).copy())

    def torch_forward():
        with torch.no_grad():
            return torch.nn.functional.conv3d(tx, tw, padding=padding[0])

    def torch_both():
        mine, kernel = tx.requires_grad_(), tw.requires_grad_()
        y = torch.nn.functional.conv3d(mine, kernel, padding=padding[0])
        return y, *torch.autograd.grad(y, (mine, kernel), tahead)

    y, dx, dw = (tensor.detach().numpy() for tensor in torch_both())
    expected = [np.moveaxis(y, 1, -1), np.moveaxis(y, 1, -1), np.moveaxis(dx, 1, -1), dw.transpose(2, 3, 4, 1, 0)]
    for name in forward:
        for made, wanted in zip((forward[name](*given[:2]), *both[name](*given)), expected, strict=True):
            error = np.abs(np.asarray(made) - wanted).max() / np.abs(wanted).max()
            assert error <= CLOSE, f"{x_shape} by {w_shape}: {name} is {error:.1e} of the maximum away from torch"
    runs = {f"{name}, forward": lambda run=run: jax.block_until_ready(run(*given[:2])) for name, run in forward.items()}
    runs |= {f"{name}, with gradients": lambda run=run: jax.block_until_ready(run(*given))
             for name, run in both.items()}
    runs |= {"torch, forward": torch_forward, "torch, with gradients": torch_both}
    seconds = timing.interleave(runs, rounds)
    row = {f"{name}, ms": timing.median(values, 1e3) for name, values in seconds.items()}
    for part in ("forward", "with gradients"):
        row |= {f"torch / ours, {part}": timing.number(row[f"torch, {part}, ms"]["mean"]
                                                       / row[f"ours, {part}, ms"]["mean"])}
    return row


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conv3d", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=["tiny", "vox128"], choices=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=5, help="timings of every competitor")
    arguments = parser.parse_args()
    rows = {}
    for variant in arguments.variants:
        for layer, shapes in layers(variant).items():
            name = f"{variant}, {PAIRS[variant]} pairs: {layer}"
            rows[name] = compare(*shapes, arguments.rounds)
            print(f"{name:50s}", "  ".join(f"{k} {v['mean']:.3g}" for k, v in rows[name].items()), flush=True)
    about = timing.machine() | {"jax": jax.__version__, "torch": torch.__version__}
    path = timing.write("conv3d", {"command": timing.command(), "config_hash": None, "seeds": [0], "about": about,
                                   "rows": rows})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
