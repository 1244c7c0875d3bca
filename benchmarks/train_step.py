"""The temporal GAN's training step beside its torch twin.

    python -m benchmarks.train_step [--variants demo synthetic] [--device cpu|gpu] [--precision f32|bf16] [--data DIR]

The same networks with the same weights, losses and Adam, on the same batch, on the same cores, interleaved in one
process. The losses of the first step are asserted equal before anything is timed. Ours takes what the loader gives
(uint8 pixels, int16 audio) and draws its noise; the twin is handed float pixels, windows and noise ready-made, so the
comparison leans towards torch. Writes benchmarks/results/train_step.json, or train_step_gpu.json.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import resource
import subprocess
import sys

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

from benchmarks import timing
from thjax.train.memory import keep_freed_memory

ROOT = pathlib.Path(__file__).parent.parent
CPU_SIZES = {"demo": (4, 12), "synthetic": (1, 8)}
"""Clips and frames of a batch; `demo` is the real one, `synthetic` what fits two cores' patience."""
GPU_SIZES = {"demo": (4, 12), "synthetic": (8, 75)}
WARM, STEPS = 10, {"demo": 100, "synthetic": 20}
"""Steps before and while the wait for data is measured."""
PEAK_FLOPS = {"bf16": 989e12, "f32": 67e12}
"""Dense peak of an H100 or H200 SXM, by its data sheet; f32 without TF32."""
TOLERANCE = {"f32": 2e-4, "bf16": 5e-2}


def sized(variant: str, device: str, precision: str):
    """The variant's config with the batch that is timed."""
    from configs.temporal_gan import get_config

    config = get_config(variant)
    batch, window = (CPU_SIZES if device == "cpu" else GPU_SIZES)[variant]
    data = dataclasses.replace(config.data, batch=batch, window=window)
    # An epoch's length only places the decays, far behind the steps that are timed.
    return dataclasses.replace(config, data=data, precision=precision).with_batches_per_epoch(100_000)


def random_batch(config) -> dict:
    """A batch in the loader's types."""
    import numpy as np

    rng, b, t = np.random.default_rng(0), config.data.batch, config.data.window
    h, w = config.data.crop.height, config.data.crop.width
    mouth = np.array([0.5 * w, 0.7 * h]) + rng.normal(0, 3, (b, t, 68, 2))
    return {
        "example_id": np.arange(b, dtype=np.uint32), "valid": np.ones((b, t), np.float32),
        "frames": rng.integers(0, 256, (b, t, h, w, 3), dtype=np.uint8),
        "still": rng.integers(0, 256, (b, h, w, 3), dtype=np.uint8),
        "audio": rng.integers(-9000, 9000, (b, t * 640 + 6400), dtype=np.int16),
        "landmarks": mouth.astype(np.float32),
    }


