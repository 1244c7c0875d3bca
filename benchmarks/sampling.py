"""How fast a mapper draws motion on the CPU, features in and categories out, one motion of one audio.

    python -m benchmarks.sampling [--rounds 7]

* Size `s` beside a sampler in torch with the same ring of keys and values, at 300 and 750 frames. torch runs under both
  policies of its OpenMP (threads that spin, threads that sleep), each in a process of its own; the faster one counts.
* Size `m` beside the roof of its weights: the same matrices, each multiplied by a vector once a frame and nothing else.
* Time a frame from 500 to 10,000 frames, size `s`: a sampler that remembers everything would grow.

Weights are drawn at random. Writes benchmarks/results/sampling.json.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np

from benchmarks import timing
from thjax.systems.dirfa.animation import CHANNELS

POLICIES = ("ACTIVE", "PASSIVE")
LENGTHS = (300, 750)
FLAT = (500, 2_000, 10_000)


def make(size: str):
    """(config, function of features that draws, variables) of a mapper of this size."""
    import jax

    from configs.dirfa import get_config
    from thjax.systems.dirfa.config import mapper_of_size
    from thjax.systems.dirfa.networks import Mapper
    from thjax.systems.dirfa.sampling import make_draw_motion, make_start

    config = dataclasses.replace(get_config("synthetic"), mapper=mapper_of_size(size))
    module = Mapper(config.mapper)
    draw, start = jax.jit(make_draw_motion(config, module)), make_start(config, module)(0, 1)
    return config, draw, start


def features_of(config, frames: int) -> np.ndarray:
    """[T, A] of noise."""
    return np.random.default_rng(0).uniform(0, 1, (frames, config.mapper.mel.features)).astype(np.float32)


def beside_torch(rounds: int) -> dict[str, dict[str, list[float]]]:
    """{frames: {sampler: seconds of each round}}; runs in a process whose OpenMP policy is set."""
    import jax
    import torch

    from benchmarks.torch_sampler import RingSampler
    from tests.systems.dirfa_twin import TwinMapper, convert, randomise

    config, draw, start = make("s")
    twin = randomise(TwinMapper(config.mapper))
    variables, peer = jax.device_put({"params": convert(twin)}), RingSampler(twin)
    found = {}
    for frames in LENGTHS:
        features = features_of(config, frames)
        ours = lambda features=features: jax.block_until_ready(draw(variables, start, features))
        theirs = lambda features=torch.from_numpy(features): peer.draw(features, 0)
        ours(), theirs()
        found[str(frames)] = timing.interleave({"ours": ours, "torch": theirs}, rounds)
    return found


def rows_beside_torch(rounds: int) -> dict[str, dict]:
    """Rows of size `s` at each length, torch under the policy that is faster for it."""
    by_policy = {}
    for policy in POLICIES:
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.sampling", "--beside_torch", "--rounds", str(rounds)],
            env=os.environ | {"OMP_WAIT_POLICY": policy}, check=True, capture_output=True, text=True)
        by_policy[policy] = json.loads(made.stdout.splitlines()[-1])
    rows = {}
    for frames in LENGTHS:
        both = min((found[str(frames)] for found in by_policy.values()), key=lambda pair: np.median(pair["torch"]))
        scale = 1e3 / frames
        rows[f"s, {frames} frames"] = {
            "ours, ms a frame": timing.median(both["ours"], scale),
            "torch, ms a frame": timing.median(both["torch"], scale),
            "torch / ours": timing.median(np.divide(both["torch"], both["ours"])),
        }
    return rows


def rows_beside_roof(rounds: int) -> dict[str, dict]:
    """The row of size `m`, with the time of its weights' products alone."""
    import jax
    import jax.numpy as jnp

    from tests.systems.dirfa_narrow import random_weights

    config, draw, start = make("m")
    variables = jax.device_put(random_weights(config)[1])
    # Of the table a frame reads 23 rows; of every other matrix it reads all.
    used = [leaf for leaf in jax.tree.leaves(variables)
            if leaf.ndim == 2 and leaf.shape[0] != len(CHANNELS) * config.mapper.categories]

    @jax.jit
    def multiply(matrices, frames):
        def frame(_, total):
            for matrix in matrices:  # each product waits for the one before, as layers do
                total = (jnp.full(matrix.shape[:1], total) @ matrix).sum() * 1e-9
            return total

        return jax.lax.fori_loop(0, frames, frame, jnp.float32(1))

    frames = LENGTHS[0]
    features = features_of(config, frames)
    both = {"ours": lambda: jax.block_until_ready(draw(variables, start, features)),
            "roof": lambda: jax.block_until_ready(multiply(used, frames))}
    for function in both.values():
        function()
    seconds, scale = timing.interleave(both, rounds), 1e3 / frames
    return {f"m, {frames} frames": {
        "ours, ms a frame": timing.median(seconds["ours"], scale),
        "roof, ms a frame": timing.median(seconds["roof"], scale),
        "ours / roof": timing.median(np.divide(seconds["ours"], seconds["roof"])),
    }}


def rows_by_length(rounds: int) -> dict[str, dict]:
    """Rows of size `s` at lengths up to ten minutes and more, each beside the shortest.

    A length is drawn as often as gives the frames of the longest, so that all are timed for as long.
    """
    import jax

    from tests.systems.dirfa_narrow import random_weights

    config, draw, start = make("s")
    variables = jax.device_put(random_weights(config)[1])
    runs = {}
    for frames in FLAT:
        features = features_of(config, frames)
        runs[frames] = lambda features=features: [jax.block_until_ready(draw(variables, start, features))
                                                  for _ in range(FLAT[-1] // len(features))]
        runs[frames]()
    seconds = timing.interleave(runs, rounds)
    return {f"s, {frames} frames": {
        "ours, ms a frame": timing.median(values, 1e3 / FLAT[-1]),
        "of the shortest": timing.median(np.divide(values, seconds[FLAT[0]])),
    } for frames, values in seconds.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beside_torch", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.beside_torch:
        print(json.dumps(beside_torch(arguments.rounds)))
        return
    rows = rows_beside_torch(arguments.rounds) | rows_beside_roof(arguments.rounds) | rows_by_length(arguments.rounds)
    result = {"command": timing.command(), "config_hash": None, "seeds": [0], "about": timing.machine(),
              "rows": rows}
    print(json.dumps(result, indent=1))
    print(timing.write("sampling", result))


if __name__ == "__main__":
    main()
