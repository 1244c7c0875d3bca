"""What metrics must make of faults: a line for each metric, a column for each fault in the order of `FAULTS`, and why
some cells are free.

Metrics are taken as `thjax evaluate` takes them: through our judges, where one is asked.
"""

from thjax.evaluate.calibration.faults import FAULTS
from thjax.evaluate.calibration.verdicts import Kind

_KINDS: dict[str, Kind] = {"up": "up", "down": "down", "-": "silent", "?": "free"}
_TABLE = """
                     blur  slight noise jpeg  bright jitter offset frozen damped shuffl blinks pose  turned light swap
psnr                 down  down   down  down  down   -      down   ?      down   down   ?      down  down   down  down
psnr_per_frame       down  down   down  down  down   -      down   down   down   down   ?      down  down   down  down
psnr_uint8_overflow  down  down   down  down  ?      -      down   down   down   down   ?      down  down   down  down
mouth_psnr           down  down   down  down  down   -      down   ?      down   down   -      down  down   down  down
lower_face_psnr      down  down   down  down  down   -      down   ?      down   down   -      down  down   down  down
ssim                 down  down   down  down  down   -      down   -      down   down   -      down  down   down  down
ssim_skimage7        down  down   down  down  down   -      down   -      down   down   -      down  down   down  down
ssim_torch11         down  down   down  down  down   -      down   -      down   down   -      down  down   down  down
cpbd                 down  down   up    ?     -      -      -      -      -      -      -      -     -      -     ?
fdbm                 down  down   up    ?     -      -      -      -      -      -      -      -     -      -     ?
jitter               down  down   up    -     down   -      -      -      -      -      -      -     -      -     -
lmd                  up    up     up    up    -      up     ?      ?      up     up     -      up    up     ?     up
lmd_abs              up    up     up    up    -      up     up     ?      up     up     -      up    up     -     up
f_lmd                up    up     up    up    -      up     up     ?      up     up     -      up    up     ?     up
lip_gap_r_speech     down  -      ?     ?     -      -      ?      ?      down   down   -      -     -      -     -
lip_width_r_speech   down  -      ?     ?     -      down   ?      ?      down   down   -      -     -      -     -
closure_recall       ?     -      ?     ?     ?      -      ?      ?      ?      down   -      ?     ?      -     ?
closure_precision    ?     ?      ?     ?     ?      -      ?      ?      ?      down   -      ?     ?      ?     ?
acd                  up    ?      up    up    -      up     -      -      -      -      -      -     -      -     up
acd_mse              up    -      up    up    -      up     -      -      -      -      -      -     -      -     up
csim                 down  -      down  down  -      down   -      -      -      -      -      -     -      -     down
fid                  up    up     up    up    -      up     -      -      -      -      -      -     -      -     ?
kid                  up    up     up    up    -      ?      -      -      -      -      -      -     -      -     ?
wer                  ?     ?      ?     ?     -      -      -      up     up     up     -      -     -      -     ?
sync_confidence      ?     -      ?     -     -      -      -      down   down   down   -      -     -      -     -
lse_c                ?     -      ?     -     -      -      -      down   down   down   -      -     -      -     -
lse_d                ?     -      ?     -     -      -      -      up     up     up     -      -     -      -     -
sync_offset_error    ?     -      -     -     -      -      up     ?      ?      ?      -      -     -      -     -
au_f1                down  down   down  down  -      -      down   down   down   down   ?      ?     ?      down  down
au_accuracy          down  down   down  down  -      -      down   ?      down   down   -      -     ?      -     down
blink_rate_ear       ?     -      ?     ?     -      ?      -      -      -      -      down   -     -      -     -
blink_rate_au45      ?     -      ?     ?     -      -      -      -      -      -      down   -     -      -     -
hs                   ?     down   ?     ?     -      -      ?      ?      ?      ?      -      down  down   ?     ?
hs_union             ?     down   ?     ?     -      -      ?      ?      ?      ?      -      down  down   ?     ?
beat_alignment       -     -      -     -     -      -      down   -      -      -      -      -     -      -     -
"""
_LIPS = ("lip_gap_r_speech", "lip_width_r_speech")
_CLOSURES = ("closure_recall", "closure_precision")
_SYNC = ("sync_confidence", "lse_c", "lse_d")
_BLINKS = ("blink_rate_ear", "blink_rate_au45")
_HEAD = ("hs", "hs_union")

