"""What public networks say of a clip: LPIPS, SyncNet, LipNet, ArcFace, OpenFace."""

import numpy as np

from thjax.core.errors import UserError
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures.sheet import FeatureSource, Measurement
from thjax.evaluate.measures.words import is_command, words_of
from thjax.evaluate.public_networks import ALIGNED, LABELS, unit_range
from thjax.evaluate.truth import ClipTruth, Seen
from thjax.metrics.identity import acd, csim
from thjax.metrics.names import metric_name
from thjax.metrics.sync import PRESETS, offset_error, sync
from thjax.metrics.words import wer

SMALLEST_FOR_LPIPS = 31


def measure(truth: ClipTruth, made: np.ndarray, seen: Seen, judges: Judges, sheet: Measurement) -> None:
    """Writes down the metrics of every network that was given; Frechet distances are made of features of all clips."""
    public = judges.public
    if "lpips" in public:
        _lpips(truth, made, judges, sheet)
    if "syncnet" in public:
        _syncnet(truth, seen, judges, sheet)
    if "lipnet" in public:
        _lipnet(truth, seen, sheet)
    for name, bases in (("arcface", ("csim", "acd")), ("openface", ("acd", "acd_mse"))):
        if name in public:
            _identity(name, bases, truth, seen, judges, sheet)


def inception_source(truth: ClipTruth) -> FeatureSource:
    """What Inception looks at."""
    return FeatureSource(LABELS["inception"], "frame", truth.frames.shape[1])


def _lpips(truth: ClipTruth, made: np.ndarray, judges: Judges, sheet: Measurement) -> None:
    name = metric_name("lpips", LABELS["lpips"], "frame", made.shape[1])
    if min(made.shape[1:3]) < SMALLEST_FOR_LPIPS:
        sheet.leave_out(f"frames are smaller than {SMALLEST_FOR_LPIPS} pixels", name)
        return
    pair = truth.frames[truth.counts], made[truth.counts]
    sheet.add(name, judges.public.call("lpips", *pair, prepare=unit_range).mean())


def _syncnet(truth: ClipTruth, seen: Seen, judges: Judges, sheet: Measurement) -> None:
    preset = PRESETS[judges.public.preset]
    label = LABELS["syncnet"] + ("" if preset.jpeg else " lossless")
    names = {base: metric_name(base, label, preset.crop, preset.size)
             for base in ("sync_confidence", "sync_offset", "sync_offset_error", "lse_d", "lse_c")}
    try:
        real, found = sync(truth.seen(judges).public.curve), sync(seen.public.curve)
    except UserError:
        sheet.leave_out("too short for SyncNet, or no face to follow", *names.values())
        return
    values = (found.confidence, found.offset, offset_error(found, real), found.distance, found.confidence)
    for name, value in zip(names.values(), values, strict=True):
        sheet.add(name, value)


def _lipnet(truth: ClipTruth, seen: Seen, sheet: Measurement) -> None:
    name = metric_name("wer", LABELS["lipnet"])
    said = words_of(truth)
    if not is_command(said):
        sheet.leave_out("no words are known" if not said else "not a GRID command, whose words LipNet's dictionary has",
                        name)
    elif seen.landmarks is None:
        sheet.leave_out("no frame with a face", name)
    else:
        try:
            sheet.add(name, wer(said, seen.public.sentence.split()))
        except UserError:
            sheet.leave_out("LipNet's mouth crop leaves the picture", name)


def _identity(network: str, bases: tuple[str, ...], truth: ClipTruth, seen: Seen, judges: Judges,
              sheet: Measurement) -> None:
    names = {base: metric_name(base, LABELS[network], "aligned", ALIGNED[network]) for base in bases}
    shown = seen.found & truth.counts
    still = truth.still_seen(judges)
    if still.landmarks is None or not shown.any():
        reason = "no face on the still" if still.landmarks is None else "no frame with a face"
        sheet.leave_out(reason, *names.values())
        return
    own, faces = getattr(still.public, network)[0], getattr(seen.public, network)[shown]
    measures = {"acd": lambda: acd(own, faces), "acd_mse": lambda: acd(own, faces, "mse"),
                "csim": lambda: csim(own, faces)}
    for base in bases:
        sheet.add(names[base], measures[base]())
