"""Evaluates a trained run on a split: clips in, rows made, scores out."""

import dataclasses
import logging
import pathlib
from collections.abc import Callable

import numpy as np

from data_pipelines.loader import clips as load_clips
from data_pipelines.manifest import Manifest
from data_pipelines.schema import DataError
from thjax.checkpoint import LoadedRun
from thjax.checkpoint.config_io import config_hash, to_dict
from thjax.evaluate.controls import ClipSet, other_speakers_suffice, rows
from thjax.evaluate.result import Result
from thjax.evaluate.scores import paired, score_row, table
from thjax.metrics.mouth import LipGapProbe, fit_lip_gap_probe

log = logging.getLogger(__name__)
PROBE_CLIPS = 60
"""Training clips that the lip-gap probe is fitted on."""


def read_clips(data: pathlib.Path, split: str, run: LoadedRun, limit: int = 0) -> ClipSet:
    """Whole clips of a split, cropped as the run was trained; at most `limit`, spread over the split, 0 for all.

    Raises:
        DataError: the split has no clip.
    """
    labels = tuple(name for name in ("landmarks",) if name in Manifest.load(data).labels)
    fields = ("frames", "still", "audio", *labels)
    spec = dataclasses.replace(run.system.stages[-1].data, split=split, fields=fields, mirror=False)
    clips = load_clips(data, split, spec, limit)
    if not len(clips):
        raise DataError(f"{data} has no clip in split {split!r}; write some, or choose another split")
    batch = clips.batch(range(len(clips)))
    return ClipSet(
        keys=list(clips.keys), speakers=list(clips.speakers), frames=batch["frames"], stills=batch["still"],
        audio=batch["audio"], valid=batch["valid"], landmarks=batch.get("landmarks"),
    )


def fit_probe(data: pathlib.Path, run: LoadedRun) -> LipGapProbe | None:
    """The lip-gap probe, fitted on the training split; None where that split has no landmarks."""
    training = read_clips(data, "train", run, PROBE_CLIPS)
    if training.landmarks is None:
        return None
    counted = [training.valid[i] > 0 for i in range(len(training))]
    return fit_lip_gap_probe(
        [(training.frames[i][c], training.stills[i], training.landmarks[i][c]) for i, c in enumerate(counted)]
    )


def whose_audio(clips: ClipSet) -> str:
    """Whose audio the row `wrong_audio` speaks, for the table; warns where a split has too few speakers."""
    if other_speakers_suffice(clips.speakers):
        return "another speaker's"
    log.warning("one speaker has more than half of the %d clips, so wrong_audio is another clip's audio, not always "
                "another speaker's; for the harder control write a corpus with more speakers in this split", len(clips))
    return "another clip's"


def evaluate_run(run: LoadedRun, data: pathlib.Path, split: str, seed: int, command: str, limit: int = 0,
                 report: Callable[[str], None] = lambda message: None) -> tuple[Result, ClipSet, dict[str, np.ndarray]]:
    """Scores a run and its controls.

    Args:
        run: loaded weights.
        data: prepared corpus.
        split: of its manifest.
        seed: of the sampler's noise.
        command: to write beside the figures.
        limit: clips to use, spread over the split; 0 uses all.
        report: called with the name of every row before it is made.

    Returns:
        The result, the clips, and the first take of every row [N, T, H, W, 3], for pictures.
    """
    clips = read_clips(data, split, run, limit)
    probe = fit_probe(data, run) if clips.landmarks is not None else None
    sampler = run.system.sampler(run.nets, run.stats)
    scores, videos = {}, {}
    for name, make in rows(sampler, clips, seed).items():
        report(name)
        takes = make()
        scores[name] = score_row(takes, clips, probe)
        videos[name] = takes[0]
    about = {"split": split, "step": run.step, "manifest_hash": run.manifest_hash, "clips": len(clips),
             "speakers": len(set(clips.speakers)), "wrong_audio": whose_audio(clips)}
    result = Result(
        command=command, config_hash=config_hash(to_dict(run.config)), seeds=[run.config.seed, seed], keys=clips.keys,
        speakers=clips.speakers, per_clip=scores, rows=table(scores, clips.speakers),
        paired=paired(scores, clips.speakers), about=about,
    )
    return result, clips, videos
