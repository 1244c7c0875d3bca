"""How a head moves while it speaks: mouth, blinks, brows, gaze and pose. One audio has many plausible motions.

Head motion is a part that follows prosody, by gains that have names, plus a part that no audio tells: a critically
damped second-order process with innovations. Smoothed noise would do for the eye, but its next value follows from the
last six to a thousandth, far below what any model resolves, and a sampler trained on it drifts.
"""

import dataclasses

import numpy as np
import scipy.ndimage
import scipy.signal

from data_pipelines import schema
from data_pipelines.synthetic import prosody, visemes
from data_pipelines.synthetic.expression import EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.presets import Preset
from data_pipelines.synthetic.prosody import Prosody
from data_pipelines.synthetic.speech import Speech

NOD_PER_LOG_ENERGY = 0.035
"""Rx, rad per standard deviation of smoothed log energy: loud syllables nod down."""
LOWER_PER_LOG_ENERGY = 1.5
"""Ty, mm per standard deviation of smoothed log energy."""
TILT_PER_LOG_F0 = 0.020
"""Rz, rad per standard deviation of smoothed log F0."""
PROSODY_LAG_FRAMES = 2
"""Head motion follows the voice by 80 ms."""
PROSODY_SMOOTHING_FRAMES = 3.0
"""Standard deviation of the smoothing of prosody, 120 ms."""

SWAY_SECONDS = 0.3
"""Time constant of the critically damped process; its innovations are 0.085 standard deviations a frame."""
ARTICULATION_SWAY = 0.05
"""Standard deviation of the slow change of articulation within a clip."""
ARTICULATION_SECONDS = 0.6

BLINK_REST_SECONDS = 0.5
"""Shortest time from one blink to the next."""
BLINK_GAMMA = (2.0, 1.5)
"""Shape and scale in seconds of the rest of the interval: 3.5 s from blink to blink, 17 blinks a minute."""
BLINK_CLOSING_SECONDS, BLINK_CLOSED_SECONDS, BLINK_OPENING_SECONDS = 0.07, 0.03, 0.12
OPEN_EYED_SECONDS = 1 / schema.FPS
"""No blink at the clip's start: its first frame is the still that shows who speaks."""

