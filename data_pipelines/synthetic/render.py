"""Renders clips of the procedural head, with labels that are exactly true of every frame."""

import dataclasses

import numpy as np

from data_pipelines import schema
from data_pipelines.synthetic import texture
from data_pipelines.synthetic.expression import EXPRESSION_NAMES, action_unit_presence, action_units, blink_state
from data_pipelines.synthetic.frame_renderer import FrameRenderer, camera, head_pose
from data_pipelines.synthetic.identity import Identity
from data_pipelines.synthetic.scene import Scene
from data_pipelines.synthetic.shape import SHAPE_NAMES
from thjax.face3d import lighting
from thjax.face3d.camera import project

MIN_SIZE, MAX_SIZE = 48, 256
COEFFICIENT_NAMES = (
    tuple(f"shape_{name}" for name in SHAPE_NAMES)
    + EXPRESSION_NAMES
    + tuple(f"albedo_{name}" for name in texture.ALBEDO_NAMES)
    + tuple(f"light_{channel}{index}" for index in range(lighting.COEFFICIENTS) for channel in "rgb")
    + schema.POSE
    + ("gaze_x", "gaze_y")
)
"""Names of the columns of `RenderedClip.coefficients`: shape 22, expression 20, albedo 20, light 27, pose 6, gaze 2."""


@dataclasses.dataclass(frozen=True)
class RenderedClip:
    """Frames of one clip and what is exactly true of each of them.

    Attributes:
        frames: uint8 `[T, H, W, 3]` RGB.
        landmarks: float32 `[T, 68, 2]` x, y in pixels, pixel centres at +0.5, iBUG order; visible or not.
        au: float32 `[T, 17]`, 0 to 5, order `schema.AU_INTENSITY`.
        au_presence: uint8 `[T, 18]`, order `schema.AU_PRESENCE`.
        pose: float32 `[T, 6]`, order `schema.POSE`: where the head's frame stands in the camera's, mm and rad.
        blink: uint8 `[T]`, 1 while the lids are more than half closed.
        coefficients: float32 `[T, K]`, order `COEFFICIENT_NAMES`.
        lip_gap: float32 `[T]`, mm between the inner lips' middles in the head's frame (negative: lips overlap).
        eye_opening: float32 `[T]`, mm between the lids' middles in the head's frame, mean of both eyes.
    """

    frames: np.ndarray
    landmarks: np.ndarray
    au: np.ndarray
    au_presence: np.ndarray
    pose: np.ndarray
    blink: np.ndarray
    coefficients: np.ndarray
    lip_gap: np.ndarray
    eye_opening: np.ndarray


def _check(expression, pose, gaze, size):
    frames = len(expression)
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"size is {size} pixels, must be {MIN_SIZE} to {MAX_SIZE}")
    for name, array, columns in (
        ("expression", expression, len(EXPRESSION_NAMES)),
        ("pose", pose, 6),
        ("gaze", gaze, 2),
    ):
        if array.shape != (frames, columns):
            raise ValueError(f"{name} has shape {array.shape}, must be ({frames}, {columns})")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are not finite")
    if frames and not (expression.min() >= 0 and expression.max() <= 1):
        raise ValueError(f"expression runs from {expression.min()} to {expression.max()}, must lie in 0 to 1")


def render_clip(
    identity: Identity, scene: Scene, expression, pose, gaze=None, size: int = 128, seed: int = 0
) -> RenderedClip:
    """Renders a clip.

    Args:
        identity: from `identity.sample_identity(rng)`.
        scene: from `scene.sample_scene(rng)`: light, background, clothes, camera, blur and noise of this clip.
        expression: `[T, 20]`, 0 to 1, order `EXPRESSION_NAMES` (blinks are AU45).
        pose: `[T, 6]`, order `schema.POSE`: motion from the scene's rest place, mm and rad, turning about the neck.
            Zero faces the camera; positive Rx nods down, positive Ry turns to the image's left, positive Rz tilts
            clockwise.
        gaze: `[T, 2]` rad in the head's frame, positive to the image's right and down; None looks straight ahead.
        size: pixels of the square frame, 48 to 256.
        seed: of the sensor noise.

    Raises:
        ValueError: a shape, a range or the size is wrong.
    """
    expression = np.ascontiguousarray(expression, np.float32)
    pose = np.asarray(pose, np.float64)
    gaze = np.zeros((len(expression), 2)) if gaze is None else np.asarray(gaze, np.float64)
    _check(expression, pose, gaze, size)
    renderer = FrameRenderer(identity, scene, size)
    absolute = head_pose(scene, pose)
    frames = np.empty((len(expression), size, size, 3), np.uint8)
    landmarks = np.empty((len(expression), schema.LANDMARKS, 2), np.float32)
    for index in range(len(expression)):
        renderer.place(expression[index], absolute[index])
        renderer.visible()
        renderer.colour(expression[index], gaze[index])
        frames[index] = renderer.develop(seed, index)
        landmarks[index] = project(renderer.vertices[renderer.mesh.landmarks].astype(np.float64), camera(size))
    lip_gap, eye_opening = _measures(renderer, expression)
    repeated = [
        np.broadcast_to(part, (len(expression), part.size))
        for part in (identity.shape, identity.albedo, scene.light.reshape(-1))
    ]
    coefficients = np.concatenate([repeated[0], expression, repeated[1], repeated[2], absolute, gaze], 1)
    return RenderedClip(
        frames,
        landmarks,
        action_units(expression),
        action_unit_presence(expression),
        absolute.astype(np.float32),
        blink_state(expression),
        coefficients.astype(np.float32),
        lip_gap,
        eye_opening,
    )


def _measures(renderer, expression):
    """Lip gap and eye opening in mm, in the head's frame: float32 `[T]` each."""
    marks = renderer.mesh.landmarks
    picked = renderer.neutral[marks] + np.einsum("te,evc->tvc", expression, renderer.mesh.model.expression[:, marks])
    lip_gap = picked[:, 66, 1] - picked[:, 62, 1]
    uppers, lowers = picked[:, [37, 38, 43, 44], 1], picked[:, [41, 40, 47, 46], 1]
    return lip_gap.astype(np.float32), (lowers - uppers).mean(1).astype(np.float32)
