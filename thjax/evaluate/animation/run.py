"""Evaluates a trained mapper on feature records or any other records with labels: motion against motion."""

import pathlib
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, POSE, SAMPLES_PER_FRAME
from thjax.checkpoint import LoadedRun
from thjax.checkpoint.config_io import config_hash, to_dict
from thjax.evaluate import devices
from thjax.evaluate.animation.clips import GROUPS, UNITS, MotionClip, MotionClips
from thjax.evaluate.animation.controls import Controls
from thjax.evaluate.animation.likelihood import CountedLikelihood
from thjax.evaluate.animation.measures import measure
from thjax.evaluate.animation.takes import TakeMaker
from thjax.evaluate.collected import TRUTH, Clip, Collected
from thjax.evaluate.controls import derangement, whose_audio
from thjax.evaluate.measures.sheet import Measurement
from thjax.evaluate.passes import BLOCK_CLIPS, Report, Shard, shown_numbers
from thjax.metrics.names import metric_name
from thjax.systems.motion_sampler import CHANNELS, MotionSampler

MOTIONS = 8
"""Drawn for every clip."""
CONTROL_CLIPS = 600
"""Training clips that controls are made of, spread over the split."""
TAKES_ROW = "other_true_motions"


class Drawer:
    """Motions of many clips at once; one program is compiled for each length.

    Args:
        sampler: of a trained mapper.
        motions: S, drawn for each.
    """

    def __init__(self, sampler: MotionSampler, motions: int = MOTIONS):
        self._sampler, self._motions = sampler, motions
        # What is one number in every carry is the same for all clips; told so, XLA updates rings in place.
        clips = jax.tree.map(lambda leaf: 0 if np.ndim(leaf) else None, sampler.start(0, motions))
        self._chunk = jax.jit(jax.vmap(sampler.chunk, in_axes=(clips, 0, 0), out_axes=(clips, 0)))

    def __call__(self, audio: np.ndarray, seeds: Sequence[int], starts: np.ndarray | None = None) -> np.ndarray:
        """Sound [N, T * 640 + 6400] int16 and N seeds -> [N, S, T, 23]; `starts` [N, 23] are the first vectors."""
        carries = [self._sampler.start(int(seed), self._motions) for seed in seeds]
        carry = jax.tree.map(lambda *leaves: np.stack(leaves) if np.ndim(leaves[0]) else leaves[0], *carries)
        end = audio.shape[1] - (AUDIO_CONTEXT - self._sampler.lookahead)
        sound = audio[:, AUDIO_CONTEXT - self._sampler.lookbehind : end]
        frames = (audio.shape[1] - 2 * AUDIO_CONTEXT) // SAMPLES_PER_FRAME
        replace = np.full((len(sound), frames, len(CHANNELS)), np.nan, np.float32)
        if starts is not None:
            replace[:, 0] = starts
        _, drawn = self._chunk(*map(devices.cut, (carry, sound, replace)))
        return np.swapaxes(np.asarray(drawn), 1, 2)


