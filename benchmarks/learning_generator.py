"""The learning table of a generator: held-out heads drawn from their clip's first frame, by their true motion."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator

import numpy as np

from data_pipelines import crops
from data_pipelines.loader import Clips, clips
from data_pipelines.schema import AU_INTENSITY
from data_pipelines.synthetic.corpus import make_identity
from data_pipelines.synthetic.frame_renderer import SUPERSAMPLING, FrameRenderer
from data_pipelines.synthetic.scene import neutral_scene
from data_pipelines.synthetic.settings import Corpus
from thjax.checkpoint import load_run
from thjax.judges.face import Judge
from thjax.judges.face_alignment import place_in_picture
from thjax.metrics.bootstrap import bootstrap
from thjax.metrics.image import psnr
from thjax.metrics.mouth import correlation, mouth_mask
from thjax.systems.face_animator import FaceAnimator
from thjax.systems.motion_sampler import CHANNELS

STRIDE = 5
"""Frames from one drawn frame to the next: fifteen of a clip of three seconds."""
UNITS = slice(0, len(AU_INTENSITY))
EXPRESSION = slice(22, 42)
"""Of the corpus's coefficients."""
CONTROLS = ("copy_first_frame", "similarity", "source_units")
BARS = {"head_psnr_vs_copy_first_frame": 2.0, "head_psnr_vs_similarity": 0.5, "mouth_psnr_vs_source_units": 1.0}
"""Least mean difference, dB."""
READABLE = 0.8
"""r of the judge of faces on true frames, from which a channel is asked for; and the share of it that is asked for."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """A clip, its frames after the first.

    Attributes:
        speaker: its name.
        source: [H, W, 3] uint8, the first frame; z [23] its labels.
        truth: [T, H, W, 3] uint8; vectors [T, 23] their labels.
        head: [T, H, W] bool, where the head is seen.
        mouth: [T, H, W] bool, the mouth crop.
    """

    speaker: str
    source: np.ndarray
    z: np.ndarray
    truth: np.ndarray
    vectors: np.ndarray
    head: np.ndarray
    mouth: np.ndarray


def score(runs: dict[int, pathlib.Path], corpus: pathlib.Path, split: str, command: str) -> dict:
    """Scores the runs of all seeds; rows are the mean over seeds, and the system of every seed."""
    loaded = {seed: load_run(run) for seed, run in runs.items()}
    spec = dataclasses.replace(
        next(iter(loaded.values())).system.stages[-1].data, stride=STRIDE,
        fields=("frames", "au", "pose", "landmarks", "coefficients"),
    )
    whole = clips(corpus, split, spec)
    shown, judge = list(shown_clips(whole)), Judge.load()
    speakers = np.array([clip.speaker for clip in shown])
    true_reading = reading(judge, [clip.truth for clip in shown])
    per_seed = {}
    for seed, run in loaded.items():
        animator = run.system.sampler(run.nets, run.stats)  # once: it compiles
        drawn = [draw(animator, clip) for clip in shown]
        per_seed[seed] = (measure(shown, drawn), reading(judge, [rows["ours"] for rows in drawn]))
    mean = {row: {name: np.mean([rows[row][name] for rows, _ in per_seed.values()], axis=0) for name in metrics}
            for row, metrics in next(iter(per_seed.values()))[0].items()}
    rows = mean | {f"ours_seed_{seed}": values["ours"] for seed, (values, _) in per_seed.items()}
    vectors = np.concatenate([clip.vectors for clip in shown])
    return {
        "manifest_hash": whole.manifest.hash,
        "rows": {row: {name: bootstrap(values, speakers).as_json() for name, values in metrics.items()}
                 for row, metrics in rows.items()},
        "paired": gains(mean, speakers),
        "paired_per_seed": [gains(values, speakers) for values, _ in per_seed.values()],
        "read_back": [read_back(vectors, true_reading, seen) for _, seen in per_seed.values()],
        "bars": BARS | {"read_back_share": READABLE},
    }


def shown_clips(whole: Clips) -> Iterator[Shown]:
    """The clips of an embedded corpus with the place of the head in every frame."""
    fields = {field.name for field in dataclasses.fields(Corpus)}
    settings = json.loads(whole.manifest.content["source"])
    corpus = Corpus(**{name: value for name, value in settings.items() if name in fields})
    for number, key in enumerate(whole.keys):
        clip = whole[number]
        there = clip["valid"] > 0
        vectors = np.concatenate([clip["au"], clip["pose"]], axis=1)[there]
        frames, landmarks = clip["frames"][there], clip["landmarks"][there]
        renderer = FrameRenderer(make_identity(corpus, corpus.places[key]), neutral_scene(), corpus.size)
        expressions, poses = clip["coefficients"][there][:, EXPRESSION], vectors[:, len(AU_INTENSITY):]
        head = np.stack([head_mask(renderer, *seen) for seen in zip(expressions[1:], poses[1:], strict=True)])
        mouth = mouth_mask(landmarks[1:], *frames.shape[1:3])
        yield Shown(whole.speakers[number], frames[0], vectors[0], frames[1:], vectors[1:], head, mouth)


def head_mask(renderer: FrameRenderer, expression: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """[H, W] bool: pixels of which the head, hair included and shoulders left out, covers half or more."""
    renderer.place(expression, pose.astype(np.float64))
    renderer.visible()
    follows = renderer.mesh.follows_head[renderer.mesh.triangles].min(axis=1) > 0.5
    covered = (renderer.ids >= 0) & follows[np.maximum(renderer.ids, 0)]
    size = renderer.size
    return covered.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING).mean((1, 3)) >= 0.5


def draw(animator: FaceAnimator, clip: Shown) -> dict[str, np.ndarray]:
    """Frames [T, H, W, 3] uint8 of every row."""
    source, rest = animator.encode(clip.source, clip.z), clip.z[17:20]
    still = clip.vectors.copy()
    still[:, UNITS] = clip.z[UNITS]
    return {
        "ours": animator.frames(source, clip.vectors, rest),
        "copy_first_frame": np.broadcast_to(clip.source, clip.truth.shape),
        "similarity": moved_flat(clip),
        "source_units": animator.frames(source, still, rest),
    }


def moved_flat(clip: Shown) -> np.ndarray:
    """The first frame turned, scaled and shifted in the plane as the true pose was: [T, H, W, 3] uint8."""
    height, width = clip.source.shape[:2]
    pose = np.concatenate([clip.z[None], clip.vectors])[:, len(AU_INTENSITY):].astype(np.float64)
    origin, scale = place_in_picture(pose[:, :3], height, width)
    angle, zoom = pose[1:, 5] - pose[0, 5], scale[1:] / scale[0]
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    shift = origin[1:] - linear @ origin[0]
    affine = np.concatenate([linear, shift[..., None]], axis=2).astype(np.float32)
    return crops.warp(np.broadcast_to(clip.source, clip.truth.shape), affine, (height, width))


def measure(shown: list[Shown], drawn: list[dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """{row: {metric: [clips]}}: PSNR inside the true head and inside the true mouth crop, dB."""
    def of(row: str, region: str) -> np.ndarray:
        return np.array([psnr(clip.truth, rows[row], getattr(clip, region))
                         for clip, rows in zip(shown, drawn, strict=True)])

    return {row: {f"{region}_psnr": of(row, region) for region in ("head", "mouth")} for row in ("ours", *CONTROLS)}


def gains(rows: dict[str, dict[str, np.ndarray]], speakers: np.ndarray) -> dict[str, dict]:
    """Mean differences of the system to its controls, as `BARS` names them."""
    found = {}
    for name in BARS:
        metric, control = name.split("_vs_")
        found[name] = bootstrap(rows["ours"][metric] - rows[control][metric], speakers).as_json()
    return found


def reading(judge: Judge, films: list[np.ndarray]) -> np.ndarray:
    """[N, 23]: what the judge of faces reads off the frames of all films, one after the other."""
    tracks = [judge.measure(np.ascontiguousarray(film)) for film in films]
    return np.concatenate([np.concatenate([track.au, track.pose], axis=1) for track in tracks])


def read_back(driven: np.ndarray, true_reading: np.ndarray, our_reading: np.ndarray) -> dict:
    """Per channel the judge's r with the labels [N, 23], on true and on drawn frames.

    `share` is the mean of the second over the first, over the channels that the judge reads from true frames with r of
    `READABLE` or more; the others are listed.
    """
    found = {name: {"true": correlation(true_reading[:, index], driven[:, index]),
                    "ours": correlation(our_reading[:, index], driven[:, index])}
             for index, name in enumerate(CHANNELS)}
    readable = [name for name, r in found.items() if r["true"] >= READABLE]
    shares = {name: found[name]["ours"] / found[name]["true"] for name in readable}
    return {"share": float(np.mean(list(shares.values()))) if shares else None,
            "below": sorted(name for name, share in shares.items() if share < READABLE),
            "not_readable": [name for name in CHANNELS if name not in readable], "by_channel": found}
