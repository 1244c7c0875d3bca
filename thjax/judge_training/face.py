"""Training of the judge of faces: stills of many people for every unit, spoken clips for natural mouths and blinks."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines.synthetic.expression import EXPRESSION_INDEX
from thjax.judge_training import face_batches, face_exam
from thjax.judge_training.face_material import Faces, Spoken, draw_spoken, faces_of
from thjax.judge_training.fit import fit
from thjax.judge_training.stills import draw_stills
from thjax.judges import face as judge
from thjax.optim import schedules

Batch = dict[str, np.ndarray]
Report = Callable[[str, int, int, str], None]
"""(stage, done, total, note)."""

CLIP_SIZE = 128
"""Pixels of the frames of spoken clips."""
_WARM_UP = 100
_FLOOR = 0.02
_TYPICAL_ROWS = 768
_POINT_WEIGHTS = np.ones(68, np.float32)
_POINT_WEIGHTS[36:] = 2.0
_GAP_UNIT = 0.02
_CLOSING = 0.03
"""Lip gap in eye distances below which a frame's gap weighs up to five times: closures are decided there."""
_EXPRESSION_UNIT = 0.15
_BARRED = [EXPRESSION_INDEX[name] for name in ("AU20", "AU25", "AU26", "AU45")]
_EXPRESSION_WEIGHTS = np.ones(len(EXPRESSION_INDEX), np.float32)
_EXPRESSION_WEIGHTS[_BARRED] = 3.0
_EXPRESSION_WEIGHTS[EXPRESSION_INDEX["AU20"]] = 10.0  # the hardest to see of those that speech moves
_WEIGHTS = {"finder": 0.3, "landmarks": 1.0, "gap": 0.5, "expression": 1.0, "rotation": 0.5, "origin": 0.1,
            "log_scale": 0.1, "blink": 0.5, "face": 0.5}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a judge of faces is made.

    Attributes:
        network: sizes.
        seed: of material, weights and batches.
        people: faces that stills are drawn of.
        pointed: share of the people, in clips too, whose landmarks are told; of the others only the stable ones, which
            align the second look. Where faces hide their outline, two judges guess it alike, unless they learnt it from
            few and from other people.
        stills: pictures of each, and as many again under other hair; those that the judge of identity takes.
        still_size: pixels of their sides.
        speakers: who speak in clips of whole frames.
        clips: of each speaker.
        every: draws one frame in so many of a clip.
        steps: batches.
        batch: rows of a batch, a multiple of nine: a third stills, the others of clips.
        learning_rate: largest.
    """

    network: judge.Config = judge.Config()
    seed: int = 1
    people: int = 1000
    pointed: float = 1.0
    stills: int = 5
    still_size: int = 96
    speakers: int = 144
    clips: int = 3
    every: int = 3
    steps: int = 2700
    batch: int = 108
    learning_rate: float = 2e-3


def _silent(stage: str, done: int, total: int, note: str) -> None:
    pass


def training_stills(recipe: Recipe, folder: Path, report: Report = _silent) -> Faces:
    """The stills that a recipe trains on, first those under the people's own hair."""
    parts = [faces_of(draw_stills(recipe.seed, "train", recipe.people, recipe.stills, recipe.still_size, folder, hair,
                                  lambda done, total: report("stills", done, total, ""))) for hair in (False, True)]
    return Faces(**{field.name: np.concatenate([getattr(part, field.name) for part in parts])
                    for field in dataclasses.fields(Faces)})


def training_clips(recipe: Recipe, folder: Path, report: Report = _silent) -> Spoken:
    """The spoken clips that a recipe trains on."""
    return draw_spoken(recipe.seed, "train", recipe.speakers, recipe.clips, CLIP_SIZE, recipe.every, folder,
                       lambda done, total: report("clips", done, total, ""))


