"""What is measured of the motions drawn for one clip, held against its true motion."""

import numpy as np

from data_pipelines.schema import FPS
from thjax.evaluate.animation import lips
from thjax.evaluate.animation.clips import BLINK, GROUPS, NOD, UNITS, MotionClip
from thjax.evaluate.animation.takes import Takes
from thjax.evaluate.measures.sheet import Measurement
from thjax.metrics.blinks import blinks_by_au45
from thjax.metrics.closures import closures, false_closures, lips_closed
from thjax.metrics.head_motion import pairwise_distance
from thjax.metrics.merging import Ratio
from thjax.metrics.motion import roughness, variance
from thjax.metrics.mouth import correlation_in_speech
from thjax.metrics.names import metric_name

FEWEST_IN_SPEECH, FEWEST_FRAMES = 2, 3
LIPS = ("opening_r", "width_r")
ONE_SAMPLE, FULL_HEAD = "one sample", "full head"
"""`opening_r`: of the mean over samples, in action units. `[one sample]`: mean over samples of each one's own.
`[full head]`: against the true head with the lip shapes that no action unit names."""
IN_SPEECH = (*LIPS, *(metric_name(name, ONE_SAMPLE) for name in LIPS), "nod_energy_r")
CLOSURES = ("closure_recall", "false_closures")
OF_SEVERAL = ("spread", "spread_of_true")
VARIETY = ("roughness", "variance", *OF_SEVERAL)


def measure(clip: MotionClip, drawn: np.ndarray, deviation: np.ndarray, takes: Takes | None = None) -> Measurement:
    """Everything that motion alone tells.

    Args:
        clip: the true one.
        drawn: [S, T, 23] motions of its audio.
        deviation: [23] standard deviations over the training split.
        takes: other true motions, where they are known.
    """
    sheet = Measurement()
    opening, width = lips.of_units(drawn[..., UNITS])
    truth = dict(zip(LIPS, lips.of_units(clip.vectors[:, UNITS]), strict=True))
    _in_speech(clip, dict(zip(LIPS, (opening, width), strict=True)), truth, drawn, takes, sheet)
    _closures(clip, opening, truth["opening_r"], sheet)
    rates = [blinks_by_au45(np.where(clip.counts, motion[:, BLINK], np.nan), FPS) for motion in drawn]
    sheet.add("blink_rate_au45", _mean(rates), "no frame has labels")
    _variety(clip, drawn, deviation, takes, sheet)
    return sheet


def _in_speech(clip: MotionClip, made: dict[str, np.ndarray], truth: dict[str, np.ndarray], drawn: np.ndarray,
               takes: Takes | None, sheet: Measurement) -> None:
    if clip.speech is None or clip.speech.sum() < FEWEST_IN_SPEECH:
        sheet.leave_out("words without times" if clip.speech is None else "no speech", *IN_SPEECH)
        return
    full = {} if takes is None else dict(zip(LIPS, lips.of_expression(takes.expression), strict=True))
    for name, tracks in made.items():
        mean = tracks.mean(axis=0)
        sheet.add(name, correlation_in_speech(truth[name], mean, clip.speech))
        apart = [correlation_in_speech(truth[name], one, clip.speech) for one in tracks]
        sheet.add(metric_name(name, ONE_SAMPLE), np.mean(apart))
        if full:
            sheet.add(metric_name(name, FULL_HEAD), correlation_in_speech(full[name], mean, clip.speech))
    nods = [correlation_in_speech(clip.energy, motion[:, NOD], clip.speech) for motion in drawn]
    sheet.add("nod_energy_r", np.mean(nods))


def _closures(clip: MotionClip, opening: np.ndarray, truth: np.ndarray, sheet: Measurement) -> None:
    if clip.speech is None or clip.bilabials is None:
        sheet.leave_out("phonemes without times", *CLOSURES)
        return
    closed = lips_closed(opening)
    recalls = [closures(clip.bilabials, one, lips_closed(truth), clip.speech).recall for one in closed]
    sheet.add("closure_recall", _mean(recalls), "the true lips close for no p, b or m")
    sheet.add("false_closures", _mean([false_closures(clip.bilabials, one, clip.speech) for one in closed]),
              "no speech")


def _variety(clip: MotionClip, drawn: np.ndarray, deviation: np.ndarray, takes: Takes | None,
             sheet: Measurement) -> None:
    """How motions of one audio differ from each other, and how rough each is, beside the truth."""
    found = clip.counts
    for group, which in GROUPS.items():
        which = list(which)
        if found.sum() < FEWEST_FRAMES:
            sheet.leave_out("too few frames with labels", *(metric_name(name, group) for name in VARIETY))
            continue
        for name, movement in (("roughness", roughness), ("variance", variance)):
            truth = movement(clip.vectors[found][:, which], deviation[which])
            made = np.mean([movement(motion[found][:, which], deviation[which]) for motion in drawn])
            sheet.add(metric_name(name, group), Ratio(float(made), truth), "the truth does not move")
        if len(drawn) < 2:
            sheet.leave_out("one motion for every audio", *(metric_name(name, group) for name in OF_SEVERAL))
            continue
        spread = pairwise_distance(drawn[:, found][..., which], deviation[which])
        sheet.add(metric_name("spread", group), spread)
        if takes is not None:
            true = pairwise_distance(takes.vectors[:, found][..., which], deviation[which])
            sheet.add(metric_name("spread_of_true", group), Ratio(spread, true), "true motions do not differ")


def _mean(ratios: list[Ratio]) -> Ratio:
    """Sums over motions of one clip, with the weight of one."""
    total = sum(ratios[1:], ratios[0])
    return Ratio(total.above / len(ratios), total.below / len(ratios))
