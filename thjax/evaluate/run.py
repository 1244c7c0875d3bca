"""Evaluates a trained run on a split: clips in, rows made, scores out."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from data_pipelines.loader import Clips
from data_pipelines.loader import clips as load_clips
from data_pipelines.manifest import Manifest
from data_pipelines.schema import SAMPLES_PER_FRAME, DataError
from thjax.checkpoint import LoadedRun
from thjax.checkpoint.config_io import config_hash, to_dict
from thjax.evaluate import devices
from thjax.evaluate.collected import Collected
from thjax.evaluate.controls import (
    CEILING,
    WRONG_AUDIO_ROLLS,
    ClipSet,
    copied,
    derangement,
    reencode,
    whose_audio,
)
from thjax.evaluate.diversity import add_diversity
from thjax.evaluate.judges import Judges, refuse_circular
from thjax.evaluate.measures import measure_basic, measure_clip
from thjax.evaluate.passes import Report, Shard, Shown, Takes, collect
from thjax.evaluate.result import Result, result_of
from thjax.evaluate.synthesis import Synthesiser
from thjax.evaluate.transcripts import Transcripts
from thjax.evaluate.truth import ClipTruth
from thjax.metrics.mouth import LipGapProbe, fit_lip_gap_probe

Metrics = Literal["basic", "all"]
PROBE_CLIPS = 60
"""Training clips that the lip-gap probe is fitted on."""


def open_split(data: pathlib.Path, split: str, run: LoadedRun, limit: int = 0,
               fields: Sequence[str] = ("frames", "still", "audio")) -> Clips:
    """Whole clips of a split, cropped as the run was trained; at most `limit`, spread over the split, 0 for all.

    Raises:
        DataError: the split has no clip.
    """
    labels = tuple(name for name in ("landmarks",) if name in Manifest.load(data).labels and "frames" in fields)
    spec = dataclasses.replace(run.system.stages[-1].data, split=split, fields=(*fields, *labels), mirror=False,
                               stride=1)
    clips = load_clips(data, split, spec, limit)
    if not len(clips):
        raise DataError(f"{data} has no clip in split {split!r}; write some, or choose another split")
    return clips


def fit_probe(training: Clips) -> LipGapProbe | None:
    """The lip-gap probe, fitted on training clips; None where they have no landmarks."""
    batch = training.batch(range(len(training)))
    if "landmarks" not in batch:
        return None
    counted = [valid > 0 for valid in batch["valid"]]
    return fit_lip_gap_probe(
        [(batch["frames"][i][c], batch["still"][i], batch["landmarks"][i][c]) for i, c in enumerate(counted)]
    )


class RunSource:
    """The clips of a split, what a run makes of them, and its controls.

    Args:
        run: loaded weights.
        data: prepared corpus.
        split: of its manifest.
        seed: clip i draws its noise from `seed + i`.
        limit: clips to use, spread over the split; 0 uses all.
    """

    def __init__(self, run: LoadedRun, data: pathlib.Path, split: str, seed: int, limit: int = 0):
        self.clips = open_split(data, split, run, limit)
        self._audio = open_split(data, split, run, limit, fields=("audio",))
        self._transcripts = Transcripts(self.clips.manifest, split)
        self.synthesiser = Synthesiser(run.system.sampler(devices.everywhere(run.nets), run.stats), self.clips.length)
        self._seed = seed
        self.speakers: list[str] = list(self.clips.speakers)
        self.total = len(self.clips)

    def truths(self, numbers: Sequence[int]) -> dict[int, ClipTruth]:
        """The clips themselves, each cut where it ends."""
        return {number: truth_of(self.clips[number], self.clips.keys[number], self.speakers[number],
                                 self._transcripts) for number in numbers}

    def rows(self, truths: dict[int, ClipTruth]) -> Iterator[tuple[str, Callable[[], Takes]]]:
        """The run, then the controls."""
        numbers = list(truths)
        stills = np.stack([truth.still for truth in truths.values()])
        audio = self.sound(numbers)
        seeds = [self._seed + number for number in numbers]

        def wrong_audio():
            targets = [derangement(self.speakers, shift)[numbers] for shift in range(WRONG_AUDIO_ROLLS)]
            return [self.synthesiser(stills, self.sound(target), seeds) for target in targets]

        yield "ours", lambda: [self.synthesiser(stills, audio, seeds)]
        yield "copy_first_frame", lambda: [[copied(still, self.clips.length) for still in stills]]
        yield "wrong_audio", wrong_audio
        yield "silent_audio", lambda: [self.synthesiser(stills, np.zeros_like(audio), seeds)]
        yield CEILING, lambda: [[reencode(truth.frames) for truth in truths.values()]]

    def sound(self, numbers: Sequence[int]) -> np.ndarray:
        """[n, T * 640 + 6400] of clips, T of the longest."""
        return np.stack([self._audio[int(number)]["audio"] for number in numbers])


def truth_of(example: dict[str, np.ndarray], key: str, speaker: str, transcripts: Transcripts) -> ClipTruth:
    """A whole clip of a corpus, cut after its last frame that counts."""
    counts = example["valid"] > 0
    frames = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else len(counts)
    samples = len(example["audio"]) - (len(counts) - frames) * SAMPLES_PER_FRAME
    landmarks = example.get("landmarks")
    words, phonemes = transcripts.of(key)
    return ClipTruth(
        key, speaker, example["frames"][:frames], example["still"], example["audio"][:samples], counts[:frames],
        None if landmarks is None else landmarks[:frames], words or None, phonemes or None,
    )


def collect_run(run: LoadedRun, data: pathlib.Path, split: str, seed: int, limit: int = 0, metrics: Metrics = "basic",
                judges: Judges | None = None, shard: Shard = Shard(),
                report: Report = lambda message: None) -> tuple[Collected, Shown]:
    """Measures a run and its controls on the clips of a shard; arguments as `evaluate_run`."""
    judges = judges_for(run, metrics, judges)
    source = RunSource(run, data, split, seed, limit)
    training = open_split(data, "train", run, PROBE_CLIPS)
    probe = fit_probe(training)

    def measure(row, truth, made):
        if metrics == "basic":
            return measure_basic(truth, made, probe)
        return measure_clip(truth, made, judges, probe)

    about = {
        "system": f"{run.config.system}:{run.config.variant}", "split": split, "step": run.step,
        "averaged": list(run.averaged), "manifest_hash": run.manifest_hash, "clips": source.total,
        "speakers": len(set(source.speakers)), "wrong_audio": whose_audio(source.speakers),
    }
    if metrics == "all":
        about["judges"] = judges.about
    settings = {"config_hash": config_hash(to_dict(run.config)), "seeds": [run.config.seed, seed], "about": about}
    collected = Collected(settings, source.total)
    shown = collect(source, measure, judges, shard, collected, report)
    if metrics == "all":
        add_diversity(collected, source, training, judges, shard, seed, report)
    return collected, shown


def judges_for(run: LoadedRun, metrics: Metrics, judges: Judges | None) -> Judges:
    """The judges that may look at a run's frames: none, those given, or else those that ship.

    Raises:
        UserError: the run trained on a judge that would measure it.
    """
    if metrics == "basic":
        return Judges()
    refuse_circular(to_dict(run.config), run.pretrained)
    return Judges.load() if judges is None else judges


def evaluate_run(run: LoadedRun, data: pathlib.Path, split: str, seed: int, command: str, limit: int = 0,
                 report: Report = lambda message: None, metrics: Metrics = "basic",
                 judges: Judges | None = None) -> tuple[Result, ClipSet, dict[str, list[np.ndarray]]]:
    """Scores a run and its controls.

    Args:
        run: loaded weights.
        data: prepared corpus.
        split: of its manifest.
        seed: of the sampler's noise.
        command: to write beside the figures.
        limit: clips to use, spread over the split; 0 uses all.
        report: called with what is done next.
        metrics: `basic`, the five that need no judge, or `all` that corpus and judges allow.
        judges: for `all`; None loads those that ship.

    Returns:
        The result, and for pictures a few clips, spread over the split, with the first take of every row of theirs,
        {row: [T, H, W, 3] of each}.

    Raises:
        UserError: the run trained on a judge that would measure it.
    """
    collected, shown = collect_run(run, data, split, seed, limit, metrics, judges, report=report)
    return result_of(collected, command), shown.clips, shown.videos
