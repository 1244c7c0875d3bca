"""The two stages of the lip reader: the front on faces, then the reader on what the front sees."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from thjax.judge_training import fit
from thjax.judge_training.lip_batches import clip_offsets, crop
from thjax.judges.lips import CHANNELS, FRAMES, SIDE, Config, Front, LipReader, Reader, standardise
from thjax.optim.schedules import cosine, warmed_up

Report = Callable[[int, float], None]
BLURRED_SHARE, STRONGEST_BLUR = 0.5, 0.25
"""Share of clips that are blurred, up to a standard deviation of a pixel: frames may have been enlarged."""
CONTRASTS, BRIGHTNESS, NOISE = (0.85, 1.18), 0.15, 0.08
"""Range of contrast, and standard deviations of brightness and noise, in units of the clip's own spread."""
LANDMARKS_WEIGHT = 0.5
"""Of landmarks beside coefficients."""
FLOOR = 0.02
LOOKS = 2
"""Crops of every clip that the reader learns from."""


def new_variables(config: Config, seed: int) -> fit.Variables:
    """Of `LipReader`, before training."""
    network = LipReader(config)
    x, valid = jnp.zeros((1, FRAMES, 48, 48)), jnp.ones((1, FRAMES))
    return jax.jit(network.init)(jax.random.key(seed), x, valid)


def adam(rate: float, steps: int, warm_up: int) -> optax.GradientTransformation:
    """Adam under a cosine with a ramp."""
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(warmed_up(cosine(rate, steps, FLOOR), warm_up)))


def augment(x: jax.Array, key: jax.Array) -> jax.Array:
    """Other cameras: standardised clips [N, T, 40, 40], each blurred, lit and shot in its own way."""
    keys = jax.random.split(key, 5)
    shape = (len(x), 1, 1, 1)
    strength = jax.random.uniform(keys[0], shape, maxval=STRONGEST_BLUR)
    strength = jnp.where(jax.random.uniform(keys[1], shape) < BLURRED_SHARE, strength, 0.0)
    x = blur(blur(x, strength), strength)
    x = x * jax.random.uniform(keys[2], shape, minval=CONTRASTS[0], maxval=CONTRASTS[1])
    return x + BRIGHTNESS * jax.random.normal(keys[3], shape) + NOISE * jax.random.normal(keys[4], x.shape)


def blur(x: jax.Array, strength: jax.Array) -> jax.Array:
    """Both axes of [N, T, H, W] by the weights (k, 1 - 2k, k), variance 2k, k = `strength` [N, 1, 1, 1]."""
    for axis in (2, 3):
        wide = jnp.pad(x, [(1, 1) if place == axis else (0, 0) for place in range(4)], mode="edge")
        sides = [jax.lax.slice_in_dim(wide, start, start + x.shape[axis], axis=axis) for start in (0, 2)]
        x = x + strength * (sides[0] + sides[1] - 2 * x)
    return x


def sight_loss(seen: tuple[jax.Array, jax.Array], coefficients: jax.Array, landmarks: jax.Array) -> jax.Array:
    """Huber's loss of what the front sees."""
    return optax.huber_loss(seen[0], coefficients).mean() + LANDMARKS_WEIGHT * optax.huber_loss(
        seen[1], landmarks).mean()


def words_loss(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Cross-entropy of every frame: exact times are known, and CTC learns far slower."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()


def fit_front(variables: fit.Variables, config: Config, batches: Iterable, optimizer: optax.GradientTransformation,
              seed: int, report: Report) -> fit.Variables:
    """Trains the front on `face_batches`; returns all variables."""
    front = Front(config.front, config.hidden)

    def loss(params, rest, batch, key):
        x, coefficients, landmarks = batch
        x = augment(x[:, None], key)[:, 0]
        seen, rest = front.apply({"params": params, **rest}, x, train=True, mutable=["batch_stats"])
        return sight_loss(seen, coefficients, landmarks), rest

    part = {name: collection["front"] for name, collection in variables.items()}
    part = fit.fit(part, loss, optimizer, batches, seed, report)
    return _with("front", variables, part)


def fit_reader(variables: fit.Variables, config: Config, batches: Iterable, optimizer: optax.GradientTransformation,
               seed: int, report: Report) -> fit.Variables:
    """Trains the reader on tracks, exact or seen: batches of coefficients and classes; returns all variables."""
    reader = Reader(config.width, config.dilations, config.dropout)

    def loss(params, rest, batch, key):
        tracks, classes = batch
        keys = jax.random.split(key, len(tracks))
        logits = reader.apply({"params": params}, tracks, jnp.ones(classes.shape), keys)
        return words_loss(logits, classes), rest

    part = fit.fit({"params": variables["params"]["reader"]}, loss, optimizer, batches, seed, report)
    return _with("reader", variables, part)


def look(variables: fit.Variables, config: Config, mouth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the front sees of clips `[N, T, 48, 48]`, `LOOKS` crops and cameras of each: `[LOOKS, N, T, 10]`."""
    front = Front(config.front, config.hidden)
    part = {name: collection["front"] for name, collection in variables.items() if "front" in collection}

    @jax.jit
    def see(part, pixels, key):
        x = augment(standardise(pixels.astype(jnp.float32), jnp.ones(pixels.shape[:2])), key)
        return front.apply(part, x.reshape(-1, SIDE, SIDE))[0]

    clips, frames = mouth.shape[:2]
    seen = np.empty((LOOKS, clips, frames, len(CHANNELS)), np.float32)
    key = jax.random.key(int(rng.integers(2**31)))
    for take in range(LOOKS):
        for clip in range(clips):
            offsets = clip_offsets(1, frames, rng)
            pixels = crop(mouth, (np.array([[clip]]), np.arange(frames)), offsets)
            seen[take, clip] = see(part, pixels, jax.random.fold_in(key, take * clips + clip))
    return seen


def read_tracks(variables: fit.Variables, config: Config, coefficients: np.ndarray) -> np.ndarray:
    """Log-probabilities `[N, T, 52]` that the reader gives tracks `[N, T, 10]`, in `CHANNEL_UNIT`."""
    reader = Reader(config.width, config.dilations, config.dropout)
    valid = jnp.ones(coefficients.shape[:2])
    logits = jax.jit(reader.apply)({"params": variables["params"]["reader"]}, coefficients, valid)
    return np.asarray(jax.nn.log_softmax(logits))


def _with(name: str, variables: fit.Variables, part: fit.Variables) -> dict[str, Any]:
    """Variables with one part of the network replaced."""
    return {collection: {**parts, name: part[collection]} if collection in part else parts
            for collection, parts in variables.items()}
