"""Batches for the judge of faces: frames become views as users give them, views become what the network sees.

A view is a whole frame of 64, 96 or 128 pixels, zoomed, shifted and turned, or a canonical crop of 4:3. It goes through
the very code by which the judge looks, so that what is lost at a size is lost in training too.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import simplejpeg

from data_pipelines.crops import (
    MIRROR_POSE,
    STABLE_LANDMARKS,
    canonical_template,
    mirror_points,
    similarity,
    transform_points,
    warp,
)
from thjax.judge_training.face_material import Faces
from thjax.judges import face_alignment as alignment

WHOLE_SIZES = (64, 96, 128)
CROP_HEIGHTS = (64, 96, 128)
ZOOM, SHIFT, TURN = (0.85, 1.25), 0.08, np.radians(6)
"""Of whole frames: range of the zoom, largest shift in frames, standard deviation of the turn."""
CROP_ZOOM, CROP_SHIFT, CROP_TURN = 0.04, 0.02, np.radians(2)
"""Of canonical crops: standard deviations of log zoom, of the shift in heights, and of the turn."""
LOOK_ZOOM, LOOK_SHIFT, LOOK_TURN = 0.05, 0.04, np.radians(3)
"""Errors of alignment that the reader must bear: log zoom, shift in eye distances, turn; standard deviations."""
JPEG_SHARE, JPEG_QUALITY = 0.25, (25, 90)
NO_FACE_SHARE = 0.125
"""Rows that show no upright face: the network must learn what it cannot read."""
BLOCK = 16
"""Pixels of the blocks into which a face is cut and shuffled."""


@dataclasses.dataclass(frozen=True)
class Views:
    """Frames as a user gives them, with their labels.

    Attributes:
        frames: uint8 `[N, h, w, 3]`.
        landmarks: `[N, 68, 2]` pixels of `frames`.
        rotation: `[N, 3]` rad, as the picture shows it.
        origin: `[N, 2]` pixels, the head's frame.
        scale: `[N]` pixels a mm at the head.
        expression, blink, person: as in `Faces`.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    rotation: np.ndarray
    origin: np.ndarray
    scale: np.ndarray
    expression: np.ndarray
    blink: np.ndarray
    person: np.ndarray


