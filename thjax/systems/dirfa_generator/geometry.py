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

__all__ = ["CHANNELS", "MOST", "ROTATION", "TRANSLATION", "UNITS", "in_picture", "moved", "vectors"]

UNITS, TRANSLATION, ROTATION = slice(0, 17), slice(17, 20), slice(20, 23)
"""Of Z, `CHANNELS`: 17 intensities, 0 to 5; Tx Ty Tz in mm of the stored crop; Rx Ry Rz in rad."""
MOST = 5.0
"""Strongest intensity of an action unit."""


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
