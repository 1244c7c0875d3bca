"""What a sync expert is worth: loss and accuracy inside speech, offsets that it finds, and controls that must fail."""

import functools

import numpy as np
import scipy.ndimage

from thjax.judge_training.clips import Clips
from thjax.judges.sync import FRAMES, Judge
from thjax.metrics.bootstrap import bootstrap, bootstrap_ratio
from thjax.metrics.sync import VSHIFT, distance_curve, sync

NEAREST_NEGATIVE = FRAMES
"""Frames between a window and the nearest one of its clip that counts as out of sync: they do not overlap."""
EXCERPT = 25
"""Windows of an excerpt: 29 frames, 1.2 s."""
EXCERPT_STEP = 4
"""Frames between the starts of two excerpts."""
OTHERS = 8
"""Clips of other speakers whose sound is laid under each clip."""
JITTER = 0.5
"""Deviation of the planted shake of the crop, pixels of the mouth window and axis."""


class Examined:
    """What an expert makes of clips; every value is one a clip.

    Attributes:
        judge: the expert.
        clips: N rendered clips.
        video, audio: embeddings [N, T - 4, D] of clips as they are.
        first, last: first frames of the first and of the last window inside speech, [N].
    """

    def __init__(self, judge: Judge, clips: Clips):
        self.judge, self.clips = judge, clips
        self.video, self.audio = self._embed(clips.mouth)
        self.first = clips.speech.argmax(1)
        self.last = clips.speech.shape[1] - clips.speech[:, ::-1].argmax(1) - FRAMES

    def _embed(self, mouth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pairs = [self.judge.embed_mouth(frames, sound) for frames, sound in zip(mouth, self.clips.audio, strict=True)]
        return np.stack([video for video, _ in pairs]), np.stack([audio for _, audio in pairs])

    @functools.cached_property
    def shaken(self) -> np.ndarray:
        """Video embeddings of clips whose crop shakes by half a pixel from frame to frame."""
        rng = np.random.default_rng(0)
        shifts = rng.normal(0, JITTER, (*self.clips.mouth.shape[:2], 2))
        return self._embed(np.stack([
            np.stack([scipy.ndimage.shift(frame.astype(np.float32), by, order=1, mode="nearest")
                      for frame, by in zip(clip, moves, strict=True)])
            for clip, moves in zip(self.clips.mouth, shifts, strict=True)]))[0]

    @functools.cached_property
    def still(self) -> np.ndarray:
        """Video embeddings of clips that show their middle frame throughout."""
        frames = self.clips.mouth.shape[1]
        return self._embed(np.repeat(self.clips.mouth[:, frames // 2:frames // 2 + 1], frames, axis=1))[0]

    def agreement(self, video: np.ndarray) -> dict[str, np.ndarray]:
        """`loss` and `pairwise_accuracy` [N] of pairs of windows of the same clip."""
        return _columns([self._agreement(video, clip, clip) for clip in range(len(video))])

    def agreement_with_others(self) -> dict[str, np.ndarray]:
        """As `agreement`, with the sound of some clips of other speakers in each one's place, mean over them."""
        rng = np.random.default_rng(0)
        rows = []
        for clip, speaker in enumerate(self.clips.speaker):
            others = rng.permutation(np.flatnonzero(self.clips.speaker != speaker))[:OTHERS]
            found = _columns([self._agreement(self.video, clip, other) for other in others])
            rows.append({metric: values.mean() for metric, values in found.items()})
        return _columns(rows)

    def _agreement(self, video: np.ndarray, seen: int, heard: int) -> dict[str, float]:
        inside = slice(max(self.first[seen], self.first[heard]), min(self.last[seen], self.last[heard]) + 1)
        logits = self.judge.logit(video[seen, inside, None], self.audio[heard, None, inside]).astype(np.float64)
        count = np.arange(len(logits))
        apart = np.abs(count[:, None] - count) >= NEAREST_NEGATIVE
        paired = np.diagonal(logits)
        positive, negative = np.logaddexp(0, -paired).mean(), np.logaddexp(0, logits[apart]).mean()
        # One picture, two sounds: which belongs to it? A tie is a coin's toss.
        right = (logits < paired[:, None]) + (logits == paired[:, None]) / 2
        return {"loss": (positive + negative) / 2, "pairwise_accuracy": right[apart].mean()}

    def excerpt_offsets(self, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Offsets of 1.2 s of video inside speech, searched in the sound around it, and the clip of each; both [E].

        Only where the clip's own sound reaches over the whole search, so that no edge gives the answer away.
        """
        offsets, owners = [], []
        for clip, audio in enumerate(self.audio):
            begin, end = max(self.first[clip], VSHIFT), min(self.last[clip] + 1, len(audio) - VSHIFT) - EXCERPT
            for start in range(begin, end + 1, EXCERPT_STEP):
                shown = video[clip, start:start + EXCERPT]
                curve = [np.linalg.norm(shown - audio[start + shift:start + shift + EXCERPT], axis=1).mean()
                         for shift in range(-VSHIFT, VSHIFT + 1)]
                offsets.append(VSHIFT - int(np.argmin(curve)))
                owners.append(clip)
        return np.array(offsets), np.array(owners)

    def confidence(self, video: np.ndarray) -> np.ndarray:
        """Median minus minimum of the distance curve of whole clips, [N], as `thjax evaluate` takes it."""
        pairs = zip(video, self.audio, strict=True)
        return np.array([sync(distance_curve(*pair, edges="inside")).confidence for pair in pairs])


def table(ours: Examined, shuffled: Examined | None) -> dict[str, dict[str, dict]]:
    """Figures of an expert and of its controls.

    Args:
        ours: the expert.
        shuffled: the same recipe, trained on other clips' sound; None leaves its row out.

    Returns:
        {row: {metric: {"mean", "ci95", "n"}}}:
        `ours`: loss and pairwise_accuracy inside speech, offset_within_one and offset_exact of 1.2 s excerpts (shares
            of them), confidence of whole clips.
        `shuffled_training`: must sit at ln 2 and one half, on clips of its own kind.
        `other_speaker_audio`: our expert, another speaker's sound: one half; its loss is not asked to be anything.
        `half_pixel_jitter`: our expert, a shaking crop; confidence_lost is a share of its confidence.
        `still_frames`: our expert, one frame repeated: offsets at chance, 3 / 31 and 1 / 31.
    """
    rows = {"ours": _agreement_row(ours, ours.agreement(ours.video)) | _offset_row(ours, ours.video)}
    steady, shaken = ours.confidence(ours.video), ours.confidence(ours.shaken)
    speakers = ours.clips.speaker
    rows["ours"]["confidence"] = bootstrap(steady, speakers).as_json()
    if shuffled is not None:
        rows["shuffled_training"] = _agreement_row(shuffled, shuffled.agreement_with_others())
    rows["other_speaker_audio"] = _agreement_row(ours, ours.agreement_with_others())
    rows["half_pixel_jitter"] = _agreement_row(ours, ours.agreement(ours.shaken)) | _offset_row(ours, ours.shaken) | {
        "confidence": bootstrap(shaken, speakers).as_json(),
        "confidence_lost": bootstrap_ratio(steady - shaken, steady, speakers).as_json()}
    rows["still_frames"] = _offset_row(ours, ours.still)
    return rows


def _agreement_row(examined: Examined, found: dict[str, np.ndarray]) -> dict[str, dict]:
    return {metric: bootstrap(values, examined.clips.speaker).as_json() for metric, values in found.items()}


def _offset_row(examined: Examined, video: np.ndarray) -> dict[str, dict]:
    offsets, owners = examined.excerpt_offsets(video)
    owner = examined.clips.speaker[owners]
    return {"offset_within_one": bootstrap(np.abs(offsets) <= 1, owner).as_json(),
            "offset_exact": bootstrap(offsets == 0, owner).as_json()}


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """[{metric: value}] -> {metric: [n]}."""
    return {metric: np.array([row[metric] for row in rows]) for metric in rows[0]}