BROW_GAINS = {"AU01": 0.28, "AU02": 0.24, "AU05": 0.10}
"""Raised brows and upper lids, per standard deviation of one process; only its positive half shows."""
FROWN_GAINS = {"AU04": 0.22, "AU07": 0.12}
SMILE_GAINS = {"AU12": 0.12, "AU06": 0.08}
GAZE_LIMIT = 0.35
"""Rad; eyes turn no further in the head."""
GAZE_TREMOR = 0.004
"""Rad, standard deviation from frame to frame."""
FIXATION_GAMMA = (2.0, 0.6)
"""Shape and scale in seconds of the time between two movements of the eyes."""
LOOKING_AWAY = 0.35
"""Share of fixations that leave the camera."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """What the renderer needs.

    Attributes:
        expression: [T, 20] in 0..1, order `EXPRESSION_NAMES`.
        pose: [T, 6] mm and rad from the scene's rest place, order `schema.POSE`.
        gaze: [T, 2] rad in the head's frame, to the image's right and down.
    """

    expression: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray


def perform(speech: Speech, style: Preset, rng: np.random.Generator, articulation: float = 1.0) -> Motion:
    """One plausible motion of a head that says `speech`; another `rng` gives another. No pixel is involved.

    Args:
        speech: what is said.
        style: amplitudes, see `presets.PRESETS`.
        rng: everything that the audio does not decide.
        articulation: the speaker's habit, scales the mouth's shapes but not its closures.
    """
    lips, head, brows, eyes, lids = rng.spawn(5)
    frames = speech.frames
    gain = articulation * (1 + ARTICULATION_SWAY * damped_process(lips, frames, 1, ARTICULATION_SECONDS)[:, 0])
    expression = visemes.mouth(speech.phonemes, frames, gain) + style.brows * brow_motion(brows, frames)
    expression[:, EXPRESSION_INDEX["AU45"]] = blinks(lids, frames)
    pose = head_pose(prosody.analyse(speech.audio), style, head)
    return Motion(expression=np.clip(expression, 0, 1), pose=pose, gaze=gaze_motion(eyes, pose, style))


def damped_process(rng: np.random.Generator, frames: int, channels: int, seconds: float = SWAY_SECONDS) -> np.ndarray:
    """Stationary critically damped AR(2) noise, zero mean and unit variance.

    x[t] = 2 a x[t-1] - a^2 x[t-2] + s e[t], with a = exp(-dt / seconds), e standard normal, and
    s^2 = (1 - a^2)^3 / (1 + a^2).

    Args:
        rng: draws the start and the innovations e.
        frames: T.
        channels: C independent processes.
        seconds: time constant.

    Returns:
        [T, C].
    """
    decay = np.exp(-1 / (schema.FPS * seconds))
    innovation = np.sqrt((1 - decay**2) ** 3 / (1 + decay**2))
    neighbours = 2 * decay / (1 + decay**2)  # correlation of one frame and the next
    drawn = rng.standard_normal((frames + 2, channels))
    before = drawn[0]
    now = neighbours * before + np.sqrt(1 - neighbours**2) * drawn[1]
    state = np.stack([2 * decay * now - decay**2 * before, -(decay**2) * now])
    return scipy.signal.lfilter([innovation], [1, -2 * decay, decay**2], drawn[2:], axis=0, zi=state)[0]


def head_pose(voice: Prosody, style: Preset, rng: np.random.Generator) -> np.ndarray:
    """[T, 6] mm and rad: posture of the clip + what prosody asks for + what nobody asked for."""
    frames = len(voice.log_energy)
    posture = rng.standard_normal(len(schema.POSE)) * style.posture
    sway = damped_process(rng, frames, len(schema.POSE)) * style.sway
    return posture + sway + style.prosody_gain * prosodic_pose(voice)


def prosodic_pose(voice: Prosody) -> np.ndarray:
    """[T, 6] mm and rad: the part of the pose that follows the voice at `prosody_gain` 1."""
    energy, melody = _follow(voice.log_energy), _follow(voice.log_f0)
    columns = {"Rx": NOD_PER_LOG_ENERGY * energy, "Ty": LOWER_PER_LOG_ENERGY * energy, "Rz": TILT_PER_LOG_F0 * melody}
    silent = np.zeros(len(energy))
    return np.stack([columns.get(name, silent) for name in schema.POSE], axis=1)


def blinks(rng: np.random.Generator, frames: int) -> np.ndarray:
    """AU45 [T]: blinks as a stationary renewal process, each closing in 70 ms and opening in 120 ms."""
    length = frames / schema.FPS
    count = 16 + int(length)  # more than can fit: the shortest interval is taken to be rare
    intervals = BLINK_REST_SECONDS + rng.gamma(*BLINK_GAMMA, size=count)
    # started long before the clip, so that its first blink falls anywhere
    starts = np.cumsum(intervals) - rng.uniform(5, 15)
    duration = BLINK_CLOSING_SECONDS + BLINK_CLOSED_SECONDS + BLINK_OPENING_SECONDS
    starts = starts[(starts > OPEN_EYED_SECONDS) | (starts < -duration)]
    times = visemes.frame_times(frames)
    latest = np.concatenate([[-np.inf], starts])[np.searchsorted(starts, times)]  # blinks never overlap
    since = times - latest
    closing = np.clip(since / BLINK_CLOSING_SECONDS, 0, 1)
    opening = np.clip((duration - since) / BLINK_OPENING_SECONDS, 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(closing, opening))


def brow_motion(rng: np.random.Generator, frames: int) -> np.ndarray:
    """[T, 20]: brows, frown and smile come and go by processes of their own, independent of the audio."""
    moods = np.maximum(damped_process(rng, frames, 3), 0)
    expression = np.zeros((frames, len(EXPRESSION_NAMES)))
    for column, gains in enumerate((BROW_GAINS, FROWN_GAINS, SMILE_GAINS)):
        for name, gain in gains.items():
            expression[:, EXPRESSION_INDEX[name]] = gain * moods[:, column]
    return expression


def gaze_motion(rng: np.random.Generator, pose: np.ndarray, style: Preset) -> np.ndarray:
    """[T, 2] rad: fixations with sudden moves between them, mostly into the camera; eyes undo the head's turn.

    Args:
        rng: draws fixations and tremor.
        pose: [T, 6], order `schema.POSE`.
        style: how far the eyes stray.
    """
    times = visemes.frame_times(len(pose))
    count = 8 + 3 * int(times[-1])
    moves = np.cumsum(rng.gamma(*FIXATION_GAMMA, size=count)) - FIXATION_GAMMA[1]
    away = rng.random(count + 1) < LOOKING_AWAY
    targets = rng.standard_normal((count + 1, 2)) * style.gaze * away[:, None]
    world = targets[np.searchsorted(moves, times)] + GAZE_TREMOR * rng.standard_normal((len(pose), 2))
    nod, turn = (pose[:, schema.POSE.index(name)] for name in ("Rx", "Ry"))
    return np.clip(world + np.stack([turn, -nod], axis=1), -GAZE_LIMIT, GAZE_LIMIT)


def _follow(curve: np.ndarray) -> np.ndarray:
    """Smoothed and delayed."""
    smooth = scipy.ndimage.gaussian_filter1d(curve, PROSODY_SMOOTHING_FRAMES, mode="nearest")
    return np.concatenate([np.repeat(smooth[:1], PROSODY_LAG_FRAMES), smooth])[: len(curve)]
