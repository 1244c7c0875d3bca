"""One made clip: all metrics of the catalogue that truth and judges allow, or the few that every run prints."""

import numpy as np

from data_pipelines.schema import AUDIO_CONTEXT, SAMPLES_PER_FRAME
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import faces, lips, motion, picture, public, words
from thjax.evaluate.measures.sheet import FeatureSource, Measurement
from thjax.evaluate.truth import ClipTruth, Seen
from thjax.metrics.mouth import LipGapProbe
from thjax.metrics.shapes import same_clips

BASIC = ("psnr", "ssim", "mouth_psnr", "lip_gap_r", "jitter")
"""What `thjax demo` and learning results print: no judge is asked."""


def measure_basic(truth: ClipTruth, made: np.ndarray, probe: LipGapProbe | None = None) -> Measurement:
    """The metrics of `BASIC`; arguments as `measure_clip`."""
    sheet = Measurement()
    picture.basic(truth, made, probe, sheet)
    return sheet


def features_of(truth: ClipTruth, seen: Seen, judges: Judges) -> dict[FeatureSource, np.ndarray]:
    """{source: [t, D]} of the frames that count, true or made, and of faces those in which one was found."""
    found = {}
    with_face = truth.counts & seen.found
    if judges.identity is not None and seen.large_enough and with_face.any():
        found[faces.identity_source(judges)] = seen.faces[with_face]
    if "inception" in judges.public:
        found[public.inception_source(truth)] = seen.public.inception[truth.counts]
    return found


def measure_clip(truth: ClipTruth, made: np.ndarray, judges: Judges, probe: LipGapProbe | None = None,
                 audio: np.ndarray | None = None, landmark_noise: np.ndarray | None = None) -> Measurement:
    """Every metric of `metrics.catalogue` that a clip's truth and the judges allow, under its full name.

    What the judges see of the truth is kept in it: the next made clip of the same truth costs its own part only.
    Landmarks come from the judge of faces on both sides, or are the truth's own on both where there is none.

    Args:
        truth: the true clip.
        made: [T, H, W, 3] uint8 generated frames.
        judges: networks that look.
        probe: reads the lip gap from pixels, for `lip_gap_r`.
        audio: [T * 640 + 6400] int16 that belongs to the made frames; the truth's where it is None.
        landmark_noise: [T, 68, 2] pixels added to the landmarks found on the made frames, for calibration.

    Raises:
        ValueError: the frames are not of the truth's shape, or the audio is not of its length.
    """
    same_clips(truth.frames, made)
    audio = truth.audio if audio is None else audio
    if audio.shape != truth.audio.shape:
        raise ValueError(f"{truth.key}: audio of {audio.shape} for {len(made)} frames; give "
                         f"({len(made) * SAMPLES_PER_FRAME + 2 * AUDIO_CONTEXT},)")
    seen = Seen(made, audio, judges, truth.landmarks, landmark_noise)
    sheet = Measurement(features=features_of(truth, seen, judges))
    picture.measure(truth, made, judges, probe, sheet)
    faces.identity(truth, seen, judges, sheet)
    tracks(truth, truth.seen(judges), seen, sheet)
    words.measure(truth, seen, judges, sheet)
    public.measure(truth, made, seen, judges, sheet)
    return sheet


def tracks(truth: ClipTruth, real: Seen, seen: Seen, sheet: Measurement) -> None:
    """Writes down what a detector of faces says of a true clip and a made one: lips, action units, blinks, pose."""
    lips.measure(truth, real, seen, sheet)
    faces.action_units(truth, real, seen, sheet)
    motion.measure(truth, real, seen, sheet)