class MapperSource:
    """Clips of a split, and the rows that are made of each.

    Args:
        run: a trained mapper.
        data: prepared corpus.
        split: of its manifest.
        seed: clip i draws its motions with `seed + i`.
        limit: clips to use, spread over the split; 0 uses all.
    """

    def __init__(self, run: LoadedRun, data: pathlib.Path, split: str, seed: int, limit: int = 0):
        spec = run.system.stages[-1].data
        self.clips = MotionClips(data, split, spec, limit)
        self.sampler: MotionSampler = run.system.sampler(devices.everywhere(run.nets), run.stats)
        training = MotionClips(data, "train", spec, CONTROL_CLIPS)
        self._controls, self._seed = Controls(training), seed
        self._counted = CountedLikelihood(self.sampler, training) if self.sampler.categories else None
        self.to_show = shown_numbers(len(self.clips))
        self.shown: list[tuple[MotionClip, np.ndarray]] = []
        """Of some clips, the true one and the motions drawn for it."""
        self._draw, self._takes = Drawer(self.sampler), TakeMaker.of(self.clips.manifest)

    def measured(self, numbers: Sequence[int]) -> Iterator[tuple[str, int, Measurement]]:
        """(row, number, measurement) of some clips, `ours` first."""
        clips = [self.clips[number] for number in numbers]
        wrong = derangement(self.clips.speakers, 0)[list(numbers)]
        sounds = {"ours": self._sound(clips), "wrong_audio": self._sound([self.clips[int(n)] for n in wrong])}
        sounds["silent_audio"] = np.zeros_like(sounds["ours"])
        seeds = [self._seed + number for number in numbers]
        drawn = {row: self._draw(filled(sound), filled(np.array(seeds))) for row, sound in sounds.items()}
        nats = {row: self._foreseen(clips, sounds[row]) for row in ("ours", "silent_audio")}
        if self._counted is not None:
            nats |= {"iid_noise": [self._counted.unigram(clip) for clip in clips],
                     "random_walk": [self._counted.random_walk(clip) for clip in clips]}
        for place, (number, clip) in enumerate(zip(numbers, clips, strict=True)):
            if number in self.to_show:
                self.shown.append((clip, drawn["ours"][place, :, : clip.frames]))
            takes = None if self._takes is None else self._takes.of_clip(clip)
            sheets = {row: measure(clip, made[place, :, : clip.frames], self._controls.deviation, takes)
                      for row, made in drawn.items()}
            rows = list(self._controls.rows(clip, MOTIONS, self._seed + number))
            if takes is not None:
                rows.append((TAKES_ROW, takes.vectors))
            rows.append((TRUTH, clip.vectors[None]))
            sheets |= {row: measure(clip, made, self._controls.deviation, takes) for row, made in rows}
            for row, values in nats.items():
                for name, value in values[place].items():
                    sheets.setdefault(row, Measurement()).add(name, value)
            yield from ((row, number, sheet) for row, sheet in sheets.items())

    def close(self) -> None:
        """Ends what runs beside."""
        if self._takes is not None:
            self._takes.close()

    def _sound(self, clips: Sequence[MotionClip]) -> np.ndarray:
        return np.stack([self.clips.padded_audio(clip) for clip in clips])

    def _foreseen(self, clips: Sequence[MotionClip], sound: np.ndarray) -> list[dict[str, float]]:
        """What the mapper says of the true motion, given a sound: {metric: value} of each clip."""
        length = self.clips.length
        batch = {
            "audio": sound,
            "au": np.stack([_padded(clip.vectors[:, UNITS], length) for clip in clips]),
            "pose": np.stack([_padded(clip.vectors[:, UNITS.stop :], length) for clip in clips]),
            "start_pose": np.zeros((len(clips), len(POSE)), np.float32),  # vectors count from there
            "start_frame": np.zeros(len(clips), np.int32),
            "valid": np.stack([_padded(clip.counts.astype(np.float32), length) for clip in clips]),
        }
        scored = self.sampler.score(devices.cut({name: filled(values) for name, values in batch.items()}))
        return [{_named(name): float(values[place]) for name, values in scored.items()} for place in range(len(clips))]


def collect_mapper(run: LoadedRun, data: pathlib.Path, split: str, seed: int, limit: int = 0, shard: Shard = Shard(),
                   report: Report = lambda message: None) -> tuple[Collected, list[tuple[MotionClip, np.ndarray]]]:
    """Measures a mapper and its controls on the clips of a shard.

    Args:
        run: a trained mapper.
        data: prepared corpus with labels of action units and pose; pixels are not looked at.
        split: of its manifest.
        seed: of the draws.
        limit: clips to use, spread over the split; 0 uses all.
        shard: which of the clips.
        report: called with what is done next.

    Returns:
        What was measured; and of a few clips, for pictures, the true one with the motions drawn for it [S, T, 23].

    Raises:
        DataError: the split has no clip, or the corpus lacks labels.
    """
    report("reading the training split for the controls")
    source = MapperSource(run, data, split, seed, limit)
    clips, total = source.clips, len(source.clips)
    about = {
        "system": f"{run.config.system}:{run.config.variant}", "split": split, "step": run.step,
        "averaged": list(run.averaged), "manifest_hash": run.manifest_hash, "clips": total,
        "speakers": len(set(clips.speakers)), "motions": MOTIONS, "wrong_audio": whose_audio(clips.speakers),
    }
    settings = {"config_hash": config_hash(to_dict(run.config)), "seeds": [run.config.seed, seed], "about": about}
    collected = Collected(settings, total)
    try:
        for block in shard.blocks(total):
            report(f"clips {block[0] + 1} to {block[-1] + 1} of {total}")
            labelled = [number for number in block if clips[number].counts.any()]
            for number in block:
                if number in labelled:
                    collected.clips[number] = Clip(clips.keys[number], clips.speakers[number])
                else:
                    collected.not_judged.setdefault("no frame has labels", []).append(clips.keys[number])
            for row, number, sheet in source.measured(labelled) if labelled else ():
                collected.add(row, number, sheet)
    finally:
        source.close()
    return collected, source.shown


def _named(name: str) -> str:
    """`cross_entropy_lips` as tables name it: `cross_entropy[lips]`."""
    base, _, group = name.rpartition("_")
    return metric_name(base, group) if group in GROUPS else name


def filled(rows: np.ndarray) -> np.ndarray:
    """Rows up to a whole block that divides over the devices, so that one compiled program serves all blocks."""
    return np.concatenate([rows, np.repeat(rows[-1:], devices.rows_for(BLOCK_CLIPS) - len(rows), axis=0)])


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    return np.pad(rows, ((0, length - len(rows)),) + ((0, 0),) * (rows.ndim - 1))
