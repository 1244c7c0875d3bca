"""The learning table of a mapper: motion against motion, and what only longer draws show."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from benchmarks.learning_talks import joined, talks
from data_pipelines.schema import FPS, POSE
from thjax import systems
from thjax.checkpoint import LoadedRun, load_run
from thjax.evaluate.animation.clips import BLINK, GROUPS, UNITS, MotionClips
from thjax.evaluate.animation.run import MOTIONS, Drawer, collect_mapper
from thjax.evaluate.animation.takes import TakeMaker
from thjax.evaluate.collected import Collected
from thjax.evaluate.measures.sheet import Measurement, mean_of
from thjax.evaluate.result import Result, result_of
from thjax.metrics.blinks import blinks_by_au45
from thjax.metrics.merging import Ratio

LONG_SECONDS, MINUTE = 600, 60 * FPS
TOP_K = (5, 50, 0)
"""Categories kept, for the report of blinks; 0 keeps all."""
TOP_K_CLIPS = 24
SETS = 10_000
VOICE = ("opening_r", "width_r", "closure_recall")


def score(runs: dict[int, pathlib.Path], corpus: pathlib.Path, split: str, command: str) -> dict:
    """Scores the runs of all seeds; rows are the mean over seeds, and the system of every seed."""
    loaded = {seed: load_run(run) for seed, run in runs.items()}
    collected = {seed: collect_mapper(run, corpus, split, seed, report=print)[0] for seed, run in loaded.items()}
    results = {seed: result_of(found, command) for seed, found in collected.items()}
    mean = result_of(_mean(list(collected.values())), command)
    rows = mean.rows | {f"{row}_seed_{seed}": result.rows[row] for seed, result in results.items()
                        for row in ("ours", "wrong_audio", "silent_audio")}
    clips = MotionClips(corpus, split, loaded[next(iter(runs))].system.stages[-1].data)
    sets = blink_sets(clips)
    return {
        "manifest_hash": mean.about["manifest_hash"],
        "rows": {row: {name: value.as_json() for name, value in metrics.items()} for row, metrics in rows.items()},
        "paired": {name: value.as_json() for name, value in mean.paired.items()},
        "paired_per_seed": [{name: value.as_json() for name, value in result.paired.items()}
                            for result in results.values()],
        "blink_rate_of_corpus_sets": sets,
        "blink_rate_by_top_k": [blinks_by_top_k(run, clips, seed) for seed, run in loaded.items()],
        "worst_voice": [worst_voice(result) for result in results.values()],
        "talks": [talks(run, clips, seed) for seed, run in loaded.items()],
        "ten_minutes": [ten_minutes(run, clips, seed) for seed, run in loaded.items()],
    }


def _mean(parts: Sequence[Collected]) -> Collected:
    """The mean over seeds, clip by clip."""
    first = parts[0]
    merged = Collected(first.about, first.total, first.clips, {}, {}, first.left_out, first.not_judged)
    for row, metrics in first.rows.items():
        for number in first.clips:
            takes = [Measurement({name: part.rows[row][name][number] for name in metrics
                                  if number in part.rows[row].get(name, {})}) for part in parts]
            merged.add(row, number, mean_of(takes))
    return merged


def blink_sets(clips: MotionClips) -> dict:
    """Rate of blinks of sets of as many clips, drawn from several true motions of each: mean and 95 % interval, 1/s."""
    maker, rates = TakeMaker.of(clips.manifest), []
    try:
        for clip in (clips[number] for number in range(len(clips))):
            rates += [blinks_by_au45(take[:, BLINK], FPS) for take in maker.of_clip(clip).vectors]
    finally:
        maker.close()
    parts = np.array([[rate.above, rate.below] for rate in rates])
    drawn = parts[np.random.default_rng(0).integers(0, len(parts), (SETS, len(clips)))].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], (2.5, 97.5))
    total = parts.sum(axis=0)
    return {"mean": float(total[0] / total[1]), "ci95": [float(low), float(high)], "n": len(clips)}


def blinks_by_top_k(run: LoadedRun, clips: MotionClips, seed: int) -> dict[str, float]:
    """{k: blinks a second} when draws are cut to the k most probable categories."""
    chosen = list(range(0, len(clips), max(1, len(clips) // TOP_K_CLIPS)))[:TOP_K_CLIPS]
    audio = np.stack([clips.padded_audio(clips[number]) for number in chosen])
    found = {}
    for k in TOP_K:
        sampling = dataclasses.replace(run.config.sampling, top_k=(k,))
        system = systems.build(dataclasses.replace(run.config, sampling=sampling))
        draw = Drawer(system.sampler(run.nets, run.stats), motions=1)
        drawn = draw(audio, range(seed, seed + len(chosen)))
        rates = [blinks_by_au45(motion[0, : clips[number].frames, BLINK], FPS)
                 for number, motion in zip(chosen, drawn, strict=True)]
        found[str(k)] = sum(rates, Ratio(0, 0)).value
    return found


def worst_voice(result: Result) -> dict:
    """The speaker whose opening is worst, and what else is measured of it."""
    speakers = np.array(result.speakers)
    values = result.per_clip["ours"]
    means = {speaker: float(np.nanmean(values["opening_r"][speakers == speaker])) for speaker in set(result.speakers)}
    worst = min(means, key=means.get)
    return {"speaker": worst} | {name: float(np.nanmean(values[name][speakers == worst])) for name in VOICE}


def ten_minutes(run: LoadedRun, clips: MotionClips, seed: int) -> dict:
    """Ten minutes of speech in one go: whether the head wanders off, or the face stays where no true one ever is."""
    sound = joined([clips[number] for number in range(len(clips))], LONG_SECONDS)
    sampler = run.system.sampler(run.nets, run.stats)
    vectors = Drawer(sampler)(sound[None], [seed])[0]
    pose = list(GROUPS["pose"])
    deviation = np.asarray(run.stats["deviation"])[pose]
    first, last = ((vectors[:, part][..., pose] / deviation).var(axis=1).mean(axis=0) for part in
                   (slice(None, MINUTE), slice(-MINUTE, None)))
    categories = sampler.encode(vectors)
    outermost = np.isin(categories[..., pose], (0, sampler.categories - 1))
    most = sampler.encode(np.max([clips[number].vectors.max(axis=0) for number in range(len(clips))], axis=0))
    beyond = categories[..., UNITS] > most[UNITS]
    return {"motions": MOTIONS, "pose_variance_last_to_first_minute": float(last.mean() / first.mean()),
            "by_channel": dict(zip(POSE, (last / first).tolist(), strict=True)),
            "outermost_share": float(outermost.mean()),
            "units_beyond_truth_share": float(beyond.mean()),
            "motions_that_rest_beyond_truth": int(beyond[:, -MINUTE:].all(axis=1).any(axis=-1).sum())}