def train(recipe: Recipe, folder: Path, report: Report) -> Mapping[str, Any]:
    """Draws the material and trains.

    Args:
        recipe: how.
        folder: where finished material lies.
        report: called with (stage, done, total, note).

    Returns:
        Variables for `judges.face.Judge`.
    """
    stills, clips = training_stills(recipe, folder, report), training_clips(recipe, folder, report).faces
    parts = stills, clips, clips  # what speech moves least, AU 20, is learnt from speech
    variables = judge.initial(recipe.network, recipe.seed, typical(parts, recipe.batch, recipe.seed))
    rate = schedules.warmed_up(schedules.cosine(recipe.learning_rate, recipe.steps, _FLOOR), _WARM_UP)
    optimizer = optax.chain(optax.clip_by_global_norm(5.0), optax.adam(rate))
    made = face_batches.batches(parts, recipe.steps, recipe.batch, recipe.seed)
    return fit(variables, loss_of(judge.Network(recipe.network)), optimizer, told(made, parts, recipe), recipe.seed,
               lambda step, loss: report("training", step, recipe.steps, f"loss {loss:.3f}"))


def examine(variables: Mapping[str, Any], recipe: Recipe, folder: Path, split: str,
            other: judge.Judge | None = None) -> dict[str, face_exam.Row]:
    """Examines on people, voices and sentences of a split.

    Args:
        variables: as `train` returns them.
        recipe: of the judge.
        folder: where finished material lies.
        split: validation or test.
        other: the judge of the other version; the correlation of both judges' errors is then a part of the first row.

    Returns:
        {row: {metric_view: {"mean", "ci95", "n"}}}; rows ours, mean_face, untrained; metrics as
        `face_exam.figures_of`, views as `face_exam.views`.
    """
    exam = face_exam.views(split, folder)
    ours, tracks = face_exam.row(judge.Judge(variables, recipe.network).measure, exam, split)
    if other is not None:
        for name, view in exam.items():
            theirs = [other.measure(frames) for frames in view.frames]
            found = face_exam.error_correlation(tracks[name], theirs, view)
            ours |= {f"{metric}_{name}": value for metric, value in found.items()}
    mean_face = face_exam.mean_face(training_clips(recipe, folder))
    middle = np.full((len(judge.STABLE), 2), judge.FINDER_SIDE / 2)
    untrained = judge.Judge(judge.initial(recipe.network, recipe.seed, {"stable": middle}), recipe.network)
    return {"ours": ours, "mean_face": face_exam.row(mean_face, exam, split)[0],
            "untrained": face_exam.row(untrained.measure, exam, split)[0]}


def told(made: Iterator[Batch], parts: tuple[Faces, ...], recipe: Recipe) -> Iterator[Batch]:
    """Batches of equal groups from each part, with `pointed` instead of `person`: 1 where all landmarks are told."""
    last = np.array([max(1, int(recipe.pointed * (part.person.max() + 1))) for part in parts])
    for batch in made:
        people = batch.pop("person").reshape(len(parts), -1)
        yield batch | {"pointed": (people < last[:, None]).reshape(-1).astype(np.float32)}


