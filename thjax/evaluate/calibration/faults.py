"""Faults of known size. Each takes a clip from the truth (dose 0) to as wrong as it gets (its last dose)."""

import dataclasses
from collections.abc import Callable

import numpy as np
import scipy.ndimage
import simplejpeg

from data_pipelines import schema
from data_pipelines.synthetic.identity import Identity
from thjax.evaluate.calibration.performances import CLIPS_EACH, LIDS, LIPS, Performance
from thjax.metrics.shapes import expect_shape

SHARES = tuple(step / 8 for step in range(1, 9))
MOST_SHARES = tuple(0.7 * share for share in SHARES)
"""Of faults in the lips' timing. Past .7 sync has little left to lose and its rank is lost: confidence is near its
floor, and lips that never move have a smaller `lse_d` than lips that stop after an eighth of the speech."""


@dataclasses.dataclass(frozen=True)
class Take:
    """What a generator would have delivered.

    Attributes:
        frames: uint8 `[T, H, W, 3]`.
        landmark_noise: float32 `[T, 68, 2]` pixels that a shaking tracker adds to what it finds, or None.
    """

    frames: np.ndarray
    landmark_noise: np.ndarray | None = None


Plant = Callable[[Performance, np.ndarray, Performance, float, np.random.Generator], Take]
"""(clip, its frames [T, H, W, 3], another speaker's clip, dose, rng) -> the faulty take."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault and its doses.

    Attributes:
        meaning: of the dose, with units.
        doses: rising; at least 8.
        plant: makes the faulty take.
    """

    meaning: str
    doses: tuple[float, ...]
    plant: Plant


def _pixels(change: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]) -> Plant:
    """A fault of the finished frames."""
    def plant(clip, frames, other, dose, rng):
        return Take(np.clip(np.rint(change(frames, dose, rng)), 0, 255).astype(np.uint8))

    return plant


def _head(change: Callable[[Performance, Performance, float], Performance]) -> Plant:
    """A fault of the head, rendered."""
    def plant(clip, frames, other, dose, rng):
        return Take(change(clip, other, dose).render().frames)

    return plant


def _blur(frames, sigma, rng):
    return scipy.ndimage.gaussian_filter(frames.astype(np.float32), (0, sigma, sigma, 0), mode="nearest")


def _noise(frames, deviation, rng):
    return frames + rng.normal(0, deviation, frames.shape)


def _brightness(frames, share, rng):
    return frames * (1 - share)


def _jpeg(frames, coarseness, rng):
    quality = round(100 - coarseness)
    encoded = (simplejpeg.encode_jpeg(np.ascontiguousarray(f), quality=quality, colorsubsampling="420") for f in frames)
    return np.stack([simplejpeg.decode_jpeg(data) for data in encoded])


def _landmark_jitter(clip, frames, other, dose, rng):
    return Take(frames, rng.normal(0, dose, (len(frames), schema.LANDMARKS, 2)).astype(np.float32))


def delayed(frames: np.ndarray, by: int) -> np.ndarray:
    """The video `by` frames late (negative: early); its first or last frame fills the gap."""
    expect_shape("frames", frames, ("T", "H", "W", 3))
    return frames[np.clip(np.arange(len(frames)) - by, 0, len(frames) - 1)]


def _offset(clip, frames, other, dose, rng):
    # Half of the clips late, half early.
    return Take(delayed(frames, round(dose) if clip.place.clip % 2 else -round(dose)))


def _tail(clip: Performance, share: float) -> np.ndarray:
    """Bool `[T]`: the last share of the speech, and what follows it."""
    spoken = np.flatnonzero(clip.speech)
    first = spoken[-1] + 1 - round(share * len(spoken))
    return np.arange(clip.said.frames) >= first


def _frozen_mouth(clip, other, share):
    tail, expression = _tail(clip, share), clip.motion.expression.copy()
    held = max(int(np.argmax(tail)) - 1, 0)
    expression[np.ix_(tail, LIPS)] = expression[held, LIPS]
    return clip.moving(expression=expression)


