"""Per-clip values of every metric for every row, and the table they make."""

import numpy as np

from thjax.evaluate.controls import ClipSet
from thjax.metrics.bootstrap import Interval, bootstrap
from thjax.metrics.image import psnr, ssim
from thjax.metrics.motion import jitter
from thjax.metrics.mouth import LipGapProbe, correlation, lip_gap, mouth_psnr

METRICS = {
    "psnr": "dB over the whole frame, error pooled over the clip; higher is better",
    "ssim": "gauss11, -1 to 1; higher is better",
    "mouth_psnr": "dB inside the true mouth crop, error pooled over the clip; higher is better",
    "lip_gap_r": "r of the true lip gap with the one a ridge probe reads from pixels; -1 to 1, higher is better",
    "jitter": "grey levels, mean absolute second difference over time; best near that of re_encoded_truth",
}
PAIRED = {"mouth_psnr_vs_copy_first_frame": ("mouth_psnr", "copy_first_frame"),
          "mouth_psnr_vs_shuffled_audio": ("mouth_psnr", "wrong_audio"),
          "psnr_vs_copy_first_frame": ("psnr", "copy_first_frame"),
          "psnr_vs_shuffled_audio": ("psnr", "wrong_audio")}
"""{name: (metric, control)}: differences ours - control on the same clips."""

PerClip = dict[str, np.ndarray]


def score_row(takes: list[np.ndarray], clips: ClipSet, probe: LipGapProbe | None) -> PerClip:
    """{metric: [N]} of one row, averaged over its takes."""
    per_take = [[_score_clip(take[i], clips, i, probe) for i in range(len(clips))] for take in takes]
    names = per_take[0][0]
    return {name: np.array([[clip[name] for clip in take] for take in per_take]).mean(axis=0) for name in names}


def _score_clip(made: np.ndarray, clips: ClipSet, index: int, probe: LipGapProbe | None) -> dict[str, float]:
    counts = clips.valid[index] > 0
    truth, made = clips.frames[index][counts], made[counts]
    scores = {"psnr": psnr(truth, made), "ssim": ssim(truth, made), "jitter": jitter(made)}
    if clips.landmarks is not None:
        landmarks = clips.landmarks[index][counts]
        scores["mouth_psnr"] = mouth_psnr(truth, made, landmarks)
        if probe is not None:
            scores["lip_gap_r"] = correlation(probe.read(made, clips.stills[index]), lip_gap(landmarks))
    return scores


def table(scores: dict[str, PerClip], speakers: list[str]) -> dict[str, dict[str, Interval]]:
    """{row: {metric: Interval}}, metrics in the order of `METRICS`."""
    labels = np.array(speakers)
    return {
        row: {name: bootstrap(values[name], labels) for name in METRICS if name in values}
        for row, values in scores.items()
    }


def paired(scores: dict[str, PerClip], speakers: list[str]) -> dict[str, Interval]:
    """Differences between the system and its controls on the same clips; an interval above zero is a win."""
    labels = np.array(speakers)
    return {
        name: bootstrap(scores["ours"][metric] - scores[control][metric], labels)
        for name, (metric, control) in PAIRED.items()
        if metric in scores["ours"] and control in scores
    }