def typical(parts: tuple[Faces, ...], batch: int, seed: int) -> dict[str, np.ndarray]:
    """Mean answers over some batches of their own, where a face is seen."""
    made = list(face_batches.batches(parts, max(1, _TYPICAL_ROWS // batch), batch, seed + 1000))
    pooled = {name: np.concatenate([one[name] for one in made]) for name in made[0]}
    seen = pooled["is_face"] > 0
    names = ("stable", "landmarks", "expression", "rotation", "origin", "log_scale")
    return {name: pooled[name][seen].mean(0) for name in names}


def loss_of(network: judge.Network):
    """The loss of a batch of `face_batches.batches`, for `fit`."""

    def loss(params, rest, batch, key):
        pictures = disturb(batch, key)
        # Statistics count rows without a face too: `valid` would blank them, and the network know them by that.
        (stable, answers), updates = network.apply({"params": params, **rest}, *pictures, train=True,
                                                   mutable=["batch_stats"])
        terms = loss_terms(stable, answers, batch)
        return sum(_WEIGHTS[name] * value for name, value in terms.items()), updates

    return loss


def loss_terms(stable: jax.Array, answers: Mapping[str, jax.Array], batch: Mapping[str, jax.Array]
               ) -> dict[str, jax.Array]:
    """The parts of the loss, each near one at the start of training and far below at its end."""
    is_face = batch["is_face"]
    pointed = is_face * batch["pointed"]
    mean = lambda per_row, rows: (per_row * rows).sum() / jnp.maximum(rows.sum(), 1)
    over = lambda values: values.reshape(len(values), -1).mean(1)
    points = _bend(answers["landmarks"] - batch["landmarks"]) * _POINT_WEIGHTS[:, None]
    stable_points = points[:, judge.STABLE]
    units = jnp.square((answers["expression"] - batch["expression"]) / _EXPRESSION_UNIT) * _EXPRESSION_WEIGHTS
    true_gap = judge.lip_gap(batch["landmarks"])
    gap = _bend((judge.lip_gap(answers["landmarks"]) - true_gap) / _GAP_UNIT)
    gap = gap * (1 + 4 * jnp.exp(-jnp.square(true_gap / _CLOSING)))
    blink = optax.sigmoid_binary_cross_entropy(answers["blink"], batch["blink"])
    return {
        "finder": over(_bend(stable - batch["stable"])).mean(),  # every row's whole frame shows a face
        "landmarks": mean(over(points), pointed) + mean(over(stable_points), is_face - pointed),
        "gap": mean(gap, is_face),
        "expression": mean(over(units), is_face),
        "rotation": mean(over(_bend((answers["rotation"] - batch["rotation"]) / np.radians(2))), is_face),
        "origin": mean(over(_bend(answers["origin"] - batch["origin"])), is_face),
        "log_scale": mean(_bend((answers["log_scale"] - batch["log_scale"]) / 0.02), is_face),
        "blink": mean(blink, is_face),
        "face": optax.sigmoid_binary_cross_entropy(answers["face"], is_face).mean(),
    }


def _bend(x: jax.Array) -> jax.Array:
    """Square near zero, straight beyond: sqrt(1 + x^2) - 1."""
    return jnp.sqrt(1 + jnp.square(x)) - 1


def disturb(batch: Mapping[str, jax.Array], key: jax.Array) -> list[jax.Array]:
    """The three pictures of every row under another light, blurred and noisy: float32, 0 to 255."""
    keys = jax.random.split(key, 7)
    rows = len(batch["is_face"])
    each = lambda key, low, high, shape=(): jax.random.uniform(key, (rows, *shape), minval=low, maxval=high)
    gain = each(keys[0], 0.7, 1.3)[:, None] * each(keys[1], 0.88, 1.12, (3,))
    bend = each(keys[2], -0.3, 0.3)[:, None, None, None]
    noise = each(keys[3], 0.0, 7.0)[:, None, None, None]
    # A fifth is blurred strongly, as a young generator does; most hardly at all.
    blur = jnp.where(each(keys[4], 0.0, 1.0) < 0.2, 0.25, 0.12) * each(keys[5], 0.0, 1.0)
    pictures = []
    for name, grain in zip(("whole", "face_picture", "mouth_picture"), jax.random.split(keys[6], 3), strict=True):
        x = jnp.clip(batch[name] * (gain[:, None, None, :] / 255), 0.0, 1.0)
        x = 255 * (x + bend * x * (1 - x))
        x = _blurred(x, blur[:, None, None, None])
        if name == "mouth_picture":
            x = _blurred(x, blur[:, None, None, None])  # it is magnified
        pictures.append(x + noise * _grain(x.shape, grain))
    return pictures


def _grain(shape: tuple[int, ...], key: jax.Array) -> jax.Array:
    """Standard normal noise that begins at a random place of one table: new noise takes as long as the network."""
    size = int(np.prod(shape))
    table = np.random.default_rng(0).standard_normal(2 * size, np.float32)
    start = jax.random.randint(key, (), 0, size)
    return jax.lax.dynamic_slice(jnp.asarray(table), (start,), (size,)).reshape(shape)


def _blurred(x: jax.Array, side: jax.Array) -> jax.Array:
    """Weights (side, 1 - 2 side, side) down and across, the border repeated."""
    for axis in (1, 2):
        size = x.shape[axis]
        padded = jnp.pad(x, [(1, 1) if i == axis else (0, 0) for i in range(4)], mode="edge")
        take = lambda start, padded=padded, axis=axis, size=size: jax.lax.slice_in_dim(padded, start, start + size, 1,
                                                                                       axis)
        x = x + side * (take(0) + take(2) - 2 * x)
    return x
