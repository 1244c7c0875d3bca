"""Crop recipes: where the frames of a batch lie in the stored frames, and the warp that takes them there.

Points are (x, y) in pixels with pixel centres at +0.5, so the frame spans [0, W] x [0, H]. An affine map is `[2, 3]`
and takes points of the stored frame to points of the crop: `crop = A[:, :2] @ stored + A[:, 2]`.
"""

import numpy as np

from data_pipelines import warping
from data_pipelines.schema import DataError
from thjax.core.data_spec import CropSpec

STABLE_LANDMARKS = (33, 36, 39, 42, 45)
"""Nose base and the four eye corners: they do not move with speech (vougioukas2019, section 3)."""
CANONICAL = np.array([[24.0, 33.4], [9.0, 20.0], [18.4, 20.6], [29.6, 20.6], [39.0, 20.0]], np.float32) / 64.0
"""`[5, 2]` where they go, in units of the crop's height for a crop of 4:3. Tight: the jaw is as wide as the crop, a
mouth at rest a third of it, and the chin of an open jaw is still inside."""
_ASPECT = 3 / 4

# iBUG order: where each landmark is found in the mirrored face.
MIRRORED_LANDMARKS = np.array([
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65,
])
MIRROR_POSE = np.array([-1, 1, 1, 1, -1, -1], np.float32)
"""Signs of (Tx, Ty, Tz, Rx, Ry, Rz) in a mirror: sideways shift, yaw and roll turn round."""


def canonical_template(height: int, width: int) -> np.ndarray:
    """Places of `STABLE_LANDMARKS`, float32 `[5, 2]` pixels, in the largest centred 4:3 box of a crop."""
    box = min(height, width / _ASPECT)
    margin = np.array([width - box * _ASPECT, height - box], np.float32) / 2
    return CANONICAL * np.float32(box) + margin


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares rotation, scale and shift (no mirroring), `[T, P, 2]`, `[P, 2]` -> float32 `[T, 2, 3]`.

    The plane is read as complex numbers: the map is z -> a z + b with a = <z - mean, w - mean> / |z - mean|^2.
    """
    z = source[..., 0].astype(np.float64) + 1j * source[..., 1]
    w = target[..., 0].astype(np.float64) + 1j * target[..., 1]
    centred = z - z.mean(-1, keepdims=True)
    a = (centred.conj() * (w - w.mean(-1, keepdims=True))).sum(-1) / (np.abs(centred) ** 2).sum(-1)
    b = w.mean(-1) - a * z.mean(-1)
    rows = [np.stack([a.real, -a.imag, b.real], -1), np.stack([a.imag, a.real, b.imag], -1)]
    return np.stack(rows, -2).astype(np.float32)


def affine_for(spec: CropSpec, landmarks: np.ndarray | None, size: tuple[int, int], frames: int = 1) -> np.ndarray:
    """Maps stored frames to crops, one a frame.

    Args:
        spec: the recipe and the size of the crop.
        landmarks: `[T, 68, 2]` in stored pixels, finite; the recipe `canonical` needs them.
        size: (H, W) of the stored frames.
        frames: T where there are no landmarks.

    Returns:
        float32 `[T, 2, 3]`.

    Raises:
        DataError: `canonical` without landmarks, or `none` where the sizes differ.
    """
    height, width = size
    if spec.recipe == "canonical":
        if landmarks is None:
            raise DataError("crop recipe 'canonical' needs landmarks and the records have none; "
                            "label the corpus, or set the crop's recipe to 'centre'")
        return similarity(landmarks[:, STABLE_LANDMARKS], canonical_template(spec.height, spec.width))
    frames = frames if landmarks is None else len(landmarks)
    if spec.recipe == "none":
        if (spec.height, spec.width) != (height, width):
            raise DataError(f"crop recipe 'none' takes frames as stored, {height} x {width}, and the spec asks for "
                            f"{spec.height} x {spec.width}; set the crop's height and width to the stored size, or its "
                            "recipe to 'centre'")
        scale = 1.0
    else:
        scale = max(spec.height / height, spec.width / width)
    shift = (spec.width - scale * width) / 2, (spec.height - scale * height) / 2
    one = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    return np.broadcast_to(one, (frames, 2, 3))


def transform_points(points: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Points `[T, P, 2]` through maps `[T, 2, 3]`, float32."""
    return (points @ affine[:, :, :2].transpose(0, 2, 1) + affine[:, None, :, 2]).astype(np.float32)


