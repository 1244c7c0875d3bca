"""Metrics in groups and in order, so that a table of fifty stays readable."""

from collections.abc import Iterable

from thjax.evaluate.measures.lips import UNDETECTED
from thjax.metrics.catalogue import CATALOGUE

GROUPS = {
    "picture": ("psnr", "ssim", "mouth_psnr", "lower_face_psnr", "psnr_per_frame", "psnr_uint8_overflow",
                "ssim_skimage7", "ssim_torch11", "lpips", "cpbd", "fdbm", "jitter"),
    "lips": ("lmd", "lmd_abs", "f_lmd", UNDETECTED, "lip_gap_r", "lip_gap_r_speech", "lip_width_r_speech",
             "opening_r", "width_r", "closure_recall", "closure_precision", "false_closures"),
    "identity": ("acd", "acd_mse", "csim", "fid", "kid"),
    "words and sync": ("wer", "sync_confidence", "sync_offset", "sync_offset_error", "lse_d", "lse_c"),
    "motion": ("au_f1", "au_accuracy", "blink_rate_ear", "blink_rate_au45", "hs", "hs_union", "beat_alignment",
               "nod_energy_r", "diversity", "spread", "spread_of_true", "roughness", "variance"),
    "foresight": ("cross_entropy", "squared_error"),
}
"""{group: bases of its metrics, in order}."""
_PLACE = {base: (group, index) for index, (base, group) in enumerate(
    (base, group) for group, bases in GROUPS.items() for base in bases)}
UNITS = ("au_f1", "au_accuracy")


def base_of(name: str) -> str:
    """What stands before the bracket: `wer` of `wer[synthetic]`."""
    return name.split("[", 1)[0]


def in_order(names: Iterable[str]) -> list[str]:
    """Names by group, then as `GROUPS` lists them."""
    unique = list(dict.fromkeys(names))
    return sorted(unique, key=lambda name: _PLACE.get(base_of(name), ("", len(_PLACE)))[1])


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """{group: its names in order}, single action units left out: table.json and clips.csv have them."""
    groups: dict[str, list[str]] = {}
    for name in in_order(names):
        if not is_unit(name):
            groups.setdefault(_PLACE.get(base_of(name), ("other", 0))[0], []).append(name)
    return groups


def is_unit(name: str) -> bool:
    """Whether this is the metric of one action unit."""
    return base_of(name) in UNITS and ", AU" in name


def better(name: str) -> str:
    """Which way is better: `high`, `low`, `zero`, `truth`; empty where the catalogue does not know the metric."""
    metric = CATALOGUE.get(base_of(name))
    return metric.best if metric else "low" if base_of(name) == UNDETECTED else ""


def meaning(name: str) -> str:
    """A line on a metric for the report."""
    metric = CATALOGUE.get(base_of(name))
    if metric is None:
        return "share of frames without a face on either side, pooled"
    return f"{metric.units}; {metric.span}; best {metric.best}; {metric.source}"
