"""How fast a face talks on one core: real-time factor, first frame after loading, from a push to its frame.

    python -m benchmarks.generate [--variants demo synthetic] [--seconds 20] [--rounds 7]

The process keeps to one core before anything is imported. Weights are drawn at random: their values do not change the
time. `first_frame_ms` begins with a picture and speech in memory, model loaded and compiled, and ends with the first
frame; `push_to_frame_ms` is what a push takes that completes frames; `delay_ms` is the speech that a live frame waits
for by construction, from its own first sample on. Writes benchmarks/results/generate.json.
"""

import argparse
import os
import pathlib
import sys
import tempfile

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import time

import numpy as np

from benchmarks import timing

TARGETS = {"real_time_factor": 0.2, "first_frame_ms": 200.0}
"""Of `demo`."""


def make_model(variant: str):
    """A model of random weights, compiled, the seconds that this took, and the config's values."""
    import jax

    from configs.temporal_gan import get_config
    from thjax import systems
    from thjax.checkpoint.config_io import to_dict
    from thjax.engine import NetState
    from thjax.generate.load import drawing_system
    from thjax.generate.model import Model

    config = get_config(variant)
    system, rng = drawing_system(systems.build(config)), np.random.default_rng(0)
    draw = lambda leaf: np.abs(rng.normal(0, 0.05, leaf.shape)).astype(np.float32) + 0.01
    variables = jax.tree.map(draw, jax.eval_shape(system.networks["generator"].init, jax.random.key(0)))
    net = jax.tree.map(jax.numpy.asarray, NetState(variables.pop("params"), (), variables))
    start = time.perf_counter()
    model = Model(system.sampler({"generator": net}, {}), config.data.crop).warm_up()
    return model, time.perf_counter() - start, to_dict(config)


def speech(seconds: float) -> np.ndarray:
    """Noise whose loudness swells, int16 at 16 kHz."""
    samples = int(16_000 * seconds)
    swell = np.abs(np.sin(np.arange(samples) * 2 * np.pi * 3 / 16_000))
    return (3000 * swell * np.random.default_rng(0).standard_normal(samples)).astype(np.int16)


def first_frame(model, image: np.ndarray, audio: np.ndarray) -> float:
    """Seconds from a picture to the first frame, the speech being there."""
    start = time.perf_counter()
    session = model.stream(image)
    for index in range(0, audio.size, 640):
        if len(session.push(audio[index : index + 640])):
            return time.perf_counter() - start
    raise RuntimeError("no frame came")


def pushes(model, image: np.ndarray, audio: np.ndarray) -> list[float]:
    """Seconds of every push of one frame's samples that completed frames."""
    session, seconds = model.stream(image), []
    for index in range(0, audio.size, 640):
        start = time.perf_counter()
        if len(session.push(audio[index : index + 640])):
            seconds.append(time.perf_counter() - start)
    return seconds


def measure(variant: str, length: float, rounds: int) -> tuple[dict, str]:
    """The figures of a variant, and its config's values."""
    from data_pipelines.media import write_parts
    from thjax.generate.live import blocks, in_step

    model, loading, config = make_model(variant)
    image = np.random.default_rng(1).integers(0, 256, (*model.frame_size, 3), dtype=np.uint8)
    audio = speech(length)

    def to_file():
        with tempfile.TemporaryDirectory() as place:
            write_parts(pathlib.Path(place) / "a.mp4", in_step(model.stream(image), blocks(audio)))

    whole = timing.interleave({
        "frames": lambda: [None for _ in model.frames(image, audio)],
        "file": to_file,
    }, rounds)
    firsts = [first_frame(model, image, audio) for _ in range(max(3 * rounds, 5))]
    steps = pushes(model, image, audio)
    sampler = model.sampler
    return {
        "real_time_factor": timing.median(whole["frames"], 1 / length),
        "real_time_factor_with_mp4": timing.median(whole["file"], 1 / length),
        "first_frame_ms": timing.median(firsts, 1e3),
        "push_to_frame_ms": timing.median(steps, 1e3),
        "push_to_frame_p95_ms": timing.number(1e3 * np.percentile(steps, 95)),
        "delay_ms": timing.number((sampler.chunk_frames * 640 + sampler.lookahead) / 16),
        "frames_per_chunk": timing.number(sampler.chunk_frames),
        "compile_seconds": timing.number(loading),
    }, config


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; 1 where `demo` misses a target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="+", default=["demo", "synthetic"])
    parser.add_argument("--seconds", type=float, default=20, help="of speech (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="timed repetitions (default: %(default)s)")
    arguments = parser.parse_args(argv)
    from thjax.checkpoint.config_io import config_hash

    rows, configs = {}, {}
    for variant in arguments.variants:
        rows[variant], configs[variant] = measure(variant, arguments.seconds, arguments.rounds)
    missed = [f"{metric} {rows['demo'][metric]['mean']:.3g} is over {limit:g}" for metric, limit in TARGETS.items()
              if "demo" in rows and rows["demo"][metric]["mean"] >= limit]
    path = timing.write("generate", {
        "command": timing.command(), "about": timing.machine(), "config_hash": config_hash(configs), "seeds": [0],
        "rows": rows,
    })
    for variant, row in rows.items():
        print(f"{variant}: " + ", ".join(f"{metric} {figure['mean']:.3g}" for metric, figure in row.items()))
    print(f"wrote {path}; " + ("; ".join(missed) or "all targets of demo are met"))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
