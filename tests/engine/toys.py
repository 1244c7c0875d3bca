"""Five toy systems of about 30 lines, one for each shape that the engine must carry without a special case."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines import schema
from thjax.core.config import RunConfig
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.engine import (
    Aux,
    Ema,
    Evaluation,
    GenerateRequest,
    GradPhase,
    Network,
    Patience,
    Source,
    Stage,
    Trained,
    Until,
    WritePhase,
)
from thjax.optim import OptimizerConfig, make_optimizer

COEFFICIENTS = 4


def toy_batch(spec: DataSpec, position: int = 0, rows: int | None = None) -> dict[str, np.ndarray]:
    """Random fields of `data_pipelines.schema` for the examples from `position` on: a pure function of it."""
    sizes = {"T": spec.window, "H": spec.crop.height, "W": spec.crop.width, "K": COEFFICIENTS,
             "T * 640 + 6400": spec.window * 640 + 6400}
    examples = []
    for example in range(position, position + (spec.batch if rows is None else rows)):
        draw = np.random.default_rng(example)
        fields = {"example_id": np.uint32(example)}
        fields["valid"] = (np.arange(spec.window) < draw.integers(1, spec.window + 1)).astype(np.float32)
        for name in sorted(spec.fields):
            field = schema.BATCH_FIELDS[name]
            shape = tuple(sizes.get(axis, axis) for axis in field.shape)
            if np.issubdtype(field.dtype, np.floating):
                fields[name] = draw.normal(size=shape).astype(field.dtype)
            else:
                fields[name] = draw.integers(0, 255, shape).astype(field.dtype)
        examples.append(fields)
    return {name: np.stack([fields[name] for fields in examples]) for name in examples[0]}


class Dense(nn.Module):
    """One matrix and a bias, in float64 under x64."""

    features: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.features, dtype=x.dtype, param_dtype=float)(x)


def network(module: nn.Module, *shapes) -> Network:
    return Network(module, lambda key: module.init(key, *(jnp.zeros(shape) for shape in shapes)))


@dataclasses.dataclass(frozen=True)
class Toy:
    """What every toy system has."""

    networks: dict[str, Network]
    stages: tuple[Stage, ...]
    evaluators: dict[str, Any] = dataclasses.field(default_factory=dict)
    config: RunConfig = RunConfig()

    def statistics(self, shard_statistics):
        return {}

    def sampler(self, nets, stats):
        return StepwiseSampler(self, nets)


def sound(batch) -> jax.Array:
    """[b, T, 4]: four samples of every frame, in [-1, 1]."""
    frames = batch["audio"][:, 3200:-3200].reshape(batch["audio"].shape[0], -1, 640)
    return frames[..., :: 640 // 4].astype(float) / 32768


def pixels(batch) -> jax.Array:
    """[b, T, H * W * 3] in [-1, 1]."""
    frames = batch["frames"].astype(float) / 127.5 - 1
    return frames.reshape(frames.shape[:2] + (-1,))


# (a) Three learning rates in one backward pass, with a frozen network in the middle of the loss.
RATES = {"encoder": 1e-2, "decoder": 1e-3, "head": 1e-4}


def three_rates(batch: int = 8, optimizer=make_optimizer) -> Toy:
    spec = DataSpec(fields=("audio", "pose"), window=3, batch=batch)
    nets = {"encoder": Dense(5), "decoder": Dense(5), "judge": Dense(5), "head": Dense(6)}

    def loss(params, nets_, shared, batch, rngs, ctx):
        x = sound(batch)
        for name in ("encoder", "decoder", "judge", "head"):
            own = params[name] if name in params else nets_[name].params
            x = jnp.tanh(nets[name].apply({"params": own}, x))
        error = ctx.mean((x - batch["pose"]) ** 2, batch["valid"])
        return error, Aux({"error": error})

    configs = {name: OptimizerConfig(learning_rate=rate) for name, rate in RATES.items()}
    trains = tuple(Trained(name, optimizer(config), config) for name, config in configs.items())
    stage = Stage("together", spec, (GradPhase(trains, loss),), Until(steps=10), {name: Source() for name in nets})
    inputs = {"encoder": 4, "decoder": 5, "judge": 5, "head": 5}
    return Toy({name: network(net, (1, inputs[name])) for name, net in nets.items()}, (stage,))


# (b) A memory that is written without gradients, newest example first, and read by a trained network.
SLOTS = 20


class Memory(nn.Module):
    """[SLOTS, 4] features of the examples seen last."""

    @nn.compact
    def __call__(self):
        return self.variable("memory", "slots", jnp.zeros, (SLOTS, 4), float).value


def memory(batch: int = 16) -> Toy:
    spec = DataSpec(fields=("audio", "pose"), window=3, batch=batch)
    reader = Dense(6)

    def write(variables, nets, shared, batch, rngs, ctx):
        seen, ids = ctx.all_gather(sound(batch).mean(1)), ctx.all_gather(batch["example_id"])
        newest_first = seen[jnp.argsort(ids)][::-1]
        return {"memory": {"slots": jnp.concatenate([newest_first, variables["memory"]["slots"]])[:SLOTS]}}

    def loss(params, nets, shared, batch, rngs, ctx):
        slots = nets["memory"].variables["memory"]["slots"]
        near = jax.nn.softmax(sound(batch) @ slots.T) @ slots
        error = ctx.mean((reader.apply({"params": params["reader"]}, near) - batch["pose"]) ** 2, batch["valid"])
        return error, Aux({"error": error})

    phases = (WritePhase("memory", write), GradPhase((Trained("reader", optax.sgd(0.1)),), loss))
    stage = Stage("remember", spec, phases, Until(steps=10), {"memory": Source(), "reader": Source()})
    return Toy({"memory": network(Memory()), "reader": network(reader, (1, 4))}, (stage,))


# (c) A stage without pixels, then one with pixels, another window, a new network and the first one trained on.
def two_stages(batch: int = 8, steps: tuple[int, int] = (6, 6), config: RunConfig = RunConfig()) -> Toy:
    crop = CropSpec("none", 6, 4)
    motion, painter = Dense(6), Dense(6 * 4 * 3)
    slow, fast = OptimizerConfig(learning_rate=1e-3), OptimizerConfig(learning_rate=1e-2)

    def motion_loss(params, nets, shared, batch, rngs, ctx):
        moved = motion.apply({"params": params["motion"]}, sound(batch))
        error = ctx.mean((moved - batch["pose"]) ** 2, batch["valid"])
        return error, Aux({"motion_error": error})

    def shared(params, nets, batch, rngs, ctx):
        return motion.apply({"params": params["motion"]}, sound(batch)), {}

    def paint_loss(params, nets, moved, batch, rngs, ctx):
        noise = jax.vmap(lambda key: jax.random.normal(key, moved.shape[1:]))(rngs.stream("noise"))
        painted = painter.apply({"params": params["painter"]}, moved + 0.1 * noise)
        error = ctx.mean(jnp.abs(painted - pixels(batch)), batch["valid"])
        return error, Aux({"paint_error": error}, per_example={"paint": jnp.abs(painted - pixels(batch)).mean((1, 2))})

    def evaluate(nets, batch, rngs, ctx):
        moved = motion.apply({"params": nets["motion"].params}, sound(batch))
        painted = jnp.tanh(painter.apply({"params": nets["painter"].params}, moved))
        frames = ((painted.reshape(batch["frames"].shape) + 1) * 127.5).astype(jnp.uint8)
        return Evaluation({"error": jnp.abs(painted - pixels(batch)).mean((1, 2))}, frames)

    first = Stage(
        "motion", DataSpec(fields=("audio", "pose"), window=8, batch=batch),
        (GradPhase((Trained("motion", make_optimizer(slow), slow),), motion_loss),),
        Until(steps=steps[0]), {"motion": Source()}, ema=Ema(("motion",), 0.9),
    )
    second = Stage(
        "pixels", DataSpec(fields=("audio", "frames", "still"), window=4, batch=batch, crop=crop),
        (
            GradPhase(
                (Trained("motion", make_optimizer(slow), slow), Trained("painter", make_optimizer(fast), fast)),
                paint_loss, through_shared=True,
            ),
        ),
        Until(steps=steps[1], patience=Patience("paint/error", 1000)),
        {"motion": Source("previous"), "painter": Source()},
        shared, ("motion",), Ema(("motion", "painter"), 0.9), evaluate=("paint",),
    )
    networks = {"motion": network(motion, (1, 4)), "painter": network(painter, (1, 6))}
    return Toy(networks, (first, second), {"paint": evaluate}, config)


# (d) A sampler that feeds every frame it drew back in, hears ahead, and needs the whole audio's pose beforehand.
class StepwiseSampler:
    """Frames [H, W, 3] = 2 x 3 x 3, each drawn from the one before it, the sound around it and noise of its own."""

    frame_size = (2, 3)
    lookahead = 640
    lookbehind = 320

    def __init__(self, system: Toy, nets, chunk_frames: int = 4):
        self.chunk_frames = chunk_frames
        self.cell = system.networks["cell"].module
        self.params = nets["cell"].params

    def plan(self, request: GenerateRequest):
        loudness = 0.0 if request.audio is None else float(np.abs(request.audio.astype(np.float32)).mean() / 32768)
        still = request.still.reshape(-1).astype(np.float32) / 127.5 - 1
        return {"frame": jnp.asarray(still), "loudness": jnp.float32(loudness), "index": jnp.int32(0),
                "key": jax.random.key(request.seed)}

    def chunk(self, carry, audio):
        audio = audio.astype(jnp.float32) / 32768
        starts = jnp.arange(self.chunk_frames) * 640

        def draw(carry, start):
            heard = jax.lax.dynamic_slice_in_dim(audio, start, self.lookbehind + 640 + self.lookahead).reshape(-1, 320)
            noise = jax.random.normal(jax.random.fold_in(carry["key"], carry["index"]), (18,))
            seen = jnp.concatenate([carry["frame"], heard.mean(1), carry["loudness"][None], 0.1 * noise])
            frame = jnp.tanh(self.cell.apply({"params": self.params}, seen))
            return carry | {"frame": frame, "index": carry["index"] + 1}, frame

        carry, frames = jax.lax.scan(draw, carry, starts)
        return carry, ((frames.reshape(-1, 2, 3, 3) + 1) * 127.5).astype(jnp.uint8)

    def finish(self, carry, frames):
        return frames


def stepwise(batch: int = 8) -> Toy:
    cell = Dense(18)

    def loss(params, nets, shared, batch, rngs, ctx):
        drawn = cell.apply({"params": params["cell"]}, jnp.ones(batch["valid"].shape + (42,)))
        error = ctx.mean(drawn, batch["valid"])
        return error, Aux({"error": error})

    spec = DataSpec(fields=("audio",), window=3, batch=batch)
    phase = GradPhase((Trained("cell", optax.sgd(0.1)),), loss)
    stage = Stage("draw", spec, (phase,), Until(steps=1), {"cell": Source()})
    return Toy({"cell": network(cell, (1, 42))}, (stage,))


# (e) Masked losses, and a Dice loss over the whole batch, which is no mean of per-example values.
def dice(batch: int = 16) -> Toy:
    segment = Dense(18)

    def loss(params, nets, shared, batch, rngs, ctx):
        logits = segment.apply({"params": params["segment"]}, sound(batch))
        error = ctx.mean(jnp.abs(logits - batch["au_presence"]), batch["valid"])
        guess, truth = jax.nn.sigmoid(logits), (batch["au_presence"] > 0).astype(logits.dtype)
        valid = batch["valid"][..., None] > 0
        sums = ctx.psum([jnp.where(valid, x, 0).sum() for x in (guess * truth, guess, truth)])
        overlap = 1 - (2 * sums[0] + 1) / (sums[1] + sums[2] + 1)
        per_example = jnp.where(valid, jnp.abs(logits - batch["au_presence"]), 0).sum((1, 2))
        return error + overlap, Aux({"error": error, "dice": overlap}, per_example={"per_example": per_example})

    spec = DataSpec(fields=("audio", "au_presence"), window=5, batch=batch)
    phase = GradPhase((Trained("segment", optax.sgd(0.1)),), loss)
    stage = Stage("segment", spec, (phase,), Until(steps=10), {"segment": Source()})
    return Toy({"segment": network(segment, (1, 4))}, (stage,))
