"""Perspective camera and rigid pose, in OpenFace's convention.

Axes: x to the right of the image, y down, z away from the camera, millimetres. A pose is `[..., 6]` in the order of
`data_pipelines.schema.POSE`: translation Tx, Ty, Tz in mm, rotation Rx, Ry, Rz in rad, with R = Rx Ry Rz, and takes a
point of the head to the camera as `R x + T`. A face that looks into the camera has no rotation; positive Rx nods down,
positive Ry turns to the image's left, positive Rz tilts clockwise as seen in the image.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Camera:
    """Pinhole camera without distortion, its axis through the middle of the frame.

    Attributes:
        focal: focal length, pixels.
        width, height: of the frame, pixels. The middle of the frame is (width / 2, height / 2) with pixel centres
            at +0.5.
    """

    focal: float
    width: int
    height: int

    def __post_init__(self):
        for name in ("focal", "width", "height"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Camera.{name} is {getattr(self, name)}, must be positive")


def rotation_matrix(angles):
    """Matrices R = Rx Ry Rz of angles in rad: `[..., 3]` -> `[..., 3, 3]`."""
    space = angles.__array_namespace__()
    cos, sin = space.cos(angles), space.sin(angles)
    (cx, cy, cz), (sx, sy, sz) = (tuple(part[..., axis] for axis in range(3)) for part in (cos, sin))
    rows = (
        (cy * cz, -cy * sz, sy),
        (cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy),
        (sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy),
    )
    return space.stack([space.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_angles(matrix):
    """Angles Rx, Ry, Rz in rad, the inverse of `rotation_matrix` for |Ry| < pi / 2: `[..., 3, 3]` -> `[..., 3]`."""
    space = matrix.__array_namespace__()
    pitch = space.atan2(-matrix[..., 1, 2], matrix[..., 2, 2])
    yaw = space.asin(space.clip(matrix[..., 0, 2], -1.0, 1.0))
    roll = space.atan2(-matrix[..., 0, 1], matrix[..., 0, 0])
    return space.stack([pitch, yaw, roll], axis=-1)


def transform(points, pose):
    """Takes points of the head to the camera: `[..., N, 3]` mm, pose `[..., 6]` -> `[..., N, 3]` mm."""
    rotation = rotation_matrix(pose[..., 3:])
    space = points.__array_namespace__()
    return space.matmul(points, space.swapaxes(rotation, -1, -2)) + pose[..., None, :3]


def project(points, camera: Camera):
    """Pixels of points in front of the camera: `[..., N, 3]` mm -> `[..., N, 2]` x, y with pixel centres at +0.5.

    Points with z <= 0 lie behind the camera and have no meaningful pixel.
    """
    space = points.__array_namespace__()
    depth = points[..., 2]
    x = camera.focal * points[..., 0] / depth + camera.width / 2
    y = camera.focal * points[..., 1] / depth + camera.height / 2
    return space.stack([x, y], axis=-1)


def mirror_pose(pose):
    """Pose of the mirrored picture (left and right swapped): Tx, Ry and Rz change sign: `[..., 6]` -> `[..., 6]`."""
    space = pose.__array_namespace__()
    return pose * space.asarray([-1, 1, 1, 1, -1, -1], dtype=pose.dtype)