def inverse_affine(affine: np.ndarray) -> np.ndarray:
    """The maps back, `[T, 2, 3]` -> float64 `[T, 2, 3]`."""
    (a, b, c), (d, e, f) = affine.astype(np.float64).transpose(1, 2, 0)
    rows = np.array([[e, -b, b * f - c * e], [-d, a, c * d - a * f]])
    return (rows / (a * e - b * d)).transpose(2, 0, 1)


def warp(frames: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples frames: bilinear, behind a low-pass filter where the map shrinks; outside, the border repeats.

    A pixel of the crop covers f x f pixels of a frame shrunk f times. A box of f pixels has the variance
    (f^2 - 1) / 12, and the filter has that variance too, so it fades in from nothing at f = 1 and is the box mean at
    f = 3.

    Args:
        frames: uint8 `[T, H, W, 3]`.
        affine: `[T, 2, 3]`, stored to crop, similarities.
        size: (h, w) of the crop.

    Returns:
        uint8 `[T, h, w, 3]`.
    """
    if frames.shape[1:3] == tuple(size) and (affine == np.eye(2, 3, dtype=np.float32)).all():
        return frames
    out = np.empty((len(frames), *size, 3), np.uint8)
    warping.resample(np.ascontiguousarray(frames), inverse_affine(affine), out)
    return out


def crop_still(image: np.ndarray, landmarks: np.ndarray | None, spec: CropSpec) -> tuple[np.ndarray, bool]:
    """Crops one photograph.

    Args:
        image: uint8 `[H, W, 3]` RGB, any size.
        landmarks: `[68, 2]` in pixels of `image`, or None.
        spec: the crop that the model was trained with.

    Returns:
        The crop, uint8 `[spec.height, spec.width, 3]`, and whether it was aligned to landmarks. Without them the
        largest centred box is taken, which suits a model only as far as the face fills the picture; the recipe `none`
        is resized in the same way.
    """
    aligned = spec.recipe == "canonical" and landmarks is not None
    if not aligned:
        spec = CropSpec("centre", spec.height, spec.width)
    affine = affine_for(spec, landmarks[None] if aligned else None, image.shape[:2])
    return warp(image[None], affine, (spec.height, spec.width))[0], aligned


def mirror(example: dict[str, np.ndarray], width: int, coefficients: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The example as a mirror shows it: pixels, landmarks and pose. Action units and blinks have no sides.

    Args:
        example: fields of one example, see schema.BATCH_FIELDS.
        width: of its frames, in pixels.
        coefficients: `[2, K]` of the mirror: column that each coefficient is taken from, and its sign.
    """
    out = dict(example)
    for name in ("frames", "still"):
        if name in example:
            out[name] = np.ascontiguousarray(example[name][..., ::-1, :])
    if "landmarks" in example:
        out["landmarks"] = mirror_points(example["landmarks"], width)
    if "pose" in example:
        out["pose"] = example["pose"] * MIRROR_POSE
    if "coefficients" in example:
        source, sign = coefficients
        out["coefficients"] = example["coefficients"][:, source] * sign.astype(np.float32)
    return out


def mirror_points(landmarks: np.ndarray, width: float) -> np.ndarray:
    """68 landmarks `[..., 68, 2]` of a frame `width` pixels wide, as the mirrored frame shows them."""
    mirrored = landmarks[..., MIRRORED_LANDMARKS, :].copy()
    mirrored[..., 0] = width - mirrored[..., 0]
    return mirrored
