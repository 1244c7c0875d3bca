"""Evaluates a mapper together with a generator: speech becomes motion, motion moves the clip's first frame."""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from data_pipelines.loader import Clips
from thjax.checkpoint import LoadedRun
from thjax.checkpoint.config_io import config_hash, to_dict
from thjax.core.errors import UserError
from thjax.core.files import fingerprint
from thjax.evaluate import devices
from thjax.evaluate.animation.run import Drawer, filled
from thjax.evaluate.collected import Collected
from thjax.evaluate.controls import CEILING, copied, derangement, reencode, whose_audio
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import measure_basic, measure_clip
from thjax.evaluate.passes import Report, Shard, Shown, Takes, collect
from thjax.evaluate.run import Metrics, judges_for, open_split, truth_of
from thjax.evaluate.transcripts import Transcripts
from thjax.evaluate.truth import ClipTruth, nearest_found
from thjax.systems.face_animator import FaceAnimator
from thjax.systems.motion_sampler import CHANNELS, MotionSampler

FIELDS = ("frames", "still", "audio", "au", "pose")
ONE_DRAW = "the mapper is drawn from once; `thjax evaluate --checkpoint MAPPER` draws several motions"
TRANSLATION = slice(CHANNELS.index("Tx"), CHANNELS.index("Tz") + 1)
REST = np.zeros(3, np.float32)
TRUE_MOTION = "true_motion"
"""The generator driven by the clip's own labels: what a perfect mapper could reach."""


