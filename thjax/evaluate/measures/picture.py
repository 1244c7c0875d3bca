"""The picture: PSNR, SSIM, sharpness, jitter, and how well mouth and lower face are met."""

import numpy as np
from PIL import Image

from thjax.evaluate.judges import Judges
from thjax.evaluate.measures.sheet import Measurement
from thjax.evaluate.truth import EXACT, ClipTruth
from thjax.metrics import image, sharpness
from thjax.metrics.motion import jitter
from thjax.metrics.mouth import (
    LipGapProbe,
    correlation,
    lip_gap,
    lower_face_mask,
    lower_face_psnr,
    mouth_mask,
    mouth_psnr,
)
from thjax.metrics.names import metric_name
from thjax.pretrained.opencv_resize import area

SCRIPT_SIDE = 256
"""Pixels to which the public script of Chen et al. 2019 resizes frames before its PSNR, with OpenCV's `INTER_AREA`."""
OVERFLOW = metric_name("psnr_uint8_overflow", crop="frame", size=SCRIPT_SIDE)
SSIM_WINDOW = 2 * image.SSIM_RADIUS + 1
FEWEST_FOR_JITTER = 3


def basic(truth: ClipTruth, made: np.ndarray, probe: LipGapProbe | None, sheet: Measurement) -> None:
    """Writes down the metrics that need no judge and that every run prints."""
    real, fake = truth.frames[truth.counts], made[truth.counts]
    sheet.add("psnr", image.psnr(real, fake))
    if min(real.shape[1:3]) >= SSIM_WINDOW:
        sheet.add("ssim", image.ssim(real, fake))
    else:
        sheet.leave_out(f"frames are smaller than {SSIM_WINDOW} pixels", "ssim")
    if len(fake) >= FEWEST_FOR_JITTER:
        sheet.add("jitter", jitter(fake))
    else:
        sheet.leave_out(f"fewer than {FEWEST_FOR_JITTER} frames", "jitter")
    if truth.landmarks is None:
        return
    landmarks = truth.landmarks[truth.counts]
    _inside("mouth_psnr", mouth_psnr, mouth_mask, real, fake, landmarks, sheet)
    if probe is not None:
        sheet.add("lip_gap_r", correlation(probe.read(fake, truth.still), lip_gap(landmarks)))


def measure(truth: ClipTruth, made: np.ndarray, judges: Judges, probe: LipGapProbe | None, sheet: Measurement) -> None:
    """Writes down `basic` and every other metric of the picture."""
    basic(truth, made, probe, sheet)
    real, fake = truth.frames[truth.counts], made[truth.counts]
    sheet.add("psnr_per_frame", image.psnr_per_frame(real, fake))
    sheet.add(OVERFLOW, image.psnr_uint8_overflow(_as_the_script(real), _as_the_script(fake)))
    if min(real.shape[1:3]) >= SSIM_WINDOW:
        sheet.add("ssim_skimage7", image.ssim_skimage7(real, fake))
    else:
        sheet.leave_out(f"frames are smaller than {SSIM_WINDOW} pixels", "ssim_skimage7")
    sheet.add("ssim_torch11", image.ssim_torch11(real, fake))
    if min(real.shape[1:3]) >= sharpness.BLOCK:
        sheet.add("cpbd", sharpness.cpbd(fake))
    else:
        sheet.leave_out(f"frames are smaller than {sharpness.BLOCK} pixels", "cpbd")
    sheet.add("fdbm", sharpness.fdbm(fake))
    _regions(truth, real, fake, judges, sheet)


def _regions(truth: ClipTruth, real: np.ndarray, fake: np.ndarray, judges: Judges, sheet: Measurement) -> None:
    """PSNR of mouth and lower face, inside the true landmarks; detected ones stand in the name."""
    seen = None if truth.landmarks is not None else truth.seen(judges)
    landmarks = truth.landmarks if seen is None else seen.landmarks
    if landmarks is None:
        sheet.leave_out("no landmarks of the truth", "mouth_psnr", "lower_face_psnr")
        return
    detector = None if seen is None or seen.detector == EXACT else seen.detector
    inside = landmarks[truth.counts]
    if detector is not None:
        _inside(metric_name("mouth_psnr", detector), mouth_psnr, mouth_mask, real, fake, inside, sheet)
    _inside(metric_name("lower_face_psnr", detector), lower_face_psnr, lower_face_mask, real, fake, inside, sheet)


def _inside(name: str, function, mask, real: np.ndarray, fake: np.ndarray, landmarks: np.ndarray,
            sheet: Measurement) -> None:
    """PSNR of a region, unless it lies outside the picture, as wrong landmarks may."""
    if mask(landmarks, *real.shape[1:3]).any():
        sheet.add(name, function(real, fake, landmarks))
    else:
        sheet.leave_out("landmarks outside the picture", name)


def _as_the_script(frames: np.ndarray) -> np.ndarray:
    """[T, 256, 256, 1] uint8 grey; Pillow's grey is that of `metrics.colour`, and faster."""
    resized = area(frames, SCRIPT_SIDE)
    return np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in resized])[..., None]
