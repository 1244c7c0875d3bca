"""Examination of the judge of faces: whole frames of three sizes, canonical crops, stills, pictures without a face."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data_pipelines.crops import STABLE_LANDMARKS, canonical_template, similarity, transform_points, warp
from data_pipelines.schema import AU_INTENSITY
from data_pipelines.synthetic.expression import AU_SCALE, EXPRESSION_INDEX, EXPRESSION_NAMES
from data_pipelines.synthetic.scene import paint_background, sample_scene
from data_pipelines.synthetic.seeding import generator
from thjax.judge_training.face_material import Spoken, draw_spoken, faces_of
from thjax.judge_training.stills import draw_stills
from thjax.judges import face_alignment as alignment
from thjax.judges.face import OUTER_EYES, Track, lip_gap
from thjax.metrics.blinks import CLOSED_AU45, CLOSED_RATIO, eye_aspect_ratio, short_runs
from thjax.metrics.bootstrap import LEVEL, bootstrap, bootstrap_ratio
from thjax.metrics.closures import closures, lips_closed

SEED = 4
"""Of everything that is examined on."""
SPEAKERS, CLIPS = 40, 1
STILL_PEOPLE, STILLS_EACH = 100, 4
SIZES = (64, 96, 128)
CROPS = (64, 128)
FACELESS = 240
SPEECH_UNITS = ("AU20", "AU25", "AU26")
DRAWS = 2000
"""Bootstrap draws of clips for correlations."""

Measure = Callable[[np.ndarray], Track]
Row = dict[str, dict]


@dataclasses.dataclass(frozen=True)
class View:
    """Clips as a user gives them, with the truth; lists of arrays, one entry a clip.

    Attributes:
        frames: uint8 `[T, H, W, 3]`.
        landmarks: `[T, 68, 2]` pixels of `frames`.
        pose: `[T, 6]`; rotation as the picture shows it, translation of whole frames only.
        expression: `[T, 20]`.
        blink: `[T]`.
        speaker: `[C]`.
        whole: whether frames are whole ones.
        spoken: what was said; None for stills.
    """

    frames: list[np.ndarray]
    landmarks: list[np.ndarray]
    pose: list[np.ndarray]
    expression: list[np.ndarray]
    blink: list[np.ndarray]
    speaker: np.ndarray
    whole: bool
    spoken: Spoken | None


def views(split: str, folder: Path) -> dict[str, View]:
    """What is examined on, by name: `64`, `96`, `128` whole frames, `crop64` and `crop128` canonical, `stills`."""
    made = {}
    for size in SIZES:
        spoken = draw_spoken(SEED, split, SPEAKERS, CLIPS, size, 1, folder)
        made[str(size)] = View(*(list(getattr(spoken, name)) for name in
                                 ("frames", "landmarks", "pose", "expression", "blink")), spoken.speaker, True, spoken)
    made |= {f"crop{height}": cropped(made["128"], height) for height in CROPS}
    faces = faces_of(draw_stills(SEED, split, STILL_PEOPLE, STILLS_EACH, 128, folder))
    people = lambda part: list(part.reshape(STILL_PEOPLE, STILLS_EACH, *part.shape[1:]))
    made["stills"] = View(people(faces.frames), people(faces.landmarks), people(faces.pose), people(faces.expression),
                          people(faces.blink), np.arange(STILL_PEOPLE), True, None)
    return made


def cropped(view: View, height: int) -> View:
    """Canonical crops, 4:3, by the exact landmarks."""
    width = height * 3 // 4
    maps = [similarity(points[:, STABLE_LANDMARKS], canonical_template(height, width)) for points in view.landmarks]
    pose = [np.concatenate([one[:, :3], alignment.turned(one[:, 3:], alignment.angle_of(affine))], axis=1)
            for one, affine in zip(view.pose, maps, strict=True)]
    return dataclasses.replace(
        view, pose=pose, whole=False,
        frames=[warp(one, affine, (height, width)) for one, affine in zip(view.frames, maps, strict=True)],
        landmarks=[transform_points(one, affine) for one, affine in zip(view.landmarks, maps, strict=True)])


def faceless(split: str) -> np.ndarray:
    """Backgrounds of scenes without a head, uint8 `[N, 96, 96, 3]`; the judge was trained on none of them."""
    made = []
    for number in range(FACELESS):
        scene = sample_scene(generator(SEED, "faceless", split, number))
        grain = generator(SEED, "faceless grain", split, number).normal(0, scene.noise, (96, 96, 3))
        made.append(np.clip(paint_background(scene, 96) ** (1 / 2.2) + grain, 0, 1))
    return np.rint(255 * np.stack(made)).astype(np.uint8)


def mean_face(spoken: Spoken) -> Measure:
    """The control that answers with the training clips' mean, whatever it is shown."""
    size = spoken.frames.shape[2]
    view = View(*(list(getattr(spoken, name)) for name in ("frames", "landmarks", "pose", "expression", "blink")),
                spoken.speaker, True, spoken)
    exact = [similarity(one[:, STABLE_LANDMARKS], canonical_template(64, 48)) for one in view.landmarks]
    crop = np.concatenate([transform_points(one, affine) for one, affine in zip(view.landmarks, exact, strict=True)])
    turns = np.concatenate([alignment.turned(one[:, 3:], alignment.angle_of(affine))
                            for one, affine in zip(view.pose, exact, strict=True)])
    whole_pose = np.concatenate(view.pose).mean(0)
    answers = {True: (np.concatenate(view.landmarks).mean(0) / size, whole_pose),
               False: (crop.mean(0) / 64, np.concatenate([whole_pose[:3], turns.mean(0)]))}
    expression, blink = np.concatenate(view.expression).mean(0), np.concatenate(view.blink).mean()

    def measure(frames: np.ndarray) -> Track:
        height, width = frames.shape[1:3]
        share, pose = answers[height == width]
        repeat = lambda part: np.broadcast_to(np.float32(part), (len(frames), *np.shape(part)))
        landmarks, sure = repeat(share * height), np.ones(len(frames))
        return Track(landmarks, repeat(AU_SCALE * expression[:17]), repeat(pose), repeat(expression), repeat(blink),
                     lip_gap(landmarks), sure > 0, sure)

    return measure


