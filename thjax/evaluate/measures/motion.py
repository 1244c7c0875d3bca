"""Motion of head and lids: blinks, similarity of head poses, beats."""

import numpy as np

from data_pipelines.schema import AU_INTENSITY, FPS
from thjax.evaluate.measures.onsets import onsets
from thjax.evaluate.measures.sheet import Measurement
from thjax.evaluate.truth import ClipTruth, Seen
from thjax.metrics.blinks import blinks_by_aspect_ratio, blinks_by_au45
from thjax.metrics.head_motion import beat_alignment, head_similarity, head_similarity_union
from thjax.metrics.names import metric_name

AU45 = AU_INTENSITY.index("AU45")
POSES = ("hs", "hs_union", "beat_alignment")
BLINKS = ("blink_rate_ear", "blink_rate_au45")
FEWEST_FOR_BEATS = 4


def measure(truth: ClipTruth, real: Seen, seen: Seen, sheet: Measurement) -> None:
    """Writes down blinks and head motion."""
    if seen.track is None:
        sheet.leave_out(seen.blind, *BLINKS, *POSES)
        return
    names = {base: metric_name(base, seen.detector) for base in (*BLINKS, *POSES)}
    if not seen.found.any():
        sheet.leave_out("no frame with a face", *names.values())
        return
    sheet.add(names["blink_rate_ear"], blinks_by_aspect_ratio(seen.points, FPS))
    if seen.track.au is None:
        sheet.leave_out("no action units", names["blink_rate_au45"])
    else:
        lids = np.where(seen.found, np.asarray(seen.track.au)[:, AU45], np.nan)
        sheet.add(names["blink_rate_au45"], blinks_by_au45(lids, FPS))
    if real.track.pose is None or seen.track.pose is None:
        sheet.leave_out("no head pose on both sides", *(names[base] for base in POSES))
        return
    if not real.found.any():
        sheet.leave_out("no frame of the truth with a face", *(names[base] for base in POSES))
        return
    throughout = seen.angles_throughout if seen.found.sum() >= FEWEST_FOR_BEATS else seen.angles
    poses(real.angles, seen.angles, throughout, onsets(truth.audio), seen.detector, sheet)


def poses(real: np.ndarray, made: np.ndarray, throughout: np.ndarray, beats: np.ndarray, detector: str,
          sheet: Measurement) -> None:
    """Writes down what two pose tracks and the onsets of the sound say.

    Args:
        real: [T, 3] radians, pitch, yaw, roll of the truth.
        made: [S, 3] radians, of frames with a face.
        throughout: [F, 3] radians, of all frames, for beats fall at moments.
        beats: [K] onsets of the truth's sound, frames.
        detector: whose name the metrics carry.
        sheet: to write on.
    """
    names = {base: metric_name(base, detector) for base in POSES}
    sheet.add(names["hs"], head_similarity(real, made))
    sheet.add(names["hs_union"], head_similarity_union(real, made))
    if len(throughout) < FEWEST_FOR_BEATS:
        sheet.leave_out("too few frames with a face", names["beat_alignment"])
    elif not len(beats):
        sheet.leave_out("no onset in the sound", names["beat_alignment"])
    else:
        sheet.add(names["beat_alignment"], beat_alignment(beats, throughout))