MATRIX: dict[str, dict[str, Kind]] = {
    metric: dict(zip(FAULTS, (_KINDS[cell] for cell in cells), strict=True))
    for metric, *cells in map(str.split, _TABLE.strip().splitlines()[1:])
}
"""{metric: {fault: class}}. Identity must see neither pose nor light; sync must see neither slight blur nor brightness
nor an offset inside its search."""

FREE: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("where the lips happen to stop decides how far they are from the truth",
     ("psnr", "mouth_psnr", "lower_face_psnr", "lmd", "lmd_abs", "f_lmd", *_LIPS, "au_accuracy"),
     ("frozen_mouth",)),
    ("a clip loses all its blinks in one step, which is no ranking of doses",
     ("psnr", "psnr_per_frame", "psnr_uint8_overflow", "au_f1"),
     ("removed_blinks",)),
    ("errors of 16 grey levels and more wrap around", ("psnr_uint8_overflow",), ("brightness",)),
    ("detail goes, edges of blocks come", ("cpbd", "fdbm"), ("jpeg",)),
    ("another face has other edges and another spectrum", ("cpbd", "fdbm"), ("swapped_identity",)),
    ("lips come back: far behind, they may agree again", ("lmd", "lip_gap_r_speech", "lip_width_r_speech"),
     ("av_offset",)),
    ("light moves a little what the judge of faces finds", ("lmd", "f_lmd"), ("changed_light",)),
    ("the judge of faces errs in its own way on each clip", _LIPS, ("noise", "jpeg")),
    ("there are few closures, and the judge of faces misses half of them", _CLOSURES,
     ("blur", "noise", "jpeg", "av_offset", "frozen_mouth", "swapped_identity", "damped_mouth")),
    ("there are few closures: one more or less is more than silence allows", _CLOSURES,
     ("damped_pose", "turned_head")),
    ("there are few closures: one more or less is more than silence allows", ("closure_precision",),
     ("slight_blur", "changed_light")),
    ("in the dark the judge of faces reads closures that are none, and misses some", _CLOSURES, ("brightness",)),
    ("at sigma 1 the change is near the border of what silence allows", ("acd",), ("slight_blur",)),
    ("the kernel distance of few frames is noisy", ("kid",), ("landmark_jitter", "swapped_identity")),
    ("when everybody has become somebody else of the set, the set is what it was: the distance is largest half way",
     ("fid",), ("swapped_identity",)),
    ("the lip reader guesses where it cannot see, and a clip has six words", ("wer",),
     ("blur", "slight_blur", "noise", "jpeg", "swapped_identity")),
    ("the judge of sync sees less, more or less by the clip", _SYNC, ("blur", "noise")),
    ("the judge of sync sees less, and then any shift may be best", ("sync_offset_error",), ("blur",)),
    ("where lips and sound do not belong together any shift may be best", ("sync_offset_error",),
     ("frozen_mouth", "damped_mouth", "shuffled_audio")),
    ("units near their threshold come and go with the pose", ("au_f1",), ("damped_pose", "turned_head")),
    ("units near their threshold come and go with the pose", ("au_accuracy",), ("turned_head",)),
    ("the judge of faces takes noise for lids that move", _BLINKS, ("blur", "noise", "jpeg")),
    ("shaken lids look like blinks", ("blink_rate_ear",), ("landmark_jitter",)),
    ("errors of the judge of faces are motion of the head to it", _HEAD,
     ("blur", "noise", "jpeg", "frozen_mouth", "damped_mouth", "shuffled_audio", "changed_light", "swapped_identity")),
    ("another stretch of time has other poses", _HEAD, ("av_offset",)),
)
"""(reason, metrics, faults) of every free cell."""

NOT_IN_THE_MATRIX = {
    "lpips": "needs a public network, which does not ship",
    "lip_gap_r": "needs a probe that is fitted on a run's training clips",
    "diversity": "needs several samples of one audio",
    **dict.fromkeys(
        ("opening_r", "width_r", "false_closures", "spread", "spread_of_true", "roughness", "variance",
         "nod_energy_r", "cross_entropy", "squared_error"),
        "is measured on a mapper's motion in channels alone; the faults are planted in pixels"),
    "sync_offset": "has a sign: its size is sync_offset_error, and offset_recovered checks it",
}
"""{metric of the catalogue: why no line is about it}."""
