"""Renders clips of the procedural head, with exact labels (signature first; the renderer follows)."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class RenderedClip:
    """Frames of one clip and what is exactly true of each of them.

    Attributes:
        frames: uint8 `[T, H, W, 3]` RGB.
        landmarks: float32 `[T, 68, 2]` x, y in pixels, pixel centres at +0.5, iBUG order.
        au: float32 `[T, 17]`, 0 to 5, order `schema.AU_INTENSITY`.
        au_presence: uint8 `[T, 18]`, order `schema.AU_PRESENCE`.
        pose: float32 `[T, 6]`, order `schema.POSE`: where the head's frame stands in the camera's, mm and rad.
        blink: uint8 `[T]`, 1 while the lids are more than half closed.
        coefficients: float32 `[T, K]`, order `COEFFICIENT_NAMES`.
        lip_gap: float32 `[T]`, mm between the inner lips' middles (negative: lips overlap).
        eye_opening: float32 `[T]`, mm between the lids' middles, mean of both eyes.
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


def render_clip(identity, scene, expression, pose, gaze=None, size=128, seed=0) -> RenderedClip:
    """Renders a clip.

    Args:
        identity: from `identity.sample_identity(rng)`.
        scene: from `scene.sample_scene(rng)`: light, background, clothes, camera, blur and noise of this clip.
        expression: `[T, 20]`, 0 to 1, order `EXPRESSION_NAMES` (blinks are AU45).
        pose: `[T, 6]`, order `schema.POSE`: motion from the scene's rest place, mm and rad, turning about the neck. Zero
            faces the camera; positive Rx nods down, positive Ry turns to the image's left, positive Rz tilts clockwise.
        gaze: `[T, 2]` rad in the head's frame, positive to the image's right and down; None looks straight ahead.
        size: pixels of the square frame, 48 to 256.
        seed: of the sensor noise.
    """
    raise NotImplementedError
