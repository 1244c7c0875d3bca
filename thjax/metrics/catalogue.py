"""Every metric in one list: name, units, range, direction, source, and what it needs."""

import dataclasses
from collections.abc import Callable

from thjax.metrics import (
    action_units,
    blinks,
    closures,
    distribution,
    head_motion,
    identity,
    image,
    landmarks,
    motion,
    mouth,
    perceptual,
    sharpness,
    sync,
    words,
)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: base of its name in tables; `names.metric_name` adds network, crop, size and N.
        units: of the value.
        span: its range.
        best: `high`, `low`, `zero`, or `truth` (near the true clips' own value).
        source: paper, standard or script that defines it.
        needs: what it is computed from.
        function: that computes it, or the sums that its clips add up to.
    """

    name: str
    units: str
    span: str
    best: str
    source: str
    needs: str
    function: Callable

    @property
    def line(self) -> str:
        """One line for a terminal, a report or a page."""
        return f"{self.name}: {self.units}, {self.span}, best {self.best}; {self.source}; needs {self.needs}"


BEST = ("high", "low", "zero", "truth")
_FRAMES, _LANDMARKS = "true and generated frames", "landmarks of both sides by one detector"
_FACES, _SYNC = "identity embeddings of a still and of frames", "sync embeddings of video and audio"
_MARKED = "true and generated frames, true landmarks"
_AUS = "presence of action units on both sides, where none is given an intensity of 1"
_POSE = "head angles of both sides"
_LIPS = "lip landmarks of both sides, speech frames"
_BILABIALS = "lip gaps of both sides, bilabial times, speech frames"
_Z_LIPS = "action units of both sides, speech frames"
_FEATURES = "features of true and generated frames or clips"
_PIXELS = "px at 256 x 256"
_SCRIPT, _SYNCNET, _LSE = "Chen et al. 2019 (script)", "Chung and Zisserman 2016", "Prajwal et al. 2020"

CATALOGUE = {metric.name: metric for metric in (
    Metric("psnr", "dB, whole video", "0..100", "high", "sda script (issue 53)", _FRAMES, image.psnr),
    Metric("psnr_per_frame", "dB, mean over frames", "0..100", "high", _SCRIPT, _FRAMES, image.psnr_per_frame),
    Metric("psnr_uint8_overflow", "dB, wrapped errors", "24..100", "high", _SCRIPT, _FRAMES, image.psnr_uint8_overflow),
    Metric("mouth_psnr", "dB, mouth box", "0..100", "high", "ours", _MARKED, mouth.mouth_psnr),
    Metric("lower_face_psnr", "dB, nose tip to chin", "0..100", "high", "ours", _MARKED, mouth.lower_face_psnr),
    Metric("ssim", "gauss11", "-1..1", "high", "Wang et al. 2004", _FRAMES, image.ssim),
    Metric("ssim_skimage7", "uniform 7 x 7", "-1..1", "high", "scikit-image default", _FRAMES, image.ssim_skimage7),
    Metric("ssim_torch11", "gauss11, zero padding", "-1..1", "high", "pytorch_ssim", _FRAMES, image.ssim_torch11),
    Metric("lpips", "distance", "0 and up", "low", "Zhang et al. 2018", "feature maps of both sides", perceptual.lpips),
    Metric("cpbd", "share of edges", "0..1", "truth", "Narvekar and Karam 2011", "generated frames", sharpness.cpbd),
    Metric("fdbm", "share of spectrum", "0..1", "truth", "De and Masilamani 2013", "generated frames", sharpness.fdbm),
    Metric("jitter", "grey levels", "0..510", "truth", "ours", "generated frames", motion.jitter),
    Metric("lmd", _PIXELS, "0 and up", "low", "Chen et al. 2018", _LANDMARKS, landmarks.lmd),
    Metric("lmd_abs", _PIXELS, "0 and up", "low", "lmd uncentred", _LANDMARKS, landmarks.lmd_abs),
    Metric("f_lmd", _PIXELS, "0 and up", "low", "lmd of 68 points", _LANDMARKS, landmarks.f_lmd),
    Metric("lip_gap_r", "Pearson's r", "-1..1", "high", "ours", "lip gaps of both sides", mouth.correlation),
    Metric("lip_gap_r_speech", "Pearson's r", "-1..1", "high", "ours", _LIPS, mouth.correlation_in_speech),
    Metric("lip_width_r_speech", "Pearson's r", "-1..1", "high", "ours", _LIPS, mouth.correlation_in_speech),
    Metric("closure_recall", "share, pooled", "0..1", "high", "ours", _BILABIALS, closures.closures),
    Metric("closure_precision", "share, pooled", "0..1", "high", "ours", _BILABIALS, closures.closures),
    Metric("opening_r", "Pearson's r", "-1..1", "high", "ours", _Z_LIPS, mouth.correlation_in_speech),
    Metric("width_r", "Pearson's r", "-1..1", "high", "ours", _Z_LIPS, mouth.correlation_in_speech),
    Metric("false_closures", "share of speech frames", "0..1", "low", "ours", "lip gap, bilabial times",
           closures.false_closures),
    Metric("acd", "embedding distance", "0..2", "low", "Tulyakov et al. 2018", _FACES, identity.acd),
    Metric("acd_mse", "squared distance / D", "0..4/D", "low", "sda tables (our reading)", _FACES, identity.acd),
    Metric("csim", "cosine", "-1..1", "high", "Zakharov et al. 2019", _FACES, identity.csim),
    Metric("wer", "errors per word", "0 and up", "low", "Assael et al. 2016", "words said and read", words.wer),
    Metric("sync_confidence", "distance", "0 and up", "high", _SYNCNET, _SYNC, sync.sync),
    Metric("sync_offset", "frames, + video behind audio", "-15..15", "zero", _SYNCNET, _SYNC, sync.sync),
    Metric("sync_offset_error", "frames", "0..30", "low", "Wu et al. 2023", _SYNC, sync.offset_error),
    Metric("lse_d", "distance", "0 and up", "low", _LSE, _SYNC, sync.sync),
    Metric("lse_c", "distance", "0 and up", "high", _LSE, _SYNC, sync.sync),
    Metric("au_f1", "per unit, pooled", "0..1", "high", "Chen et al. 2021", _AUS, action_units.action_unit_counts),
    Metric("au_accuracy", "per unit, pooled", "0..1", "high", "Chen et al. 2021", _AUS,
           action_units.action_unit_counts),
    Metric("blink_rate_ear", "1/s, pooled", "0 and up", "truth", "Soukupova and Cech 2016", "landmarks",
           blinks.blinks_by_aspect_ratio),
    Metric("blink_rate_au45", "1/s, pooled", "0 and up", "truth", "OpenFace AU45_r", "AU45 intensity",
           blinks.blinks_by_au45),
    Metric("hs", "1 - W1, fixed range", "0..1", "high", "Yi et al. 2020", _POSE, head_motion.head_similarity),
    Metric("hs_union", "1 - W1, union range", "0..1", "high", "Yi et al. 2020", _POSE,
           head_motion.head_similarity_union),
    Metric("diversity", "standard deviations", "0 and up", "truth", "ours", "16 tracks of one audio",
           head_motion.diversity),
    Metric("spread", "standard deviations", "0 and up", "truth", "ours", "several motions of one audio",
           head_motion.diversity),
    Metric("spread_of_true", "spread over that of the truth", "0 and up", "truth", "ours",
           "several motions, and several true ones", head_motion.diversity),
    Metric("roughness", "over the truth's", "0 and up", "truth", "ours", "channels of both sides", motion.roughness),
    Metric("variance", "over the truth's", "0 and up", "truth", "ours", "channels of both sides", motion.variance),
    Metric("nod_energy_r", "Pearson's r", "-1..1", "truth", "ours", "pitch of the head, loudness, speech frames",
           mouth.correlation_in_speech),
    Metric("cross_entropy", "nats a channel", "0 and up", "low", "Wu et al. 2023", "a mapper's categories",
           motion.mean_nats),
    Metric("squared_error", "variances", "0 and up", "low", "ours", "a mapper without categories", motion.mean_nats),
    Metric("beat_alignment", "score", "0..1", "high", "Siyao et al. 2022", "audio onsets, head angles",
           head_motion.beat_alignment),
    Metric("fid", "squared feature units", "0 and up", "low", "Heusel et al. 2017", _FEATURES, distribution.frechet),
    Metric("kid", "kernel units", "about 0 and up", "low", "Binkowski et al. 2018", _FEATURES,
           distribution.kernel_distance),
)}
"""{name: Metric} in the order of a report: picture, lips, identity, words and sync, motion, distributions."""


def lines() -> list[str]:
    """One line a metric, as `thjax evaluate` and the guides print them."""
    return [metric.line for metric in CATALOGUE.values()]
