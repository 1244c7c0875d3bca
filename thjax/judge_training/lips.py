"""How the lip reader is trained and examined. Material of one seed: rendered clips, tracks of many more sentences, and
mouths of many more faces."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from thjax.judge_training import fit, lip_batches, lip_stages
from thjax.judge_training.clips import Clips, draw_clips
from thjax.judge_training.lip_batches import SightErrors
from thjax.judge_training.lip_controls import table
from thjax.judge_training.mouths import draw_mouths
from thjax.judges.command_grammar import decode
from thjax.judges.lips import Config, Judge

HELD_OUT = {"validation": (12, 8), "test": (20, 20)}
"""Speakers, and clips of each, that an examination uses."""
TEST_SEED = 4
"""Of the test material, the same for every judge."""
EXAM_SEED = 7
"""Of the oracle that an examination trains."""

Report = Callable[[str, int, int, str], None]
"""Called with (stage, steps done, steps, note)."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a lip reader is made of.

    Attributes:
        network: sizes.
        seed: of the material and of the training.
        clip_speakers, clips: rendered clips; they teach the reader what the front sees of faces that are new to it.
        track_speakers, tracks: sentences without pictures.
        faces, frames: mouths that teach the front, and frames of each.
        front_steps, front_batch, front_rate: first stage; batch in frames.
        reader_steps, reader_batch, reader_rate: second stage; batch in clips.
        warm_up: steps of the ramp at the start of both stages.
        oracle_steps: of the reader of exact tracks that an examination trains, otherwise as the second stage.
    """

    network: Config = Config()
    seed: int = 2
    clip_speakers: int = 80
    clips: int = 12
    track_speakers: int = 400
    tracks: int = 15
    faces: int = 800
    frames: int = 30
    front_steps: int = 2600
    front_batch: int = 256
    front_rate: float = 2e-3
    reader_steps: int = 1800
    reader_batch: int = 32
    reader_rate: float = 3e-3
    warm_up: int = 50
    oracle_steps: int = 1900


def train(recipe: Recipe, folder: Path, report: Report = lambda stage, done, total, note: None) -> fit.Variables:
    """The variables of a lip reader, in two stages of minutes each.

    Training both further together, on words and coefficients at once, brought nothing that validation could see.

    Args:
        recipe: what to make.
        folder: where finished material lies.
        report: called with (stage, done, total, note).
    """
    variables = lip_stages.new_variables(recipe.network, recipe.seed)
    variables = train_front(variables, recipe, folder, report)
    rendered, tracks = draw_sentences(recipe, folder, report)
    clips, others = lip_batches.sentences(rendered), lip_batches.sentences(tracks)
    seen = lip_stages.look(variables, recipe.network, rendered.mouth, np.random.default_rng([recipe.seed, 2]))
    # the front never met these faces: what it gets wrong here, it will get wrong on others
    errors = SightErrors.of(seen, clips.coefficients)
    rng = np.random.default_rng([recipe.seed, 3])
    batches = lip_batches.seen_batches(seen, clips, others, errors, recipe.reader_batch, recipe.reader_steps, rng)
    optimizer = lip_stages.adam(recipe.reader_rate, recipe.reader_steps, recipe.warm_up)
    return lip_stages.fit_reader(variables, recipe.network, batches, optimizer, recipe.seed,
                                 _noted(report, "reader", recipe.reader_steps))


def train_front(variables: fit.Variables, recipe: Recipe, folder: Path, report: Report) -> fit.Variables:
    """The first stage; returns all variables."""
    mouths = draw_mouths(recipe.seed, "train", recipe.faces, recipe.frames, folder, first=recipe.clip_speakers,
                         report=_counted(report, "faces"))
    rng = np.random.default_rng([recipe.seed, 1])
    batches = lip_batches.face_batches(mouths, recipe.front_batch, recipe.front_steps, rng)
    optimizer = lip_stages.adam(recipe.front_rate, recipe.front_steps, recipe.warm_up)
    return lip_stages.fit_front(variables, recipe.network, batches, optimizer, recipe.seed,
                                _noted(report, "front", recipe.front_steps))


def draw_sentences(recipe: Recipe, folder: Path, report: Report) -> tuple[Clips, Clips]:
    """Rendered clips, and tracks of other speakers."""
    rendered = draw_clips(recipe.seed, "train", recipe.clip_speakers, recipe.clips, folder,
                          report=_counted(report, "clips"))
    tracks = draw_clips(recipe.seed, "train", recipe.track_speakers, recipe.tracks, folder, rendered=False,
                        first=recipe.clip_speakers, report=_counted(report, "tracks"))
    return rendered, tracks


def examine(variables: fit.Variables, recipe: Recipe, folder: Path, split: str) -> dict[str, dict]:
    """Reads held-out speakers, with controls that know more than a lip reader can, and others that know less.

    Args:
        variables: of `train`.
        recipe: what they were made by.
        folder: where finished material lies.
        split: "validation" for choosing settings; "test" once, at the end.

    Returns:
        {row: {metric: {"mean", "ci95", "n", ...}}}, rows of `lip_controls.table`, error rates 0 to 1.
    """
    seed = TEST_SEED if split == "test" else recipe.seed
    speakers, each = HELD_OUT[split]
    held_out = draw_clips(seed, split, speakers, each, folder)
    return table(Judge(variables, recipe.network), read_exactly(recipe, folder, held_out), held_out, seed, split)


def read_exactly(recipe: Recipe, folder: Path, clips: Clips) -> list[tuple[str, ...]]:
    """What a reader says that was trained on exact tracks, and reads exact tracks: the most that lips can tell."""
    rendered, tracks = draw_sentences(recipe, folder, lambda stage, done, total, note: None)
    said = lip_batches.sentences(rendered) + lip_batches.sentences(tracks)
    rng = np.random.default_rng([recipe.seed, EXAM_SEED])
    batches = lip_batches.track_batches(said, recipe.reader_batch, recipe.oracle_steps, rng)
    optimizer = lip_stages.adam(recipe.reader_rate, recipe.oracle_steps, recipe.warm_up)
    variables = lip_stages.new_variables(recipe.network, EXAM_SEED)
    variables = lip_stages.fit_reader(variables, recipe.network, batches, optimizer, EXAM_SEED,
                                      lambda step, loss: None)
    return decode(lip_stages.read_tracks(variables, recipe.network, lip_batches.coefficients(clips.expression)))


def _noted(report: Report, stage: str, steps: int) -> Callable[[int, float], None]:
    return lambda step, loss: report(stage, step, steps, f"loss {loss:.3f}")


def _counted(report: Report, stage: str) -> Callable[[int, int], None]:
    return lambda done, total: report(stage, done, total, "drawn")