class Ours:
    """Our step, compiled, and the state it carries from call to call."""

    def __init__(self, config, stage_name: str, weights=None):
        import jax

        from thjax import systems
        from thjax.core.context import Context
        from thjax.engine import enter_stage, make_step

        self.system = systems.build(config)
        stage = next(stage for stage in self.system.stages if stage.name == stage_name)
        fresh = dataclasses.replace(stage, init={name: type(source)() for name, source in stage.init.items()})
        self.key = jax.random.key(0)
        self.state = jax.jit(lambda key: enter_stage(self.system.networks, fresh, None, key))(self.key)
        if weights:
            nets = {name: self._with(net, weights[name]) for name, net in self.state.nets.items()}
            ema = {name: jax.tree.map(lambda leaf: leaf.copy(), nets[name].params) for name in self.state.ema}
            self.state = self.state.replace(nets=nets, ema=ema)
        self.batch = jax.device_put(random_batch(config))
        step = jax.jit(make_step(stage, Context()), donate_argnums=0)
        self.compiled = step.lower(self.state, self.batch, self.key).compile()

    @staticmethod
    def _with(net, variables):
        import jax

        placed = jax.tree.map(jax.numpy.asarray, dict(variables))
        return net.replace(params=placed.pop("params"), variables=placed)

    def __call__(self):
        import jax

        self.state, metrics = self.compiled(self.state, self.batch, self.key)
        jax.block_until_ready((self.state, metrics))
        return metrics.scalars

    def flops(self) -> float:
        """Floating-point operations of a step, by the compiler's count; a scan's body counts once."""
        analysis = self.compiled.cost_analysis()
        return float((analysis[0] if isinstance(analysis, list) else analysis)["flops"])

    def twin_batch(self, config) -> dict:
        """The batch as the twin takes it: prepared by our functions, with our noise and our sampled frames."""
        import jax
        import jax.numpy as jnp

        from thjax.core.rngs import Rngs
        from thjax.systems.temporal_gan import inputs
        from thjax.systems.temporal_gan.system import reconstruction_weights

        rngs = Rngs(jax.random.fold_in(self.key, 0), self.batch["example_id"])
        frames = config.data.window
        weights = reconstruction_weights(config, self.batch)
        return {
            "still": inputs.to_unit(self.batch["still"]), "frames": inputs.to_unit(self.batch["frames"]),
            "windows": inputs.batch_windows(config.generator, self.batch["audio"]),
            "noise": inputs.draw_noise(config.generator, rngs.stream("noise"), frames),
            "weights": jnp.broadcast_to(weights, (config.data.batch, frames, *weights.shape[-2:])),
            "chosen": inputs.choose_frames(
                rngs.stream("judged_frames"), self.batch["valid"], config.discriminators.frames_per_clip
            ),
        }


def torch_steps(config, names, device: str, precision: str) -> tuple[dict, dict]:
    """{competitor: twin step}, and the weights they all start from as ours."""
    import torch

    sys.path.insert(0, str(ROOT / "tests" / "systems"))
    from temporal_gan_twin import TWINS, TrainStep, convert

    def fresh():
        torch.manual_seed(0)
        return {name: TWINS[name](config) for name in names}

    place = "cuda" if device == "gpu" else "cpu"
    autocast = torch.bfloat16 if precision == "bf16" else None
    kinds = {"torch_eager": (False, False), "torch_channels_last": (False, True), "torch_compile": (True, True)}
    steps = {
        kind: TrainStep(config, fresh(), compiled, channels_last, place, autocast)
        for kind, (compiled, channels_last) in kinds.items()
    }
    return steps, {name: convert(net) for name, net in fresh().items()}


