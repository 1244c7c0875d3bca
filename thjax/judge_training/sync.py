"""Trains the sync expert and examines it on voices, accents, faces and sentences it never met."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from thjax.audio.log_mel import BANDS
from thjax.core.errors import UserError
from thjax.judge_training.clips import Clips, draw_clips
from thjax.judge_training.fit import Variables, fit
from thjax.judge_training.sync_controls import NEAREST_NEGATIVE, Examined, table
from thjax.judge_training.sync_variation import vary_mouth, vary_sound
from thjax.judges.sync import COLUMNS, COLUMNS_PER_FRAME, FRAMES, SIDE, Config, Judge, Network, columns_of
from thjax.optim.schedules import cosine, warmed_up

PLATEAU_STEP, PLATEAU_LOSS = 200, 0.65
"""An expert that learns is below this loss by this step; one that sits at ln 2 = 0.693 never leaves it."""
TEST_SEED, TEST_SPEAKERS, TEST_CLIPS = 4, 20, 20
VALIDATION_SPEAKERS, VALIDATION_CLIPS = 8, 6

Report = Callable[[str, int, int, str], None]
"""(stage, done, total, note)."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a sync expert is trained."""

    network: Config = Config()
    """Its sizes."""
    seed: int = 1
    """Of the material and of training."""
    speakers: int = 80
    """Heard and seen in training."""
    clips: int = 12
    """Of each speaker."""
    steps: int = 2_200
    """Updates."""
    batch_clips: int = 16
    """Clips of a batch."""
    windows: int = 6
    """Of each clip in a batch: as many positives, and every pair that does not overlap as negatives."""
    rate: float = 1e-3
    """Adam's, after warm-up; a cosine takes it to 2 %."""
    warmup_steps: int = 50
    """Updates over which the rate rises."""
    shift: float = 4.0
    """Largest shift of a whole clip's crop, pixels of the mouth window."""
    jitter: float = 2.0
    """Largest rms of the crop's shake from frame to frame, pixels and axis; drawn for every window. Without it the
    expert measures the tracker."""
    blur: float = 1.5
    """Largest deviation of the blur of half of the clips, pixels: enlarged pictures are blurred, not out of sync."""
    shuffled_steps: int = 640
    """Updates of the control that is trained on other clips' sound."""

    def __post_init__(self):
        for name in ("speakers", "clips", "steps", "batch_clips", "windows", "shuffled_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        if self.speakers < 2 or self.windows < 2:
            raise ValueError(f"{self.speakers} speakers and {self.windows} windows: training needs two of each, the "
                             "other ones are the negatives")
        if self.rate <= 0 or min(self.warmup_steps, self.shift, self.jitter, self.blur) < 0:
            raise ValueError(f"rate {self.rate} must be above 0, warmup_steps {self.warmup_steps}, shift {self.shift}, "
                             f"jitter {self.jitter} and blur {self.blur} at least 0")


def train(recipe: Recipe, folder: Path, report: Report) -> Variables:
    """A sync expert: flax collections `params` and `batch_stats`.

    Args:
        recipe: how.
        folder: where finished material lies.
        report: called with (stage, done, total, note).

    Raises:
        UserError: the loss sits on the plateau at ln 2 after 200 steps.
        FloatingPointError: the loss is not finite.
    """
    return learn(recipe, _training_clips(recipe, folder, report), recipe.steps, False, report)


def examine(variables: Mapping[str, Any], recipe: Recipe, folder: Path, split: str,
            shuffled_training: bool = True) -> dict[str, dict[str, dict]]:
    """Figures of a trained expert on speakers, voices, accents and sentences of a split of their own.

    Args:
        variables: of `train`.
        recipe: that they were trained by.
        folder: where finished material lies.
        split: validation (of the recipe's seed) or test (the same for every expert).
        shuffled_training: whether to train the control that hears other clips' sound, for `shuffled_steps`.

    Returns:
        {row: {metric: {"mean", "ci95", "n"}}}; row "ours", then the controls. See `sync_controls.table`.

    Raises:
        ValueError: another split.
    """
    if split not in ("validation", "test"):
        raise ValueError(f"split {split!r}: experts are examined on validation or test")
    clips = (draw_clips(TEST_SEED, "test", TEST_SPEAKERS, TEST_CLIPS, folder) if split == "test" else
             draw_clips(recipe.seed, "validation", VALIDATION_SPEAKERS, VALIDATION_CLIPS, folder))
    control = None
    if shuffled_training:
        silent = lambda stage, done, total, note: None
        shuffled = learn(recipe, _training_clips(recipe, folder, silent), recipe.shuffled_steps, True, silent)
        control = Examined(Judge(shuffled, recipe.network), clips)
    return table(Examined(Judge(variables, recipe.network), clips), control)


def _training_clips(recipe: Recipe, folder: Path, report: Report) -> Clips:
    return draw_clips(recipe.seed, "train", recipe.speakers, recipe.clips, folder,
                      report=lambda done, total: report("material", done, total, "speakers"))


def learn(recipe: Recipe, clips: Clips, steps: int, shuffled: bool, report: Report) -> Variables:
    """Trains on clips at hand.

    Args:
        recipe: how.
        clips: rendered ones.
        steps: updates; the rate's cosine ends there.
        shuffled: gives every clip the sound of another one, a control that must learn nothing.
        report: called with (stage, done, total, note).

    Raises:
        UserError, FloatingPointError: see `train`; the plateau is no error where `shuffled`.
    """
    network = Network(recipe.network)
    variables = jax.jit(network.init)(jax.random.key(recipe.seed), jnp.zeros((1, FRAMES, SIDE, SIDE)),
                                      jnp.zeros((1, COLUMNS, BANDS)))
    rate = warmed_up(cosine(recipe.rate, steps, 0.02), recipe.warmup_steps)

    def note(step: int, loss: float) -> None:
        report("training", step, steps, f"loss {loss:.3f}")
        if step == PLATEAU_STEP and not shuffled:
            _leave_plateau(loss)

    batches = draw_batches(recipe, clips, steps, shuffled)
    return fit(variables, functools.partial(batch_loss, recipe), optax.adam(rate), batches, recipe.seed, note)


def _leave_plateau(loss: float) -> None:
    if loss > PLATEAU_LOSS:
        raise UserError(f"the sync expert's loss is {loss:.3f} at step {PLATEAU_STEP}, above {PLATEAU_LOSS}: it sits "
                        "on the plateau at ln 2 = 0.693, where nothing is told apart. Try another seed or half the "
                        "rate; if it stays, check that sound and frames of the material belong together")


def draw_batches(recipe: Recipe, clips: Clips, steps: int, shuffled: bool) -> Iterator[dict[str, np.ndarray]]:
    """Batches of `batch_clips` clips B and `windows` windows W, all inside speech.

    Yields:
        mouth: uint8 [B, W, 5, 48, 48].
        columns: float32 [B, W, 20, 40].
        starts: int32 [B, W] first frames of the windows.
    """
    rng = np.random.default_rng(recipe.seed)
    columns = sound_columns(clips.audio)
    first = clips.speech.argmax(1)
    last = clips.speech.shape[1] - clips.speech[:, ::-1].argmax(1) - FRAMES
    for _ in range(steps):
        seen = rng.choice(len(clips), recipe.batch_clips, replace=recipe.batch_clips > len(clips))
        heard = _others(clips.speaker, seen, rng) if shuffled else seen
        low = np.maximum(first[seen], first[heard])[:, None]
        room = np.maximum(np.minimum(last[seen], last[heard])[:, None] - low, 0) + 1
        starts = low + rng.integers(0, room, (recipe.batch_clips, recipe.windows))
        frames = starts[..., None] + np.arange(FRAMES)
        parts = starts[..., None] * COLUMNS_PER_FRAME + np.arange(COLUMNS)
        yield {"mouth": clips.mouth[seen[:, None, None], frames],
               "columns": columns[heard[:, None, None], parts], "starts": starts.astype(np.int32)}


def _others(speaker: np.ndarray, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each clip one of another speaker."""
    return np.array([rng.choice(np.flatnonzero(speaker != speaker[clip])) for clip in seen])


def sound_columns(audio: np.ndarray) -> np.ndarray:
    """Columns [N, 4 T, 40] under the frames of clips, of samples [N, T * 640 + 6400]."""
    compute = jax.jit(columns_of)
    return np.stack([np.asarray(compute(clip)) for clip in audio])


def batch_loss(recipe: Recipe, params: Any, rest: Variables, batch: Mapping[str, jax.Array],
               key: jax.Array) -> tuple[jax.Array, Variables]:
    """Binary cross-entropy, mean over positives plus mean over negatives, halved; and the new running statistics."""
    clips, windows = batch["starts"].shape
    for_mouth, for_sound = jax.random.split(key)
    frames = vary_mouth(batch["mouth"], for_mouth, recipe.shift, recipe.jitter, recipe.blur)
    columns = vary_sound(batch["columns"], for_sound)
    network = Network(recipe.network)
    (video, audio), rest = network.apply(
        {"params": params, **rest}, frames.reshape(-1, *frames.shape[2:]), columns.reshape(-1, *columns.shape[2:]),
        train=True, mutable=list(rest))
    video, audio = (side.reshape(clips, windows, -1) for side in (video, audio))
    logits = network.apply({"params": params}, jnp.einsum("cid,cjd->cij", video, audio), method="logit")
    apart = jnp.abs(batch["starts"][:, :, None] - batch["starts"][:, None]) >= NEAREST_NEGATIVE
    positive = jax.nn.softplus(-jnp.diagonal(logits, axis1=1, axis2=2)).mean()
    negative = jnp.where(apart, jax.nn.softplus(logits), 0).sum() / jnp.maximum(apart.sum(), 1)
    return (positive + negative) / 2, rest