class AnimatedSource:
    """The clips of a split, what mapper and generator make of each from its first frame with a face, and controls.

    Args:
        mapper, generator: loaded weights of both.
        clips: with `FIELDS`, every frame.
        audio: the same clips, their sound alone.
        transcripts: of their split.
        seed: clip i draws its motion with `seed + i`, begun at the labels of its first frame.
        collected: takes the names of clips without a face.
    """

    def __init__(self, mapper: LoadedRun, generator: LoadedRun, clips: Clips, audio: Clips, transcripts: Transcripts,
                 seed: int, collected: Collected):
        self.clips, self._audio, self._transcripts, self._collected = clips, audio, transcripts, collected
        sampler: MotionSampler = mapper.system.sampler(devices.everywhere(mapper.nets), mapper.stats)
        self._draw = Drawer(sampler, motions=1)
        self._animators: list[FaceAnimator] = [
            generator.system.sampler(jax.device_put(generator.nets, device), generator.stats)
            for device in jax.local_devices()]
        self._seed, self.total = seed, len(self.clips)
        self.speakers: list[str] = list(self.clips.speakers)
        self._vectors: dict[int, np.ndarray] = {}

    def truths(self, numbers: Sequence[int]) -> dict[int, ClipTruth]:
        """The clips; the photograph is their first frame with a face. Frames without take the nearest one's labels."""
        truths, self._vectors = {}, {}
        for number in numbers:
            example, key = self.clips[number], self.clips.keys[number]
            if not (example["valid"] > 0).any():
                self._collected.not_judged.setdefault("no frame has labels", []).append(key)
                continue
            truth = truth_of(example, key, self.speakers[number], self._transcripts)
            first = int(truth.counts.argmax())
            truths[number] = dataclasses.replace(truth, still=truth.frames[first])
            labels = np.concatenate([example["au"], example["pose"]], axis=1)[: len(truth.frames)].astype(np.float32)
            self._vectors[number] = labels[nearest_found(truth.counts)]
        return truths

    def rows(self, truths: dict[int, ClipTruth]) -> Iterator[tuple[str, Callable[[], Takes]]]:
        """The two networks, then the controls."""
        clips, numbers = list(truths.values()), list(truths)
        wrong = derangement(self.speakers, 0)[numbers]
        sound = self._sound(numbers)
        yield "ours", lambda: [self._film(truths, sound)]
        yield "copy_first_frame", lambda: [[copied(truth.still, len(truth.frames)) for truth in clips]]
        yield "wrong_audio", lambda: [self._film(truths, self._sound(wrong))]
        yield "silent_audio", lambda: [self._film(truths, np.zeros_like(sound))]
        yield TRUE_MOTION, lambda: [self._animate(truths, [
            (self._vectors[number], self._first(number)[TRANSLATION]) for number in truths])]
        yield CEILING, lambda: [[reencode(truth.frames) for truth in clips]]

    def _first(self, number: int) -> np.ndarray:
        """[23] labels of the photograph; frames before it have the same."""
        return self._vectors[number][0]

    def _sound(self, numbers: Sequence[int]) -> np.ndarray:
        """[n, T * 640 + 6400] of clips, T of the longest."""
        return np.stack([self._audio[int(number)]["audio"] for number in numbers])

    def _film(self, truths: dict[int, ClipTruth], sound: np.ndarray) -> list[np.ndarray]:
        starts = np.stack([self._first(number) for number in truths])
        starts[:, TRANSLATION] = 0
        seeds = np.array([self._seed + number for number in truths])
        drawn = self._draw(*map(filled, (sound, seeds, starts)))[: len(truths), 0]
        return self._animate(truths, [(vectors[: len(truth.frames)], REST)
                                      for truth, vectors in zip(truths.values(), drawn, strict=True)])

    def _animate(self, truths: dict[int, ClipTruth], motions: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
        """Frames of every clip, by vectors [T, 23] and the translation [3] at which the photograph stands.

        Clips are dealt to the devices, a thread each.
        """
        def one(place: int, number: int, motion: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            animator = self._animators[place % len(self._animators)]
            return animator.frames(animator.encode(truths[number].still, self._first(number)), *motion)

        with concurrent.futures.ThreadPoolExecutor(len(self._animators)) as pool:
            return list(pool.map(one, range(len(motions)), truths, motions))


def collect_animated(mapper: LoadedRun, generator: LoadedRun, data: pathlib.Path, split: str, seed: int,
                     limit: int = 0, metrics: Metrics = "all", judges: Judges | None = None, shard: Shard = Shard(),
                     report: Report = lambda message: None) -> tuple[Collected, Shown]:
    """Measures a mapper with a generator, and their controls, on the clips of a shard; arguments as
    `thjax.evaluate.run.evaluate_run`.

    Raises:
        UserError: the runs are no mapper and generator in this order, or trained on a judge that would measure them.
    """
    runs = (mapper, generator)
    for run, kind, what in zip(runs, (MotionSampler, FaceAnimator), ("mapper", "generator"), strict=True):
        if not isinstance(run.system.sampler(run.nets, run.stats), kind):
            raise UserError(f"{run.config.system}:{run.config.variant} is no {what}; give --checkpoint MAPPER "
                            "--checkpoint GENERATOR, in this order")
        judges = judges_for(run, metrics, judges)
    clips, audio = (open_split(data, split, generator, limit, fields) for fields in (FIELDS, ("audio",)))
    about = {
        "system": " with ".join(f"{run.config.system}:{run.config.variant}" for run in runs), "split": split,
        "steps": [run.step for run in runs], "averaged": [name for run in runs for name in run.averaged],
        "manifest_hash": clips.manifest.hash, "clips": len(clips),
        "speakers": len(set(clips.speakers)), "wrong_audio": whose_audio(list(clips.speakers)),
    }
    if metrics == "all":
        about["judges"] = judges.about
    hashes = fingerprint([config_hash(to_dict(run.config)) for run in runs])
    collected = Collected({"config_hash": hashes, "seeds": [*(run.config.seed for run in runs), seed], "about": about},
                          len(clips))
    source = AnimatedSource(mapper, generator, clips, audio, Transcripts(clips.manifest, split), seed, collected)

    def measure(row, truth, made):
        if metrics == "basic":
            return measure_basic(truth, made)
        sheet = measure_clip(truth, made, judges)
        if row == "ours":
            sheet.leave_out(ONE_DRAW, "diversity")
        return sheet

    return collected, collect(source, measure, judges, shard, collected, report)