def similarity_about(source: np.ndarray, target: np.ndarray, log_zoom: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Maps that zoom and turn about `source` `[N, 2]` and take it to `target` `[N, 2]`: `[N, 2, 3]`."""
    zoom = np.exp(log_zoom)
    cos, sin = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    return np.concatenate([linear, (target - (linear @ source[:, :, None])[..., 0])[:, :, None]], axis=2)


def whole_affine(rng: np.random.Generator, count: int, source: int, size: int) -> np.ndarray:
    """Random maps from square frames of `source` pixels to whole frames of `size` pixels, `[count, 2, 3]`."""
    log_zoom = rng.uniform(*np.log(ZOOM), count) + np.log(size / source)
    middle = np.full((count, 2), size / 2) + rng.uniform(-SHIFT, SHIFT, (count, 2)) * size
    return similarity_about(np.full((count, 2), source / 2), middle, log_zoom, rng.normal(0, TURN, count))


def crop_affine(rng: np.random.Generator, landmarks: np.ndarray, height: int) -> np.ndarray:
    """Random maps from frames to canonical crops of 4:3, `[N, 2, 3]`, as a tracker with errors would make them."""
    count, width = len(landmarks), height * 3 // 4
    exact = similarity(landmarks[:, STABLE_LANDMARKS], canonical_template(height, width)).astype(np.float64)
    middle = np.full((count, 2), (width / 2, height / 2))
    shake = similarity_about(middle, middle + rng.normal(0, CROP_SHIFT * height, (count, 2)),
                             rng.normal(0, CROP_ZOOM, count), rng.normal(0, CROP_TURN, count))
    return _after(shake, exact)


def _after(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Maps `[N, 2, 3]`: `first`, then `second`."""
    linear = second[:, :, :2] @ first[:, :, :2]
    return np.concatenate([linear, second[:, :, :2] @ first[:, :, 2:] + second[:, :, 2:]], axis=2)


def views(faces: Faces, rows: np.ndarray, affine: np.ndarray, size: tuple[int, int], mirrored: bool) -> Views:
    """Rows of the material through maps `[N, 2, 3]` of the (mirrored) frames, in frames of `size` (h, w)."""
    side = faces.frames.shape[1]
    landmarks, pose, to_view = faces.landmarks[rows], faces.pose[rows], affine
    if mirrored:
        landmarks, pose = mirror_points(landmarks, side), pose * MIRROR_POSE
        turn = np.broadcast_to(np.array([[-1.0, 0, side], [0, 1, 0]]), affine.shape)
        to_view = _after(affine, turn)
    origin, scale = alignment.place_in_picture(pose[:, :3], side, side)
    return Views(
        frames=warp(faces.frames[rows], to_view, size), landmarks=transform_points(landmarks, affine),
        rotation=alignment.turned(pose[:, 3:], alignment.angle_of(affine)),
        origin=alignment.points_through(origin, affine), scale=scale * alignment.scale_of(affine),
        expression=faces.expression[rows], blink=faces.blink[rows], person=faces.person[rows],
    )


def random_views(faces: Faces, rows: np.ndarray, rng: np.random.Generator, crop: bool) -> Views:
    """Views of one random size: whole frames, or canonical crops."""
    side, mirrored = faces.frames.shape[1], bool(rng.integers(2))
    if crop:
        height = int(rng.choice(CROP_HEIGHTS))
        landmarks = faces.landmarks[rows]
        landmarks = mirror_points(landmarks, side) if mirrored else landmarks
        made = views(faces, rows, crop_affine(rng, landmarks, height), (height, height * 3 // 4), mirrored)
    else:
        size = int(rng.choice(WHOLE_SIZES))
        made = views(faces, rows, whole_affine(rng, len(rows), side, size), (size, size), mirrored)
    for row in np.flatnonzero(rng.uniform(size=len(rows)) < JPEG_SHARE):
        quality = int(rng.integers(*JPEG_QUALITY))
        made.frames[row] = simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(made.frames[row], quality=quality))
    return made


def seen(made: Views, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """What finder and reader see of views, and what they should answer; the last rows show no upright face."""
    count = len(made.frames)
    lost = int(round(NO_FACE_SHARE * count))
    stable = made.landmarks[:, alignment.STABLE].astype(np.float64)
    middle, eyes = stable.mean(1), np.linalg.norm(stable[:, 1] - stable[:, 4], axis=-1)
    shift = rng.normal(0, LOOK_SHIFT, (count, 2))
    zoom, turn = rng.normal(0, LOOK_ZOOM, count), rng.normal(0, LOOK_TURN, count)
    is_face = np.arange(count) < count - lost
    astray = ~is_face & (rng.uniform(size=count) < 0.5)  # half of the lost rows look past the face, or turned
    shift[astray], zoom[astray], turn[astray] = _astray(rng, int(astray.sum()))
    shake = similarity_about(middle, middle + shift * eyes[:, None], zoom, turn)
    face, mouth, to_face = alignment.reader_views(made.frames, transform_points(stable, shake))
    for row in np.flatnonzero(~is_face & ~astray):
        _spoil(rng, made.frames[row], face[row], mouth[row])
    to_finder = alignment.finder_affine(*made.frames.shape[1:3])[None]
    return {
        "whole": alignment.finder_view(made.frames), "face_picture": face, "mouth_picture": mouth,
        "stable": transform_points(stable, np.repeat(to_finder, count, axis=0)),
        "landmarks": transform_points(made.landmarks, to_face),
        "expression": made.expression,
        "rotation": alignment.turned(made.rotation, alignment.angle_of(to_face)).astype(np.float32),
        "origin": alignment.points_through(made.origin, to_face),
        "log_scale": np.log(made.scale * alignment.scale_of(to_face)).astype(np.float32),
        "blink": made.blink.astype(np.float32), "is_face": is_face.astype(np.float32), "person": made.person,
    }


def _astray(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shifts in eye distances, log zooms and turns, one of which is far beyond what the reader bears."""
    direction = rng.uniform(0, 2 * np.pi, count)
    shift = np.stack([np.cos(direction), np.sin(direction)], -1) * rng.uniform(0.6, 1.6, count)[:, None]
    zoom = rng.choice([-1, 1], count) * rng.uniform(0.6, 1.2, count)
    turn = rng.choice([-1, 1], count) * rng.uniform(np.radians(60), np.pi, count)
    kind = rng.integers(3, size=count)
    return shift * (kind == 0)[:, None], zoom * (kind == 1), turn * (kind == 2)


def _spoil(rng: np.random.Generator, frame: np.ndarray, face: np.ndarray, mouth: np.ndarray) -> None:
    """Makes one row faceless in place: shuffled blocks, a large cover, a field of colours, or the frame's corner."""
    kind = rng.integers(4)
    cells, noise, share = int(rng.integers(1, 9)), rng.uniform(0, 8), rng.uniform(1 / 8, 1 / 4)
    middle, spread = rng.integers(30, 226, 3), rng.uniform(2, 120)
    colours = np.clip(rng.normal(middle, spread, (cells, cells, 3)), 0, 255).astype(np.uint8)
    corner = frame[: int(share * len(frame)), : int(share * len(frame))]
    if rng.integers(2):
        corner = frame[: len(corner), -corner.shape[1] :]
    for picture in (face, mouth):
        side = len(picture)
        if kind == 0:
            cut = picture.reshape(side // BLOCK, BLOCK, side // BLOCK, BLOCK, 3).transpose(0, 2, 1, 3, 4)
            cut = rng.permutation(cut.reshape(-1, BLOCK, BLOCK, 3)).reshape(cut.shape)
            picture[:] = cut.transpose(0, 2, 1, 3, 4).reshape(picture.shape)
        elif kind == 1:
            low, high = rng.integers(0, side // 6, 2), rng.integers(side - side // 6, side, 2)
            picture[low[0] : high[0], low[1] : high[1]] = rng.integers(0, 256, 3)
        else:
            patch = colours if kind == 2 else corner
            zoom = np.array([[[side / len(patch), 0, 0], [0, side / len(patch), 0]]], np.float32)
            grain = rng.normal(0, noise, picture.shape)
            picture[:] = np.clip(warp(patch[None], zoom, picture.shape[:2])[0] + grain, 0, 255)


def batches(material: Sequence[Faces], steps: int, batch: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Training batches: equal groups from each part of the material, two thirds of them whole frames.

    Args:
        material: parts that weigh the same.
        steps: how many batches.
        batch: rows, a multiple of three times the parts.
        seed: of everything.
    """
    rng = np.random.default_rng([seed, 77])
    kinds = [(faces, crop) for faces in material for crop in (False, False, True)]
    group = batch // len(kinds)
    for _ in range(steps):
        groups = [seen(random_views(faces, rng.integers(len(faces), size=group), rng, crop), rng)
                  for faces, crop in kinds]
        yield {name: np.concatenate([made[name] for made in groups]) for name in groups[0]}