def row(measure: Measure, exam: dict[str, View], split: str) -> tuple[Row, dict[str, list[Track]]]:
    """Every figure of one judge, and what it read."""
    figures, tracks = {}, {}
    for name, view in exam.items():
        tracks[name] = [measure(frames) for frames in view.frames]
        figures |= {f"{metric}_{name}": value for metric, value in figures_of(tracks[name], view).items()}
    false = measure(faceless(split)).found
    return figures | {"found_faceless": _table(bootstrap(false.astype(float)))}, tracks


def figures_of(tracks: list[Track], view: View) -> Row:
    """Figures of one view: errors of landmarks in % of the distance of the outer eye corners, of angles in degrees, of
    translation in mm, Pearson's r over all frames pooled; intervals over clips."""
    figures, pairs = {}, list(zip(tracks, view.landmarks, strict=True))
    for name, points in (("landmarks", slice(0, 68)), ("mouth_landmarks", slice(48, 68))):
        errors = [_point_errors(track.landmarks, truth)[:, points].mean() for track, truth in pairs]
        figures[name] = _table(bootstrap(100 * np.array(errors)))
    poses = list(zip(tracks, view.pose, strict=True))
    for column, name in enumerate(("pitch", "yaw", "roll"), 3):
        errors = [np.abs(track.pose[:, column] - truth[:, column]).mean() for track, truth in poses]
        figures[f"{name}_degrees"] = _table(bootstrap(np.degrees(errors)))
    for column, name in enumerate(("tx", "ty", "tz") if view.whole else ()):
        errors = [np.abs(track.pose[:, column] - truth[:, column]).mean() for track, truth in poses]
        figures[f"{name}_mm"] = _table(bootstrap(np.array(errors)))
    for column, name in enumerate(EXPRESSION_NAMES):
        figures[f"r_{name.lower()}"] = pooled_r([truth[:, column] for truth in view.expression],
                                                [track.expression[:, column] for track in tracks])
    figures["r_lip_gap"] = pooled_r([lip_gap(truth) for truth in view.landmarks], [track.lip_gap for track in tracks])
    figures["found"] = _table(bootstrap(np.array([track.found.mean() for track in tracks])))
    figures |= blink_f1([track.blink > 0.5 for track in tracks], view.blink)
    return figures | (_blinks_by_rules(tracks, view) | _closures(tracks, view) if view.spoken else {})


