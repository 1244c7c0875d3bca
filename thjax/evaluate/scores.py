"""Measurements become a table: intervals of every row, and what a system gains over its controls."""

import dataclasses
import warnings

import numpy as np

from thjax.evaluate.collected import TRUTH, Collected
from thjax.evaluate.controls import CEILING
from thjax.evaluate.groups import base_of, in_order, is_unit
from thjax.evaluate.pose_controls import INDEPENDENT, STATIC
from thjax.evaluate.truth import WHOLE_SEARCH
from thjax.metrics.bootstrap import FEWEST_SPEAKERS, Draws, Interval, bootstrap, draw
from thjax.metrics.compare import Comparison, compare, holm
from thjax.metrics.distribution import FEWEST_SAMPLES, distribution_distances
from thjax.metrics.names import metric_name

METRICS = {
    "psnr": "dB over the whole frame, error pooled over the clip; higher is better",
    "ssim": "gauss11, -1 to 1; higher is better",
    "mouth_psnr": "dB inside the true mouth crop, error pooled over the clip; higher is better",
    "lip_gap_r": "r of the true lip gap with the one a ridge probe reads from pixels; -1 to 1, higher is better",
    "jitter": "grey levels, mean absolute second difference over time; best near that of re_encoded_truth",
}
"""The basic metrics: what every run prints."""
PAIRED = {"mouth_psnr_vs_copy_first_frame": ("mouth_psnr", "copy_first_frame"),
          "mouth_psnr_vs_shuffled_audio": ("mouth_psnr", "wrong_audio"),
          "psnr_vs_copy_first_frame": ("psnr", "copy_first_frame"),
          "psnr_vs_shuffled_audio": ("psnr", "wrong_audio"),
          "opening_r_vs_linear": ("opening_r", "linear"), "width_r_vs_linear": ("width_r", "linear"),
          "opening_r_vs_shuffled_audio": ("opening_r", "wrong_audio"),
          "nod_energy_r_vs_shuffled_audio": ("nod_energy_r", "wrong_audio")}
"""{name: (metric, control)}: differences ours - control on the same clips."""
COMPARED = ("psnr", "mouth_psnr", "lmd", "lip_gap_r_speech", "opening_r", "width_r", "acd", "wer", "sync_confidence")
"""Bases of the metrics on which the system is compared with every control, as one family for Holm's correction."""

PerClip = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of all clips together, which no resampling of clips was made for.

    Attributes:
        mean: the figure; called so as in every table.
        n: clips.
    """

    mean: float
    n: int
    ci95 = None

    def as_json(self) -> dict:
        """The form of every table."""
        return {"mean": self.mean, "ci95": None, "n": self.n}


def ceiling_first(rows: dict) -> dict:
    """The judges' own ceiling, then the system and its other controls as they were made."""
    return {row: rows[row] for row in sorted(rows, key=lambda row: row != CEILING)}


def per_clip(collected: Collected) -> dict[str, PerClip]:
    """{row: {metric: [N]}} in the order of the clips' numbers; NaN where a clip has no value."""
    numbers = sorted(collected.clips)
    return {
        row: {name: np.array([values[n].value if n in values else np.nan for n in numbers])
              for name, values in ((name, metrics[name]) for name in in_order(metrics))}
        for row, metrics in ceiling_first(collected.rows).items()
    }


def intervals(collected: Collected) -> dict[str, dict[str, Interval | Figure]]:
    """{row: {metric: Interval}}: pooled ratios and means over the clips that have a value."""
    result = {}
    for row, metrics in ceiling_first(collected.rows).items():
        found = {name: _draws(collected, values).interval for name, values in metrics.items() if not is_unit(name)}
        found |= _units(collected, metrics)
        found |= _distances(collected, row)
        result[row] = {name: found[name] for name in in_order(found)}
    return result


def _draws(collected: Collected, values: dict, everyone: bool = False) -> Draws:
    """Resampled ratios over the clips that have one, or over every clip, so that several metrics share their draws."""
    numbers = sorted(collected.clips if everyone else values)
    parts = [(values[n].above, values[n].below) if n in values else (0.0, 0.0) for n in numbers]
    speakers = [collected.clips[n].speaker for n in numbers]
    known = None if None in speakers else np.array(speakers)
    return draw(*np.array(parts, np.float64).T, known, seed=0)


def _units(collected: Collected, metrics: dict) -> dict[str, Interval]:
    """Single action units, and of each detector the mean over those that show up."""
    drawn = {name: _draws(collected, values, everyone=True) for name, values in metrics.items() if is_unit(name)}
    by_detector: dict[str, list[Draws]] = {}
    for name, each in drawn.items():
        by_detector.setdefault(name.split(",")[0] + "]", []).append(each)
    return {name: each.interval for name, each in drawn.items()} | {
        name: _mean(units).interval for name, units in by_detector.items()}


