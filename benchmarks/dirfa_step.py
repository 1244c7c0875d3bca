"""The work of dirfa's networks beside their torch twins, on CPU: forward and gradient of a step, and drawn frames.

    python -m benchmarks.dirfa_step [--rounds 7]

* Mapper, sizes `s` and `demo`: cross-entropy of windows of 75 and 100 frames, and its gradient.
* Generator `tiny`: frames of eight pairs in training mode, and the gradient of a loss on them; then one frame drawn.

The same weights, inputs and losses, on the same cores, interleaved in one process. Losses or frames are asserted equal
before anything is timed. What neither twin has is left out: augmentation, Adam, the discriminator. How fast a mapper
draws: benchmarks/sampling.py. Writes benchmarks/results/dirfa_step.json.
"""

import argparse
import json
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import timing
from configs import dirfa, dirfa_generator
from tests.systems import dirfa_generator_twin, dirfa_generator_weights, dirfa_twin
from thjax import systems
from thjax.blocks.feature_layers import Pass
from thjax.systems.dirfa import heads
from thjax.systems.dirfa.animation import CHANNELS
from thjax.systems.dirfa.networks import Mapper

MAPPERS = {"synthetic": "s", "demo": "demo"}
"""Variant: what its mapper is called in the table."""
PAIRS = 8
CLOSE = 2e-4

Pair = dict[str, Callable[[], object]]


def mapper_step(variant: str) -> Pair:
    """Loss and gradient of a mapper, ours and the twin's."""
    config = dirfa.get_config(variant)
    batch, frames, mapper = min(config.data.batch, 8), config.data.window, config.mapper
    rng = np.random.default_rng(0)
    given = [rng.uniform(0, 1, (batch, frames, len(CHANNELS))), rng.uniform(0, 1, (batch, frames, mapper.mel.features))]
    given = [part.astype(np.float32) for part in given]
    given += [np.arange(frames)[None].repeat(batch, 0) == 0, np.ones((batch, frames), bool)]
    target = rng.integers(0, mapper.categories, (batch, frames, len(CHANNELS)), dtype=np.int32)
    twin = dirfa_twin.randomise(dirfa_twin.TwinMapper(mapper))
    variables, module = jax.device_put({"params": dirfa_twin.convert(twin)}), Mapper(mapper)

    def cost(variables):
        said, _ = module.apply(variables, *given)
        return -heads.log_likelihood(mapper.head, said, target, mapper.categories).mean()

    step = jax.jit(jax.value_and_grad(cost))
    for_twin, wanted = [torch.from_numpy(np.array(part)) for part in given], torch.from_numpy(target)

    def theirs():
        twin.zero_grad(set_to_none=True)
        loss = dirfa_twin.nats(mapper, twin(*for_twin)[0], wanted).mean()
        loss.backward()
        return loss.item()

    ours = lambda: jax.block_until_ready(step(variables))
    expect_close(f"mapper {variant}", float(ours()[0]), theirs())
    return {"ours": ours, "torch": theirs}


def generator_parts() -> tuple:
    """`tiny`'s module and variables, the twin, and pairs for both."""
    config = dirfa_generator.get_config("tiny")
    network = systems.build(config).networks["generator"]
    twin = dirfa_generator_weights.randomise(dirfa_generator_twin.Generator(config.generator))
    variables = dirfa_generator_weights.of_twin(twin, jax.eval_shape(network.init, jax.random.key(0)))
    given = dirfa_generator_weights.inputs_for(config, n=PAIRS)
    return network.module, jax.device_put(variables), twin, given, dirfa_generator_weights.for_torch(*given)


def generator_step() -> Pair:
    """Frames of pairs and the gradient of their mean square, ours and the twin's."""
    module, variables, twin, given, for_twin = generator_parts()
    twin.train()

    def cost(params):
        made, _ = module.apply(variables | {"params": params}, *given, Pass(train=True), mutable=["batch_stats"])
        return jnp.square(made.frames).mean()

    step = jax.jit(jax.value_and_grad(cost))

    def theirs():
        twin.zero_grad(set_to_none=True)
        loss = twin(*for_twin).square().mean()
        loss.backward()
        return loss.item()

    ours = lambda: jax.block_until_ready(step(variables["params"]))
    expect_close("generator tiny", float(ours()[0]), theirs())
    return {"ours": ours, "torch": theirs}


def generator_frame() -> Pair:
    """One frame of one photograph, which both encode anew."""
    module, variables, twin, given, for_twin = generator_parts()
    twin.eval()
    one, for_twin = [part[:1] for part in given], [part[:1] for part in for_twin]
    draw = jax.jit(lambda variables: module.apply(variables, *one).frames)

    def theirs():
        with torch.no_grad():
            return twin(*for_twin).numpy()

    ours = lambda: jax.block_until_ready(draw(variables))
    expect_close("generator tiny, one frame", np.asarray(ours()), np.moveaxis(theirs(), 1, -1))
    return {"ours": ours, "torch": theirs}


def expect_close(name: str, ours, theirs) -> None:
    """Refuses to time networks that are not the same.

    Raises:
        AssertionError: they differ.
    """
    apart = np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()
    assert apart < CLOSE, f"{name}: ours and the twin differ by {apart:.1e} of the largest value"


def row(pair: Pair, rounds: int) -> dict:
    """Milliseconds of both, and their ratio."""
    seconds = timing.interleave(pair, rounds)
    return {"ours, ms": timing.median(seconds["ours"], 1e3), "torch, ms": timing.median(seconds["torch"], 1e3),
            "torch / ours": timing.median(np.divide(seconds["torch"], seconds["ours"]))}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dirfa_step", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    rows = {f"mapper `{name}`, loss and gradient": row(mapper_step(variant), rounds)
            for variant, name in MAPPERS.items()}
    rows["generator `tiny`, frames of 8 pairs and gradient"] = row(generator_step(), rounds)
    rows["generator `tiny`, photograph encoded and one frame"] = row(generator_frame(), rounds)
    about = timing.machine() | {"jax": jax.__version__, "torch": torch.__version__}
    result = {"command": timing.command(), "config_hash": None, "seeds": [0], "about": about, "rows": rows}
    print(json.dumps(result, indent=1))
    print(timing.write("dirfa_step", result))


if __name__ == "__main__":
    main()
