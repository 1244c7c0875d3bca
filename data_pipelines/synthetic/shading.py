"""Numba kernels that move, light and colour the head's mesh. One thread, repeatable to the bit."""

import numpy as np

from thjax.face3d.kernels import kernel
from thjax.face3d.rasteriser import EMPTY

MOUTH_CAVITY = np.array([0.065, 0.022, 0.022], np.float32)
"""Colour behind teeth and tongue."""
ONE = np.float32(1)
"""In single precision, so that kernels do not fall into double."""
BACK_FACE_LIGHT = np.float32(0.40)
"""Light on the inner side of hair and ears."""
HIGHLIGHT_POWER_DOUBLINGS = 8
"""The eye's highlight is the cosine to the power 2 ** this."""


@kernel
def combine(mean, basis, coefficients):
    """Mean + sum of coefficient * basis: `[N, 3]`, `[K, N, 3]`, `[K]` -> `[N, 3]`, in one fixed order of additions."""
    out = mean.copy()
    for k in range(basis.shape[0]):
        weight = coefficients[k]
        if weight != 0:
            for n in range(basis.shape[1]):
                for axis in range(3):
                    out[n, axis] += weight * basis[k, n, axis]
    return out


@kernel
def pose_vertices(vertices, rotation, translation, rest, follows):
    """Takes vertices to the camera: the head by (rotation, translation), the shoulders by `rest`, the neck in between.

    Args:
        vertices: float32 `[N, 3]`; changed in place.
        rotation, translation: `[3, 3]`, `[3]` of the head.
        rest: `[3]` translation of what stays.
        follows: float32 `[N]`, 1 moves with the head.
    """
    for n in range(vertices.shape[0]):
        x, y, z = vertices[n, 0], vertices[n, 1], vertices[n, 2]
        head = follows[n]
        for axis in range(3):
            moved = rotation[axis, 0] * x + rotation[axis, 1] * y + rotation[axis, 2] * z + translation[axis]
            vertices[n, axis] = head * moved + (1 - head) * (vertices[n, axis] + rest[axis])


@kernel
def light_vertices(normals, light, half_vector, gloss, face, out):
    """Diffuse light and gloss at each vertex.

    Args:
        normals: float32 `[N, 3]`.
        light: float32 `[9, 3]`, order of `thjax.face3d.lighting.basis` with its constants multiplied in.
        half_vector: `[3]` between the key light and the viewer.
        gloss: strength of the shine on the skin; only the first `face` vertices shine.
        out: float32 `[N, 4]`: light in r, g, b and gloss.
    """
    for n in range(normals.shape[0]):
        x, y, z = normals[n, 0], normals[n, 1], normals[n, 2]
        xy, yz, zz, xz, xx = x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y
        for c in range(3):
            value = (
                light[0, c]
                + light[1, c] * y
                + light[2, c] * z
                + light[3, c] * x
                + light[4, c] * xy
                + light[5, c] * yz
                + light[6, c] * zz
                + light[7, c] * xz
                + light[8, c] * xx
            )
            out[n, c] = max(value, np.float32(0.02))
        shine = max(np.float32(0), x * half_vector[0] + y * half_vector[1] + z * half_vector[2])
        shine *= shine
        shine *= shine
        shine *= shine
        out[n, 3] = gloss * shine * shine if n < face else np.float32(0)


@kernel
def texel(atlas, u, v, colour):
    """Bilinear sample of an atlas `[H, W, 3]` at column u, row v (float32, within the atlas), into `colour` `[3]`."""
    column, row = int(u), int(v)
    fu, fv = u - np.float32(column), v - np.float32(row)
    w11 = fu * fv
    w01, w10 = fu - w11, fv - w11
    w00 = ONE - fu - w10
    for c in range(3):
        top = w00 * atlas[row, column, c] + w01 * atlas[row, column + 1, c]
        colour[c] = top + w10 * atlas[row + 1, column, c] + w11 * atlas[row + 1, column + 1, c]


@kernel
def _eye(x, y, view, eye, eye_patch, atlas, light, half_vector, colour):
    """Colour of the eyeball along the ray through picture point (x, y), by intersecting it with a sphere.

    Args:
        view: `[4]`: focal length, centre x, centre y (picture units), radius of the eyeball in mm.
        eye: `[5, 3]`: rows of the camera-to-eye rotation, centre in mm, the head's downward axis.
        eye_patch: `[4]`: top row, left column, height and width of the eye in the atlas, texels.
        light, half_vector: as in `light_vertices`.
        colour: float32 `[3]`, filled.
    """
    dx, dy = (x - view[1]) / view[0], (y - view[2]) / view[0]
    along = (dx * eye[3, 0] + dy * eye[3, 1] + eye[3, 2]) / (dx * dx + dy * dy + 1)
    px, py, pz = dx * along - eye[3, 0], dy * along - eye[3, 1], along - eye[3, 2]
    inside = view[3] * view[3] - (px * px + py * py + pz * pz)
    if inside > 0:
        back = np.sqrt(inside / (dx * dx + dy * dy + 1))
        px, py, pz = px - back * dx, py - back * dy, pz - back
    length = 1 / np.sqrt(px * px + py * py + pz * pz)
    nx, ny, nz = px * length, py * length, pz * length
    across = eye[0, 0] * nx + eye[0, 1] * ny + eye[0, 2] * nz
    down = eye[1, 0] * nx + eye[1, 1] * ny + eye[1, 2] * nz
    u = eye_patch[1] + (across + 1) / 2 * eye_patch[3]
    v = eye_patch[0] + (down + 1) / 2 * eye_patch[2]
    # The upper lid and its lashes shade the top of the eyeball.
    height = eye[4, 0] * nx + eye[4, 1] * ny + eye[4, 2] * nz
    shade = np.float32(0.50) + np.float32(0.50) * min(
        max((height + np.float32(0.34)) / np.float32(0.30), np.float32(0)), np.float32(1)
    )
    shine = max(np.float32(0), nx * half_vector[0] + ny * half_vector[1] + nz * half_vector[2])
    for _ in range(HIGHLIGHT_POWER_DOUBLINGS):
        shine *= shine
    texel(atlas, u, v, colour)
    for c in range(3):
        value = (
            light[0, c]
            + light[1, c] * ny
            + light[2, c] * nz
            + light[3, c] * nx
            + light[4, c] * nx * ny
            + light[5, c] * ny * nz
            + light[6, c] * (3 * nz * nz - 1)
            + light[7, c] * nx * nz
            + light[8, c] * (nx * nx - ny * ny)
        )
        colour[c] = colour[c] * max(value, np.float32(0.02)) * shade + np.float32(0.60) * shine


