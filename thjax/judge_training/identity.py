"""Trains the judge of identity on pictures of many people, and examines it on people it never met.

Two things are asked of an embedding: whose picture of the training people this is, with a margin (CosFace), and which
coefficients of shape and colour made that person. The corpus knows them exactly, and they teach from the first step,
where a thousand classes teach nothing before the classes have come apart.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines.crops import STABLE_LANDMARKS, canonical_template, similarity, transform_points, warp
from data_pipelines.synthetic.render import COEFFICIENT_NAMES
from thjax.judge_training import verification
from thjax.judge_training.fit import fit
from thjax.judge_training.stills import Stills, draw_stills
from thjax.judges import identity as judges
from thjax.judges.identity import SIDE, Judge, against_surroundings, face_affine
from thjax.optim.schedules import cosine, warmed_up

SHIFT, ZOOM, TURN = 2.5, 0.06, math.radians(4)
"""How far a crop strays from its landmarks at most: pixels of `SIDE` along each axis, share, angle."""
SMALL_HEIGHTS = (40, 96)
"""Heights of the canonical crops through which a part of the pictures comes: generated frames are such crops, enlarged
where a system's size is below the judges'."""
BRIGHTNESS, CONTRAST, TINT = 0.3, 0.1, 0.08
"""Largest change of the logarithm of all channels, of the spread around the mean, and of the logarithm of each."""
TRAITS = tuple(index for index, name in enumerate(COEFFICIENT_NAMES)
               if name.startswith(("shape_", "albedo_")) and not name.startswith("albedo_hair"))
"""Coefficients that make a person, hair apart."""
TEST_SEED = 4
EXAMINED = {"validation": 100, "test": 200}
"""People of each split."""
EXAMINED_STILLS = 8
HISTOGRAM_BINS = 8
"""Bins of each channel of the colour histogram."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a judge of identity is trained.

    Attributes:
        network: its sizes.
        seed: of people, pictures, weights and order.
        identities: people of training.
        stills: pictures of each under their own hair.
        redrawn: further pictures of each, every one under another hair, without which the hair is learnt.
        size: pixels of the square frames.
        steps, batch: updates, and pictures of each.
        rate: largest learning rate of AdamW, after `warmup` updates; half a cosine takes it to zero.
        warmup: updates.
        decay: of weights.
        scale, margin: of CosFace: cosines times `scale`, the right class's less `margin`.
        margin_steps: updates in which the margin grows from nothing; the full one from the start holds all people
            together for hundreds of updates.
        traits_weight: of the squared error of the person's coefficients, in standard deviations.
        small_share: of the pictures that come through a small canonical crop.
    """

    network: judges.Config = judges.Config()
    seed: int = 2
    identities: int = 1000
    stills: int = 5
    redrawn: int = 5
    size: int = 96
    steps: int = 3600
    batch: int = 64
    rate: float = 2e-3
    warmup: int = 50
    decay: float = 1e-3
    scale: float = 20.0
    margin: float = 0.25
    margin_steps: int = 600
    traits_weight: float = 10.0
    small_share: float = 0.3


class Classifier(nn.Module):
    """The network, a direction for each person of training, and a reading of the person's coefficients."""

    config: judges.Config
    people: int

    @nn.compact
    def __call__(self, faces: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[N, 64, 64, 3] as `Network` -> cosines [N, people], traits [N, K]; with the batch's own statistics."""
        codes = judges.Network(self.config, name="network")(faces, train=True)
        people = self.param("people", nn.initializers.normal(1.0), (self.config.code, self.people))
        traits = nn.Dense(len(TRAITS), name="traits")(codes * math.sqrt(self.config.code))
        return codes @ (people / jnp.linalg.norm(people, axis=0)), traits


def train(recipe: Recipe, folder: Path, report: Callable[[str, int, int, str], None]) -> Mapping[str, Any]:
    """Trains a judge of identity.

    Args:
        recipe: how.
        folder: where finished material lies.
        report: called with (stage, done, total, note).

    Returns:
        Variables of `judges.identity.Network`.
    """
    stills = _training_stills(recipe, folder, report)
    classifier = Classifier(recipe.network, recipe.identities)
    variables = jax.jit(classifier.init)(jax.random.key(recipe.seed), jnp.zeros((1, SIDE, SIDE, 3)))
    rate = warmed_up(cosine(recipe.rate, recipe.steps, 0.0), recipe.warmup)
    trained = fit(variables, _loss(recipe, classifier), optax.adamw(rate, weight_decay=recipe.decay),
                  _batches(recipe, stills), recipe.seed,
                  lambda step, loss: report("training", step, recipe.steps, f"loss {loss:.3f}"))
    return {name: part["network"] for name, part in trained.items()}


def _training_stills(recipe: Recipe, folder: Path, report: Callable) -> Stills:
    parts = [draw_stills(recipe.seed, "train", recipe.identities, each, recipe.size, folder, redraw_hair,
                         lambda done, jobs, stage=stage: report(stage, done, jobs, ""))
             for each, redraw_hair, stage in ((recipe.stills, False, "pictures"),
                                              (recipe.redrawn, True, "pictures with redrawn hair")) if each]
    return Stills(**{field.name: np.concatenate([getattr(part, field.name) for part in parts])
                     for field in dataclasses.fields(Stills)})


def _loss(recipe: Recipe, classifier: Classifier) -> Callable:
    """CosFace (Wang et al. 2018): cross-entropy of scaled cosines, with a margin on the right one."""

    def loss(params, rest, batch, key):
        faces = against_surroundings(altered(batch["faces"], key))
        (cosines, traits), rest = classifier.apply({"params": params, **rest}, faces, mutable=list(rest))
        right = jax.nn.one_hot(batch["people"], recipe.identities)
        logits = recipe.scale * (cosines - batch["margin"] * right)
        told = jnp.square(traits - batch["traits"]).mean()
        return optax.softmax_cross_entropy(logits, right).mean() + recipe.traits_weight * told, rest

    return loss


def altered(faces: jax.Array, key: jax.Array) -> jax.Array:
    """Other light and exposure, half of them mirrored: faces `[N, H, W, 3]`, 0 to 255 -> float32, 0 to 255."""
    level, spread, tint, side = jax.random.split(key, 4)
    draw = lambda key, channels, limit: jax.random.uniform(
        key, (len(faces), 1, 1, channels), jnp.float32, -limit, limit)
    x = faces.astype(jnp.float32)
    x = jnp.where(jax.random.bernoulli(side, shape=(len(x), 1, 1, 1)), x, x[:, :, ::-1])
    mean = x.mean((1, 2, 3), keepdims=True)
    x = mean + (x - mean) * (1 + draw(spread, 1, CONTRAST))
    return jnp.clip(x * jnp.exp(draw(level, 1, BRIGHTNESS) + draw(tint, 3, TINT)), 0, 255)


def _batches(recipe: Recipe, stills: Stills) -> Iterator[dict[str, np.ndarray]]:
    """Every picture once, in random order, then all over again."""
    rng = np.random.default_rng(recipe.seed)
    traits = stills.coefficients[:, TRAITS]
    traits = (traits - traits.mean(0)) / traits.std(0)
    order = np.empty(0, int)
    for step in range(recipe.steps):
        while len(order) < recipe.batch:
            order = np.concatenate([order, rng.permutation(len(stills))])
        picks, order = order[: recipe.batch], order[recipe.batch :]
        small, plain = np.split(picks, [round(recipe.small_share * recipe.batch)])
        faces = [strayed_faces(stills.frames[plain], stills.landmarks[plain], rng)]
        if len(small):
            faces.insert(0, strayed_faces(*small_frames(
                stills.frames[small], stills.landmarks[small], int(rng.integers(*SMALL_HEIGHTS, endpoint=True))), rng))
        margin = recipe.margin * min(1.0, step / max(recipe.margin_steps, 1))
        yield {"faces": np.concatenate(faces), "people": stills.identity[picks], "traits": traits[picks],
               "margin": np.float32(margin)}


def strayed_faces(frames: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Faces uint8 `[N, 64, 64, 3]` of frames and landmarks `[N, 68, 2]`, cropped as a poor tracker would."""
    affine = face_affine(landmarks).astype(np.float64)
    count = len(affine)
    turn = rng.uniform(-TURN, TURN, count)
    matrix = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1).reshape(count, 2, 2)
    matrix *= rng.uniform(1 - ZOOM, 1 + ZOOM, (count, 1, 1))
    strayed = matrix @ affine
    middle = np.full(2, SIDE / 2)
    strayed[:, :, 2] += middle - matrix @ middle + rng.uniform(-SHIFT, SHIFT, (count, 2))
    return warp(frames, strayed.astype(np.float32), (SIDE, SIDE))


def small_frames(frames: np.ndarray, landmarks: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Canonical crops uint8 `[N, height, 3/4 height, 3]`, as systems make them, and the landmarks in them."""
    width = height * 3 // 4
    affine = similarity(landmarks[:, STABLE_LANDMARKS], canonical_template(height, width))
    return warp(frames, affine, (height, width)), transform_points(landmarks, affine)


def examine(variables: Mapping[str, Any], recipe: Recipe, folder: Path, split: str) -> dict[str, dict[str, dict]]:
    """How well people are told apart: `ours`, then the controls.

    Every crop strays from its landmarks by itself, so that two pictures of a person differ in light, pose, expression,
    background, clothes and crop, and for `eer_hair_redrawn` in hair.

    Args:
        variables: of `judges.identity.Network`.
        recipe: that of the training.
        folder: where finished material lies.
        split: "validation" (the recipe's seed) or "test".

    Returns:
        {row: {metric: {"mean", "ci95", "n"}}}, n people. `eer`: equal error rate of telling pairs of one person from
        pairs of two, 0 to 1. `rank1`: share of pictures whose nearest other picture shows the same person. `same`,
        `different`: mean cosine. `colour_histogram` compares colours, `untrained` is the network before training.
    """
    seed = TEST_SEED if split == "test" else recipe.seed
    faces, people = {}, np.repeat(np.arange(EXAMINED[split]), EXAMINED_STILLS)
    for hair in (False, True):
        stills = draw_stills(seed, split, EXAMINED[split], EXAMINED_STILLS, recipe.size, folder, hair)
        faces[hair] = strayed_faces(stills.frames, stills.landmarks, np.random.default_rng([seed, hair]))
    untrained = jax.jit(judges.Network(recipe.network).init)(jax.random.key(recipe.seed), jnp.zeros((1, SIDE, SIDE, 3)))
    embeddings = {
        "ours": Judge(variables, recipe.network).embed_faces, "colour_histogram": colour_histograms,
        "untrained": Judge(untrained, recipe.network).embed_faces,
    }
    table = {}
    for row, embed in embeddings.items():
        table[row] = verification.figures(embed(faces[False]), people)
        table[row]["eer_hair_redrawn"] = verification.equal_error(embed(faces[True]), people)
    return table


def colour_histograms(faces: np.ndarray) -> np.ndarray:
    """Square roots of the shares of 8 x 8 x 8 colours (Bhattacharyya): `[N, H, W, 3]` -> float32 `[N, 512]` unit."""
    bins = (faces.astype(int) * HISTOGRAM_BINS) // 256
    colour = (bins[..., 0] * HISTOGRAM_BINS + bins[..., 1]) * HISTOGRAM_BINS + bins[..., 2]
    counts = np.stack([np.bincount(one.ravel(), minlength=HISTOGRAM_BINS**3) for one in colour])
    return np.sqrt(counts / counts.sum(1, keepdims=True)).astype(np.float32)
