"""A head's pose, tracked in the whole frame, as the pose that the stored crop shows.

Convention on both sides: `schema.POSE` and thjax/face3d/camera.py, which are OpenFace's own: x to the image's right, y
down, z away from the camera, R = Rx Ry Rz, and a point of the head stands at R x + T. No sign changes. What changes is
the camera: the tracker's has its own focal length and looks along the middle of the whole frame; that of a stored crop
has `FOCAL` times the crop's height and looks along the middle of the crop.

The pose carried over keeps what is seen. The head's origin stays on its pixel; its depth follows from the scale at
which it is shown; and the head turns together with the ray on which it is seen, so that the camera sees it from the
same side. Moving a head across a frame without turning it would show more of its side; a crop does not.

What cannot be kept, because a crop is no photograph by the crop's camera: the stretch of pictures far from the axis,
1 / cos a along the radius at angle a (half of it is put into the depth, so that it is wrong by half of it across and
along), and the strength of the perspective, where the depths differ (an error of d (1/z - 1/z') of a point's distance
from the head's origin in the crop, d its depth from there, z and z' the depths of the head).
"""

import numpy as np

from thjax.face3d.camera import rotation_angles, rotation_matrix

FOCAL = 3.2
"""Focal length of stored crops in units of their height: as in the embedded corpus, whose frames show 250 mm at 800."""


def carried(pose: np.ndarray, affine: np.ndarray, focal: float, centre: tuple[float, float],
            crop: tuple[int, int]) -> np.ndarray:
    """Poses in the stored crop.

    Args:
        pose: `[N, 6]` in the whole frame, order `schema.POSE`, mm and rad, Tz above 0.
        affine: source to stored frame, `[N, 2, 3]`, similarities.
        focal: of the tracker's camera, pixels of the source.
        centre: (x, y) of the source that the tracker's camera looks along, pixel centres at +0.5.
        crop: (height, width) of the stored frame.

    Returns:
        float32 `[N, 6]`.
    """
    pose, affine = np.asarray(pose, np.float64), np.asarray(affine, np.float64)
    height, width = crop
    scale, angle = np.hypot(affine[:, 0, 0], affine[:, 1, 0]), np.arctan2(affine[:, 1, 0], affine[:, 0, 0])
    ray = np.concatenate([pose[:, :2] / pose[:, 2:3], np.ones((len(pose), 1))], 1)
    pixels = (affine[:, :, :2] @ (focal * ray[:, :2] + centre)[:, :, None])[..., 0] + affine[:, :, 2]
    seen = np.concatenate([(pixels - (width / 2, height / 2)) / (FOCAL * height), np.ones((len(pose), 1))], 1)
    # Areas are stretched by 1 / cos of the angle from the axis; here before, and there in the crop's own camera.
    stretch = np.linalg.norm(ray, axis=1) / np.linalg.norm(seen, axis=1)
    depth = pose[:, 2] * FOCAL * height / (focal * scale * np.sqrt(stretch))
    rolled = rotation_matrix(np.stack([0 * angle, 0 * angle, angle], 1))
    before = _towards(ray).transpose(0, 2, 1) @ rotation_matrix(pose[:, 3:])
    rotation = _towards(seen) @ rolled @ before
    return np.concatenate([seen * depth[:, None], rotation_angles(rotation)], 1).astype(np.float32)


def _towards(ray: np.ndarray) -> np.ndarray:
    """The shortest rotations that take the camera's axis to rays `[N, 3]` with z above 0: `[N, 3, 3]`."""
    x, y, z = (ray / np.linalg.norm(ray, axis=1, keepdims=True)).T
    rows = [[1 - x * x / (1 + z), -x * y / (1 + z), x], [-x * y / (1 + z), 1 - y * y / (1 + z), y], [-x, -y, z]]
    return np.array(rows).transpose(2, 0, 1)
