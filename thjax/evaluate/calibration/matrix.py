"""What metrics must make of faults. A pair that is not listed is measured by nobody's rule yet."""

from thjax.evaluate.calibration.verdicts import Kind

_PIXELS = {"blur": "down", "noise": "down", "jpeg": "down", "brightness": "down", "landmark_jitter": "silent"}
_SAME_PERSON = {"turned_head": "silent", "changed_light": "silent"}
_FARTHER = _SAME_PERSON | {"swapped_identity": "up"}
_LIPS_AND_SOUND = {"slight_blur": "silent", "brightness": "silent", "av_offset": "silent"}
_AGREEMENT = _LIPS_AND_SOUND | {"frozen_mouth": "down", "damped_mouth": "down", "shuffled_audio": "down"}

MATRIX: dict[str, dict[str, Kind]] = {
    **dict.fromkeys(("psnr", "psnr_per_frame", "ssim", "ssim_skimage7", "ssim_torch11"), _PIXELS),
    "acd": _FARTHER,
    "acd_mse": _FARTHER,
    "csim": _SAME_PERSON | {"swapped_identity": "down"},
    "sync_confidence": _AGREEMENT,
    "lse_c": _AGREEMENT,
    "lse_d": _LIPS_AND_SOUND | {"frozen_mouth": "up", "damped_mouth": "up", "shuffled_audio": "up"},
    "sync_offset_error": {"av_offset": "up"},
}
"""{metric: {fault: class}}. Identity must see neither pose nor light; sync must see neither slight blur nor brightness
nor an offset inside its search."""
