"""The lips: landmark distances, gap and width inside speech, closures. One detector reads both sides."""

import numpy as np

from thjax.evaluate.measures.sheet import Measurement
from thjax.evaluate.truth import ClipTruth, Seen
from thjax.metrics import landmarks
from thjax.metrics.closures import closures, lips_closed
from thjax.metrics.merging import Ratio
from thjax.metrics.mouth import correlation_in_speech, lip_width
from thjax.metrics.names import metric_name

DISTANCES = {"lmd": landmarks.lmd, "lmd_abs": landmarks.lmd_abs, "f_lmd": landmarks.f_lmd}
TRACKS = {"lip_gap_r_speech": lambda seen: seen.track.lip_gap,
          "lip_width_r_speech": lambda seen: lip_width(seen.landmarks)}
CLOSURES = ("closure_recall", "closure_precision")
UNDETECTED = "undetected"
"""Share of the frames without a face on either side, pooled; distances skip them."""
FEWEST_IN_SPEECH = 2


def measure(truth: ClipTruth, real: Seen, seen: Seen, sheet: Measurement) -> None:
    """Writes down everything that landmarks of both sides say about the lips."""
    everything = (*DISTANCES, *TRACKS, *CLOSURES)
    if real.track is None or seen.track is None:
        sheet.leave_out(seen.blind, *everything)
        return
    both = real.found & seen.found & truth.counts
    sheet.add(metric_name(UNDETECTED, seen.detector), Ratio(float((~both & truth.counts).sum()),
                                                            float(truth.counts.sum())))
    names = {name: metric_name(name, seen.detector) for name in everything}
    if not both.any():
        sheet.leave_out("no frame with a face on both sides", *names.values())
        return
    for base, distance in DISTANCES.items():
        sheet.add(names[base], distance(real.detections, seen.detections).value)
    _inside_speech(truth, real, seen, both, names, sheet)


def _inside_speech(truth: ClipTruth, real: Seen, seen: Seen, both: np.ndarray, names: dict[str, str],
                   sheet: Measurement) -> None:
    if truth.speech is None:
        sheet.leave_out("words without times", *(names[base] for base in (*TRACKS, *CLOSURES)))
        return
    speech = truth.speech & both
    if speech.sum() < FEWEST_IN_SPEECH:
        sheet.leave_out("no face inside speech", *(names[base] for base in (*TRACKS, *CLOSURES)))
        return
    for base, track in TRACKS.items():
        sheet.add(names[base], correlation_in_speech(track(real), track(seen), speech))
    if truth.bilabials is None:
        sheet.leave_out("phonemes without times", *(names[base] for base in CLOSURES))
        return
    result = closures(truth.bilabials, lips_closed(seen.track.lip_gap), lips_closed(real.track.lip_gap), speech)
    sheet.add(names["closure_recall"], result.recall, "the true lips close for no p, b or m")
    sheet.add(names["closure_precision"], result.precision, "the made lips never close")