def _mean(drawn: list[Draws]) -> Draws:
    """The mean of metrics that were resampled alike."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw in which no unit shows up stays NaN
        clips = np.nanmean([each.clips for each in drawn], axis=0)
        one = drawn[0]
        speakers = None if one.by_speaker is None else np.nanmean([each.by_speaker for each in drawn], axis=0)
    return Draws(float(np.mean([each.mean for each in drawn])), clips, speakers, one.n, one.speakers)


def _distances(collected: Collected, row: str) -> dict[str, Figure]:
    """Frechet and kernel distances of the row's features to the true ones: one figure each, without an interval."""
    values: dict[str, float] = {}
    for source, made in collected.features.get(row, {}).items():
        real = collected.features.get(TRUTH, {}).get(source)
        if real is not None and min(real.moments.count, made.moments.count) >= 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # `cautions` has it for the tables
                values |= distribution_distances(real, made, *source)
    return {name: Figure(value, len(collected.clips)) for name, value in values.items()}


def cautions(collected: Collected) -> list[str]:
    """What a reader of the tables has to know: few speakers, few samples of a distance, a missing control."""
    found = []
    speakers = {clip.speaker for clip in collected.clips.values()}
    if None not in speakers and len(speakers) < FEWEST_SPEAKERS:
        found.append(f"intervals marked ? are unreliable: {len(speakers)} speakers, fewer than {FEWEST_SPEAKERS}")
    fewest = min((len(values) for metrics in collected.rows.values() for values in metrics.values()), default=0)
    if None in speakers and fewest < FEWEST_SPEAKERS:
        found.append(f"differences marked ? are unreliable: fewer than {FEWEST_SPEAKERS} clips, and nobody knows their "
                     "speakers")
    for source, features in collected.features.get("ours", {}).items():
        if (count := features.moments.count) < FEWEST_SAMPLES:
            found.append(f"{metric_name('fid', *source, count)} is biased upward: {count} samples, fewer than "
                         f"{FEWEST_SAMPLES}; read kid beside it, or measure more frames")
    if short := _short_for_sync(collected):
        found.append(f"sync of {short} clips of fewer than {WHOLE_SEARCH} frames: every shift of the search takes all "
                     "windows inside the clip, not the same ones")
    if STATIC in collected.rows and INDEPENDENT not in collected.rows:
        found.append(f"hs stands without {INDEPENDENT}: no clip has another of its speaker; put a speaker's clips into "
                     "one folder")
    return found


def _short_for_sync(collected: Collected) -> int:
    """How many clips our judge of sync has seen that are too short for the same windows at every shift."""
    label = collected.about.get("about", {}).get("judges", {}).get("sync")
    name = metric_name("sync_confidence", label) if label else ""
    return sum(0 < collected.clips[n].frames < WHOLE_SEARCH for n in collected.rows.get("ours", {}).get(name, {}))


def table(scores: dict[str, PerClip], speakers: list[str]) -> dict[str, dict[str, Interval]]:
    """{row: {metric: Interval}} of the basic metrics, in the order of `METRICS`."""
    labels = np.array(speakers)
    return {
        row: {name: bootstrap(values[name], labels) for name in METRICS if name in values}
        for row, values in scores.items()
    }


def paired(scores: dict[str, PerClip], speakers: list[str]) -> dict[str, Interval]:
    """Differences between the system and its controls on the same clips; an interval above zero is a win."""
    labels = None if None in speakers else np.array(speakers)
    found = {}
    for name, (metric, control) in PAIRED.items():
        if metric in scores["ours"] and metric in scores.get(control, {}):
            difference = scores["ours"][metric] - scores[control][metric]
            there = np.isfinite(difference)
            if there.any():
                found[name] = bootstrap(difference[there], labels if labels is None else labels[there])
    return found


def comparisons(scores: dict[str, PerClip], speakers: list[str]) -> dict[str, list[Comparison]]:
    """{metric: the system against every control}, p corrected by Holm over all of them."""
    labels = None if None in speakers else np.array(speakers)
    raw: list[tuple[str, Comparison]] = []
    for metric in (name for name in scores["ours"] if base_of(name) in COMPARED):
        for control, values in scores.items():
            if control == "ours" or metric not in values:
                continue
            there = np.isfinite(scores["ours"][metric]) & np.isfinite(values[metric])
            if there.any():
                pair = {"ours": scores["ours"][metric][there], control: values[metric][there]}
                raw.append((metric, compare(pair, labels if labels is None else labels[there])[0]))
    corrected = holm(np.array([each.p for _, each in raw]))
    found: dict[str, list[Comparison]] = {}
    for (metric, each), p in zip(raw, corrected, strict=True):
        found.setdefault(metric, []).append(
            Comparison(each.first, each.second, each.difference, each.p, float(p)))
    return found