def _point_errors(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`[T, 68]` distances in units of the true distance of the outer eye corners."""
    eyes = np.linalg.norm(truth[:, OUTER_EYES[0]] - truth[:, OUTER_EYES[1]], axis=-1)
    return np.linalg.norm(points - truth, axis=-1) / eyes[:, None]


def blink_f1(found: list[np.ndarray], truth: list[np.ndarray]) -> Row:
    """F1 of frames with closed lids, pooled; none where no lids close."""
    right = np.array([(a & (b > 0)).sum() for a, b in zip(found, truth, strict=True)], float)
    either = np.array([a.sum() + (b > 0).sum() for a, b in zip(found, truth, strict=True)], float)
    return {"blink_f1": _table(bootstrap_ratio(2 * right, either))} if either.any() else {}


def _blinks_by_rules(tracks: list[Track], view: View) -> Row:
    """F1 of whole blinks by the rules that rates of blinks go by, pooled: found where a run of either touches one of
    the other."""
    rules = {"ear": [eye_aspect_ratio(track.landmarks) < CLOSED_RATIO for track in tracks],
             "au45": [track.au[:, AU_INTENSITY.index("AU45")] > CLOSED_AU45 for track in tracks]}
    made = {}
    for name, closed in rules.items():
        runs = [(short_runs(a), short_runs(b > 0)) for a, b in zip(closed, view.blink, strict=True)]
        touching = np.array([_touched(found, truth) + _touched(truth, found) for found, truth in runs], float)
        either = np.array([len(found) + len(truth) for found, truth in runs], float)
        made[f"blinks_by_{name}_f1"] = _table(bootstrap_ratio(touching, either))
    return made


def _touched(runs: np.ndarray, others: np.ndarray) -> int:
    """How many of the runs [K, 2] share a frame with one of the others [L, 2]."""
    return int(((runs[:, None, 0] < others[None, :, 1]) & (others[None, :, 0] < runs[:, None, 1])).any(1).sum())


def _closures(tracks: list[Track], view: View) -> Row:
    spoken, found = view.spoken, []
    for clip, track in enumerate(tracks):
        times = spoken.bilabials[clip]
        found.append(closures(times[np.isfinite(times).all(1)], lips_closed(track.lip_gap),
                              lips_closed(lip_gap(view.landmarks[clip])), spoken.speech[clip]))
    made = {}
    for name in ("recall", "precision"):
        above, below = np.array([[(part := getattr(one, name)).above, part.below] for one in found], float).T
        if below.any():
            made[f"closure_{name}"] = _table(bootstrap_ratio(above, below))
    return made


def error_correlation(first: list[Track], second: list[Track], view: View) -> Row:
    """Pearson's r between the signed errors of two judges on the same frames, pooled over clips.

    Of all landmarks, of the mouth's, of all landmarks less each clip's mean error (what is wrong about the motion, not
    about the person), of all units of expression, and of the three that speech moves most.
    """
    names = ("landmarks", "mouth_landmarks", "landmark_motion", "expression", *(unit.lower() for unit in SPEECH_UNITS))
    pairs = {name: ([], []) for name in names}
    for side, tracks in enumerate((first, second)):
        for track, points, units in zip(tracks, view.landmarks, view.expression, strict=True):
            eyes = np.linalg.norm(points[:, OUTER_EYES[0]] - points[:, OUTER_EYES[1]], axis=-1)
            wrong, wrong_units = (track.landmarks - points) / eyes[:, None, None], track.expression - units
            found = (wrong, wrong[:, 48:], wrong - wrong.mean(0), wrong_units,
                     *(wrong_units[:, EXPRESSION_INDEX[unit]] for unit in SPEECH_UNITS))
            for name, part in zip(names, found, strict=True):
                pairs[name][side].append(part.ravel())
    return {f"error_correlation_{name}": pooled_r(*pair) for name, pair in pairs.items()}


def pooled_r(first: list[np.ndarray], second: list[np.ndarray]) -> dict:
    """Pearson's r over the values of all clips pooled; 0 where one side does not move. Interval: bootstrap of clips."""
    moments = np.array([[len(a), a.sum(), b.sum(), (a * a).sum(), (b * b).sum(), (a * b).sum()]
                        for a, b in ((np.float64(a), np.float64(b)) for a, b in zip(first, second, strict=True))])
    picks = np.random.default_rng(0).integers(0, len(moments), (DRAWS, len(moments)))
    drawn = _r(moments[picks].sum(1))
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(drawn, (tail, 100 - tail))
    return {"mean": float(_r(moments.sum(0))), "ci95": [float(low), float(high)], "n": len(moments)}


def _r(moments: np.ndarray) -> np.ndarray:
    """Of sums of 1, a, b, a a, b b, a b in the last axis."""
    count, a, b, aa, bb, ab = np.moveaxis(moments, -1, 0)
    aa, bb, ab = aa / count - (a / count) ** 2, bb / count - (b / count) ** 2, ab / count - a * b / count**2
    scale = np.sqrt(np.maximum(aa, 0) * np.maximum(bb, 0))
    return np.where(scale > 1e-9, ab / np.maximum(scale, 1e-9), 0.0)


def _table(interval) -> dict:
    return {"mean": interval.mean, "ci95": list(interval.ci95), "n": interval.n}