@kernel
def shade(
    ids,
    points,
    inverse_depth,
    triangles,
    uv,
    lights,
    atlas,
    wrinkles,
    wrinkle_weights,
    membranes,
    view,
    eyes,
    eye_patch,
    light,
    half_vector,
    samples,
    picture,
):
    """Colours the pixels of a supersampled id buffer and averages them into the picture.

    Args:
        ids: int32 `[H * samples, W * samples]` of the rasteriser.
        points: float32 `[N, 2]` supersampled pixels; inverse_depth: float32 `[N]`.
        triangles: int32 `[M, 3]`; uv: float32 `[N, 2]` atlas texels; lights: float32 `[N, 4]` of `light_vertices`.
        atlas: float32 `[H', W', 3]`; wrinkles: float32 masks `[H'', W'', 4]` over the face's patch.
        wrinkle_weights: float32 `[4]`.
        membranes: int `[6]`: start and stop of the ids of the left eye, the right eye and the mouth.
        view, eyes `[2, 5, 3]`, eye_patch, light, half_vector: as in `_eye`.
        picture: float32 `[H, W, 3]`: holds the background, is blended over in place.
    """
    colour = np.empty(3, np.float32)
    share = np.float32(1.0 / (samples * samples))
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            r, g, b, covered = np.float32(0), np.float32(0), np.float32(0), 0
            for sy in range(samples):
                for sx in range(samples):
                    py, px = y * samples + sy, x * samples + sx
                    t = ids[py, px]
                    if t == EMPTY:
                        continue
                    covered += 1
                    if membranes[4] <= t < membranes[5]:
                        r += MOUTH_CAVITY[0]
                        g += MOUTH_CAVITY[1]
                        b += MOUTH_CAVITY[2]
                        continue
                    if membranes[0] <= t < membranes[3]:
                        which = 0 if t < membranes[1] else 1
                        _eye(
                            np.float32(px + 0.5),
                            np.float32(py + 0.5),
                            view,
                            eyes[which],
                            eye_patch,
                            atlas,
                            light,
                            half_vector,
                            colour,
                        )
                    else:
                        _surface(
                            t,
                            np.float32(px + 0.5),
                            np.float32(py + 0.5),
                            points,
                            inverse_depth,
                            triangles,
                            uv,
                            lights,
                            atlas,
                            wrinkles,
                            wrinkle_weights,
                            colour,
                        )
                    r += colour[0]
                    g += colour[1]
                    b += colour[2]
            if covered:
                rest = 1 - np.float32(covered) * share
                picture[y, x, 0] = picture[y, x, 0] * rest + r * share
                picture[y, x, 1] = picture[y, x, 1] * rest + g * share
                picture[y, x, 2] = picture[y, x, 2] * rest + b * share


@kernel
def _surface(t, x, y, points, inverse_depth, triangles, uv, lights, atlas, wrinkles, wrinkle_weights, colour):
    """Colour of triangle t at picture point (x, y), perspectively right."""
    i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    ax, ay = points[i, 0], points[i, 1]
    bx, by, cx, cy = points[j, 0] - ax, points[j, 1] - ay, points[k, 0] - ax, points[k, 1] - ay
    area = bx * cy - by * cx
    w1 = ((x - ax) * cy - (y - ay) * cx) / area
    w2 = (bx * (y - ay) - by * (x - ax)) / area
    w0 = (ONE - w1 - w2) * inverse_depth[i]
    w1 *= inverse_depth[j]
    w2 *= inverse_depth[k]
    scale = ONE / (w0 + w1 + w2)
    w0, w1, w2 = w0 * scale, w1 * scale, w2 * scale
    u = max(w0 * uv[i, 0] + w1 * uv[j, 0] + w2 * uv[k, 0], np.float32(0))
    v = max(w0 * uv[i, 1] + w1 * uv[j, 1] + w2 * uv[k, 1], np.float32(0))
    u, v = min(u, np.float32(atlas.shape[1] - 1.01)), min(v, np.float32(atlas.shape[0] - 1.01))
    fold = np.float32(1)
    row, column = int(v), int(u)
    if column < wrinkles.shape[1]:
        for m in range(4):
            fold -= wrinkle_weights[m] * wrinkles[row, column, m]
    if area < 0:
        fold *= BACK_FACE_LIGHT
    gloss = w0 * lights[i, 3] + w1 * lights[j, 3] + w2 * lights[k, 3]
    texel(atlas, u, v, colour)
    for c in range(3):
        lit = w0 * lights[i, c] + w1 * lights[j, c] + w2 * lights[k, c]
        colour[c] = colour[c] * lit * fold + gloss
