"""Where keypoints of a head stand in its picture: turned and moved by the pose, deformed by action units.

A pose is that of a stored crop (data_pipelines/schema.py), whose camera has `FOCAL` times the crop's side. Axes of
picture and camera are alike: x right, y down, z away.
"""

import jax
import jax.numpy as jnp

from data_pipelines.prepare.crop_pose import FOCAL
from thjax.core.precision import policy
from thjax.face3d.camera import rotation_matrix
from thjax.systems.motion_sampler import CHANNELS

__all__ = ["CHANNELS", "ROTATION", "TRANSLATION", "UNITS", "USUAL", "in_picture", "moved", "on_face", "vectors"]

UNITS, TRANSLATION, ROTATION = slice(0, 17), slice(17, 20), slice(20, 23)
"""Of Z, `CHANNELS`: 17 intensities, 0 to 5; Tx Ty Tz in mm of the stored crop; Rx Ry Rz in rad."""
USUAL = 0.6
"""Deviation of a common action unit's intensity, by which the networks are told all of them: over 5, their range, most
would hardly move an input, and what they do be learnt last."""


FACE_MIDDLE, FACE_HALF = (0.0, 22.0, -65.0), 80.0
"""Middle of the square that holds a face from brows to chin, upright behind lips and lids, and half its side; mm in
the embedded head, and near enough in others: what lies on it is learnt."""


def vectors(au: jax.Array, pose: jax.Array) -> jax.Array:
    """Labels [..., 17] and [..., 6] -> Z [..., 23] f32."""
    return jnp.concatenate([au, pose], axis=-1).astype(policy("f32").params)


def moved(source: jax.Array, driving: jax.Array, rest: jax.Array) -> jax.Array:
    """A motion's Z put on a source: intensities and rotation as they are, translation as the way from rest.

    Args:
        source: [..., 23] of the photograph.
        driving: [..., 23]; its translation may be counted from anywhere.
        rest: [..., 3] translation of the motion that leaves the head where the photograph has it, mm.
    """
    translation = source[..., TRANSLATION] + driving[..., TRANSLATION] - rest
    return jnp.concatenate([driving[..., UNITS], translation, driving[..., ROTATION]], axis=-1)


def in_picture(canonical: jax.Array, z: jax.Array, source_depth: jax.Array) -> jax.Array:
    """Canonical keypoints, turned and moved with the head and seen by the stored crop's camera.

    Millimetres across the picture become shares of its half side by the source's depth. That is what scaling by the
    inter-ocular distance does, without landmarks to measure it on.

    Args:
        canonical: [B, K, 3] points of the head without rotation, its origin at zero, as large as the source shows it.
        z: [B, 23] of the frame.
        source_depth: [B] Tz of the source, mm.

    Returns:
        [B, K, 3]: x, y as seen, -1 and 1 at the edges; z on the same scale, zero at the source's depth.
    """
    # Lengths in half sides at the source's depth; there the camera's focal length is its distance.
    distance = 2 * FOCAL
    head = z[..., TRANSLATION] * (distance / source_depth)[:, None]
    turned = jnp.einsum("bij,bkj->bki", rotation_matrix(z[..., ROTATION]), canonical)
    x, y, depth = jnp.moveaxis(head[:, None] + turned, -1, 0)
    return jnp.stack([distance * x / depth, distance * y / depth, depth - distance], axis=-1)


def on_face(z: jax.Array, height: int, width: int) -> jax.Array:
    """Where lines of sight meet the square of a face.

    Args:
        z: [B, 23] of the frame.
        height, width: pixels of a square picture, or positions of a map of it.

    Returns:
        [B, H, W, 3] for every position: x to the picture's right and y down in the head's own axes, -1 and 1 at the
        square's edges; the third is 0. Lines of sight along the square, within 6 degrees, or through its back lie
        outside: 2.
    """
    y, x = jnp.meshgrid((2 * jnp.arange(height) + 1) / height - 1, (2 * jnp.arange(width) + 1) / width - 1,
                        indexing="ij")
    sight = jnp.stack([x / (2 * FOCAL), y / (2 * FOCAL), jnp.ones_like(x)], axis=-1).astype(z.dtype)
    turn = rotation_matrix(z[..., ROTATION])
    sight = jnp.einsum("bji,hwj->bhwi", turn, sight)
    head = jnp.einsum("bji,bj->bi", turn, z[..., TRANSLATION]) + jnp.asarray(FACE_MIDDLE, z.dtype)
    far = head[:, None, None, 2] / jnp.maximum(sight[..., 2], 0.1)
    met = (far[..., None] * sight - head[:, None, None])[..., :2] / FACE_HALF
    met = jnp.where(sight[..., 2:] > 0.1, met, 2)
    return jnp.pad(met, ((0, 0),) * 3 + ((0, 1),))
