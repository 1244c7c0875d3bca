"""The face: whose it is, and what its action units do."""

import numpy as np

from data_pipelines.schema import AU_INTENSITY, AU_PRESENCE
from thjax.evaluate.judges import IDENTITY_CROP, IDENTITY_SIDE, Judges
from thjax.evaluate.measures.sheet import FeatureSource, Measurement
from thjax.evaluate.truth import ClipTruth, Seen
from thjax.metrics.action_units import action_unit_counts
from thjax.metrics.identity import acd, csim
from thjax.metrics.merging import Ratio
from thjax.metrics.names import metric_name

PRESENT = 1.0
"""Intensity (0 to 5) from which an action unit counts as present, where nobody says whether it is."""
IDENTITY = ("acd", "acd_mse", "csim")
UNITS = ("au_f1", "au_accuracy")


def identity(truth: ClipTruth, seen: Seen, judges: Judges, sheet: Measurement) -> None:
    """Writes down whose face it is."""
    if judges.identity is None:
        sheet.leave_out("no judge of identity", *IDENTITY)
        return
    names = {base: identity_name(base, judges) for base in IDENTITY}
    if not seen.large_enough or seen.landmarks is None:
        reason = "no frame with a face" if seen.large_enough else "frames are too small for the judge of identity"
        sheet.leave_out(reason, *names.values())
        return
    still = truth.still_seen(judges)
    shown = seen.faces[seen.found & truth.counts]
    if still.landmarks is None or not len(shown):
        sheet.leave_out("no face on the still" if still.landmarks is None else "no frame with a face", *names.values())
        return
    sheet.add(names["acd"], acd(still.faces[0], shown))
    sheet.add(names["acd_mse"], acd(still.faces[0], shown, "mse"))
    sheet.add(names["csim"], csim(still.faces[0], shown))


def identity_source(judges: Judges) -> FeatureSource:
    """What our judge of identity looks at."""
    return FeatureSource(judges.label("identity"), IDENTITY_CROP, IDENTITY_SIDE)


def identity_name(base: str, judges: Judges) -> str:
    """Name of a metric of identity: it carries network, crop and size."""
    return metric_name(base, *identity_source(judges))


def action_units(truth: ClipTruth, real: Seen, seen: Seen, sheet: Measurement) -> None:
    """Writes down how the action units of both sides agree."""
    if real.track is None or seen.track is None:
        sheet.leave_out(seen.blind, *UNITS)
        return
    units, present = _present(real.track, seen.track)
    if not units:
        sheet.leave_out("no action units on both sides", *(unit_name(base, "", seen) for base in UNITS))
        return
    detected = real.found & seen.found & truth.counts
    if not detected.any():
        sheet.leave_out("no frame with a face on both sides", *(unit_name(base, "", seen) for base in UNITS))
        return
    counts = action_unit_counts(*(side[detected] for side in present), units)
    hits, wrong = 2 * counts.true_positive, counts.false_positive + counts.false_negative
    right = counts.true_positive + counts.true_negative
    for index, unit in enumerate(units):
        f1 = Ratio(float(hits[index]), float(hits[index] + wrong[index]))
        # A unit that shows on neither side is no failure to be reported: its ratio just does not count.
        if f1.below:
            sheet.add(unit_name("au_f1", unit, seen), f1)
        sheet.add(unit_name("au_accuracy", unit, seen), Ratio(float(right[index]), float(detected.sum())))


def _present(real, seen) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Units, and [T, A] bool of two tracks which are present: as a tracker says (OpenFace's AUxx_c), else by intensity;
    no units where a side has none."""
    for field, units, least in (("au_presence", AU_PRESENCE, 0.5), ("au", AU_INTENSITY, PRESENT)):
        sides = [getattr(track, field, None) for track in (real, seen)]
        if all(side is not None for side in sides):
            return units, [np.asarray(side) >= least for side in sides]
    return (), []


def unit_name(base: str, unit: str, seen: Seen) -> str:
    """Name of a metric of one action unit, or of their mean where `unit` is empty."""
    return metric_name(base, seen.detector, unit or None)