def _damped_mouth(clip, other, share):
    expression = clip.motion.expression.copy()
    mean = expression[clip.speech][:, LIPS].mean(axis=0)
    expression[:, LIPS] += share * (mean - expression[:, LIPS])
    return clip.moving(expression=expression)


def _shuffled_audio(clip, other, share):
    tail, expression = _tail(clip, share), clip.motion.expression.copy()
    expression[np.ix_(tail, LIPS)] = other.motion.expression[np.ix_(tail, LIPS)]
    return clip.moving(expression=expression)


def _removed_blinks(clip, other, share):
    # A clip of three seconds has one blink or two, so a speaker's clips lose theirs one after the other.
    expression = clip.motion.expression.copy()
    if share * CLIPS_EACH >= clip.place.clip % CLIPS_EACH + 1:
        expression[:, LIDS] = 0
    return clip.moving(expression=expression)


def _damped_pose(clip, other, share):
    pose = clip.motion.pose
    return clip.moving(pose=pose + share * (pose.mean(axis=0) - pose))


def _turned(clip, other, degrees):
    pose = clip.motion.pose.copy()
    # Away from the camera in the direction the head already leans, so that the dose adds up.
    columns = [schema.POSE.index("Rx"), schema.POSE.index("Ry")]
    lean = np.where(pose[:, columns].mean(axis=0) < 0, -1, 1)
    pose[:, columns] += lean * np.radians(degrees) * (0.5, 1.0)
    return clip.moving(pose=pose)


def _relit(clip, other, share):
    light = (1 - share) * clip.scene.light + share * other.scene.light
    return dataclasses.replace(clip, scene=dataclasses.replace(clip.scene, light=light.astype(np.float32)))


def _swapped_identity(clip, other, share):
    mine, theirs = clip.identity, other.identity
    blended = Identity(
        shape=((1 - share) * mine.shape + share * theirs.shape).astype(np.float32),
        albedo=((1 - share) * mine.albedo + share * theirs.albedo).astype(np.float32),
        hair=mine.hair if share < 0.5 else theirs.hair,
        detail_seed=mine.detail_seed if share < 0.5 else theirs.detail_seed,
        mirrored=mine.mirrored if share < 0.5 else theirs.mirrored,
    )
    return dataclasses.replace(clip, identity=blended)


FAULTS = {
    "blur": Fault("sigma in pixels of a 96 px frame", (0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0), _pixels(_blur)),
    "slight_blur": Fault("the same, up to sigma 1", (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), _pixels(_blur)),
    "noise": Fault("standard deviation in grey levels", (1, 2, 4, 8, 12, 16, 24, 32), _pixels(_noise)),
    "jpeg": Fault("100 minus the quality", (5, 20, 35, 50, 60, 70, 80, 90), _pixels(_jpeg)),
    "brightness": Fault("share of the light taken away", tuple(s / 2 for s in SHARES), _pixels(_brightness)),
    "landmark_jitter": Fault("standard deviation in pixels", (0.125, 0.25, 0.375, 0.5, 1.0, 1.5, 2.0, 3.0),
                             _landmark_jitter),
    "av_offset": Fault("frames between picture and sound, either way", tuple(range(1, 11)), _offset),
    "frozen_mouth": Fault("share of the speech, from its end, in which the lips stand still", MOST_SHARES,
                          _head(_frozen_mouth)),
    "damped_mouth": Fault("share of the lips' motion taken away", SHARES, _head(_damped_mouth)),
    "shuffled_audio": Fault("share of the speech, from its end, in which the lips say another clip", MOST_SHARES,
                            _head(_shuffled_audio)),
    "removed_blinks": Fault("share of a speaker's clips without their blinks", SHARES, _head(_removed_blinks)),
    "damped_pose": Fault("share of the head's motion taken away", SHARES, _head(_damped_pose)),
    "turned_head": Fault("degrees of yaw, and half of it of pitch; natural motion strays by 3",
                         tuple(0.75 * n for n in range(1, 9)), _head(_turned)),
    "changed_light": Fault("share of another clip's light", SHARES, _head(_relit)),
    "swapped_identity": Fault("share of another person", SHARES, _head(_swapped_identity)),
}
"""{name: Fault} in the order of the matrix."""