def compare(config, stage_name: str, device: str, precision: str, rounds: int) -> dict:
    """Rows of one variant and stage."""
    import torch

    ours_first = [n for n in ("generator", "frame_discriminator", "sequence_discriminator")
                  if n == "generator" or stage_name == "adversarial"]
    twins, weights = torch_steps(config, ours_first, device, precision)
    ours = Ours(config, stage_name, weights)
    prepared, runs = ours.twin_batch(config), {"ours": ours}
    first = {name: float(value) for name, value in ours().items()}
    for kind, twin in twins.items():
        batch = twin.place(prepared)
        try:
            losses = twin(batch)
        except Exception as error:  # torch's compiler fails on some machines, in as many ways; the others go on
            if kind != "torch_compile":
                raise
            print(f"  {kind} does not run here: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        check_equal(kind, first, losses, TOLERANCE[precision])

        def run(twin=twin, batch=batch):
            twin(batch)
            if device == "gpu":
                torch.cuda.synchronize()

        runs[kind] = run
    seconds = timing.interleave(runs, rounds)
    label = f"{config.variant} {stage_name} {config.data.batch}x{config.data.window}"
    rows = {f"{label}: {name}": {"milliseconds": timing.median(values, 1e3)} for name, values in seconds.items()}
    best = min(rows[f"{label}: {name}"]["milliseconds"]["mean"] for name in runs if name != "ours")
    mine = rows[f"{label}: ours"]
    mine["ratio_to_best_torch"] = timing.number(mine["milliseconds"]["mean"] / best)
    mine["gigaflop"] = timing.number(ours.flops() / 1e9)
    if device == "gpu":
        share = ours.flops() / (mine["milliseconds"]["mean"] / 1e3) / PEAK_FLOPS[precision]
        mine["share_of_peak"] = timing.number(share)
    return rows


def check_equal(kind: str, ours: dict, twin: dict, tolerance: float) -> None:
    """Raises AssertionError unless every loss of the first step agrees."""
    for name, value in twin.items():
        value = float(value)
        assert abs(ours[name] - value) <= tolerance * abs(value), f"{kind}: {name} {value} against ours {ours[name]}"


def measure_memory(variant: str, precision: str) -> float:
    """Peak resident memory in GiB of a process that trains this variant, imports included."""
    command = [sys.executable, "-m", "benchmarks.train_step", "--memory_of", variant, "--precision", precision]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(made.stdout.splitlines()[-1])["gib"]


def peak_memory(variant: str, precision: str) -> float:
    """As `measure_memory`, of this very process."""
    config = sized(variant, "cpu", precision)
    ours = Ours(config, "adversarial")
    for _ in range(3):
        ours()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def wait_share(variant: str, precision: str, data: str) -> dict:
    """Share of the time in which the devices wait for the loader, after `WARM` steps of each stage."""
    import time

    import jax

    from data_pipelines.loader import Loader
    from thjax import systems
    from thjax.engine import enter_stage
    from thjax.parallel import compile_step
    from thjax.train.feed import Feed

    config = sized(variant, "cpu", precision)
    system, state, shares, previous = systems.build(config), None, {}, None
    for stage in system.stages:
        state = enter_stage(system.networks, stage, state, jax.random.key(0), previous=previous)
        executor = compile_step(stage)
        state, feed = executor.place_state(state), Feed(Loader(data, stage.data, 0), executor, 0)
        for index in range(WARM + STEPS[variant]):
            if index == WARM:
                feed.waited, start = 0.0, time.perf_counter()
            state, metrics = executor.step(state, feed.next(), jax.random.key(0))
            jax.block_until_ready(metrics)
        shares[f"{variant} {stage.name}: data"] = {
            "share_waiting": timing.number(feed.waited / (time.perf_counter() - start))
        }
        feed.close()
        previous = stage
    return shares


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_step", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=["demo", "synthetic"], choices=sorted(CPU_SIZES))
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--rounds", type=int, default=15, help="timings of every competitor")
    parser.add_argument("--data", help="prepared corpus: also measures the share of a step that waits for it")
    parser.add_argument("--memory_of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ["JAX_PLATFORMS"] = "cpu" if arguments.device == "cpu" else "cuda,cpu"
    keep_freed_memory()  # as `thjax train` does; torch gains as well
    if arguments.memory_of:
        print(json.dumps({"gib": peak_memory(arguments.memory_of, arguments.precision)}))
        return
    rows = {}
    for variant in arguments.variants:
        config = sized(variant, arguments.device, arguments.precision)
        stages = ("reconstruction", "adversarial") if config.schedule.reconstruction_steps else ("adversarial",)
        for stage in stages:
            rows |= compare(config, stage, arguments.device, arguments.precision, arguments.rounds)
        if arguments.device == "cpu":
            rows[f"{variant}: process"] = {
                "peak_gib": timing.number(measure_memory(variant, arguments.precision))
            }
        if arguments.data and arguments.device == "cpu":
            rows |= wait_share(variant, arguments.precision, arguments.data)
    import jax
    import torch

    about = timing.machine() | {"jax": jax.__version__, "torch": torch.__version__, "precision": arguments.precision,
                                "device": jax.devices()[0].device_kind}
    name = "train_step" if arguments.device == "cpu" else "train_step_gpu"
    configs = [dataclasses.asdict(sized(v, arguments.device, arguments.precision)) for v in arguments.variants]
    digest = hashlib.sha256(json.dumps(configs, sort_keys=True).encode()).hexdigest()[:12]
    result = {"command": timing.command(), "config_hash": digest, "seeds": [0], "about": about, "rows": rows}
    path = timing.write(name, result)
    for row, metrics in rows.items():
        print(f"{row:44s}", "  ".join(f"{metric} {value['mean']:.4g}" for metric, value in metrics.items()))
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
