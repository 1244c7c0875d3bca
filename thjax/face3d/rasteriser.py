"""Z-buffer rasteriser for triangle meshes, in numba.

Vertices are snapped to 1/256 pixel; from there on coverage is decided in integers and depth in float64, so that the
triangle that owns a pixel is exactly the one that an oracle in float64 finds. A pixel belongs to a triangle when its
centre lies inside, or on a top or left edge (so that neighbours share no pixel and leave none out); of several
triangles the nearest owns it, of equally near ones the first. Depth is carried as 1 / z, linear in the picture.
"""

import numpy as np

from thjax.face3d.kernels import kernel

SUBPIXELS = 256
"""Steps per pixel that vertices are snapped to."""
EMPTY = -1
"""Id of a pixel that no triangle covers."""
ANY = -2
"""As `only_from`, draws everywhere."""


def rasterise(points, inverse_depth, triangles, height: int, width: int, two_sided: bool = False):
    """Finds the triangle that owns each pixel.

    Args:
        points: float `[N, 2]` x, y in pixels, pixel centres at +0.5; may lie outside the frame.
        inverse_depth: float `[N]`, 1 / z. Triangles with a corner at or behind the camera (<= 0) are left out.
        triangles: int `[M, 3]` vertex indices. Front faces are clockwise in the image (y down).
        height, width: of the frame, pixels.
        two_sided: whether back faces are drawn too.

    Returns:
        ids int32 `[H, W]`, index of the triangle or -1, and inverse depth float64 `[H, W]`, 0 where empty.
    """
    points, triangles = np.asarray(points), np.asarray(triangles)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points have shape {points.shape}, must be [N, 2]")
    if triangles.size and (triangles.min() < 0 or triangles.max() >= len(points)):
        raise ValueError(f"triangles name vertices {triangles.min()} to {triangles.max()}, there are {len(points)}")
    ids = np.full((height, width), EMPTY, np.int32)
    depth = np.zeros((height, width))
    draw(
        snap(points),
        np.ascontiguousarray(inverse_depth, np.float64),
        np.ascontiguousarray(triangles, np.int32),
        0,
        two_sided,
        ANY,
        0,
        ids,
        depth,
    )
    return ids, depth


def snap(points):
    """Rounds pixels to the grid of 1/256: float `[..., 2]` -> int64 `[..., 2]`."""
    return np.rint(np.asarray(points, np.float64) * SUBPIXELS).astype(np.int64)


@kernel
def draw(snapped, inverse_depth, triangles, first_id, two_sided, only_from, only_to, ids, depth):
    """Draws triangles into existing buffers; the core of `rasterise`.

    Args:
        snapped: int64 `[N, 2]` of `snap`.
        inverse_depth: float64 `[N]`.
        triangles: int32 `[M, 3]`.
        first_id: id of the first triangle.
        two_sided: draws back faces too.
        only_from, only_to: stencil: draws only where the id so far is in `range(only_from, only_to)`; all if `ANY`.
        ids, depth: int32 and float64 `[H, W]`, changed in place.
    """
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        area = _cross(snapped, a, b, c)
        if area < 0 and two_sided:
            b, c, area = c, b, -area
        if area > 0 and inverse_depth[a] > 0 and inverse_depth[b] > 0 and inverse_depth[c] > 0:
            _fill(snapped, inverse_depth, a, b, c, area, first_id + t, only_from, only_to, ids, depth)


@kernel
def _cross(snapped, a, b, c):
    """Twice the signed area of a triangle, positive when clockwise in the image; exact in integers."""
    abx, aby = snapped[b, 0] - snapped[a, 0], snapped[b, 1] - snapped[a, 1]
    return abx * (snapped[c, 1] - snapped[a, 1]) - aby * (snapped[c, 0] - snapped[a, 0])


@kernel
def _fill(snapped, inverse_depth, a, b, c, area, owner, only_from, only_to, ids, depth):
    """Draws one triangle, clockwise with positive area, over the pixels of its bounding box."""
    height, width = ids.shape
    half = SUBPIXELS // 2
    ax, ay, bx, by, cx, cy = snapped[a, 0], snapped[a, 1], snapped[b, 0], snapped[b, 1], snapped[c, 0], snapped[c, 1]
    # First and last pixels whose centres can lie inside.
    x0 = max(0, (min(ax, bx, cx) - half + SUBPIXELS - 1) // SUBPIXELS)
    x1 = min(width - 1, (max(ax, bx, cx) - half) // SUBPIXELS)
    y0 = max(0, (min(ay, by, cy) - half + SUBPIXELS - 1) // SUBPIXELS)
    y1 = min(height - 1, (max(ay, by, cy) - half) // SUBPIXELS)
    if x0 > x1 or y0 > y1:
        return
    px, py = x0 * SUBPIXELS + half, y0 * SUBPIXELS + half
    # Edge functions at the first centre: w0 belongs to corner a.
    w0 = (cx - bx) * (py - by) - (cy - by) * (px - bx)
    w1 = (ax - cx) * (py - cy) - (ay - cy) * (px - cx)
    w2 = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    za, zb, zc = inverse_depth[a], inverse_depth[b], inverse_depth[c]
    start = (w0 * za + w1 * zb + w2 * zc) / area
    slope_x = ((by - cy) * za + (cy - ay) * zb + (ay - by) * zc) / area * SUBPIXELS
    slope_y = ((cx - bx) * za + (ax - cx) * zb + (bx - ax) * zc) / area * SUBPIXELS
    # Edges that are neither top nor left lose 1, so that a centre on them falls outside.
    w0 -= not (cy < by or (cy == by and cx > bx))
    w1 -= not (ay < cy or (ay == cy and ax > cx))
    w2 -= not (by < ay or (by == ay and bx > ax))
    dx0, dx1, dx2 = (by - cy) * SUBPIXELS, (cy - ay) * SUBPIXELS, (ay - by) * SUBPIXELS
    dy0, dy1, dy2 = (cx - bx) * SUBPIXELS, (ax - cx) * SUBPIXELS, (bx - ax) * SUBPIXELS
    for y in range(y0, y1 + 1):
        e0, e1, e2 = w0, w1, w2
        row = start + (y - y0) * slope_y
        for x in range(x0, x1 + 1):
            if (e0 | e1 | e2) >= 0:
                z = row + (x - x0) * slope_x
                if z > depth[y, x] and (only_from == ANY or only_from <= ids[y, x] < only_to):
                    depth[y, x] = z
                    ids[y, x] = owner
            e0 += dx0
            e1 += dx1
            e2 += dx2
        w0 += dy0
        w1 += dy1
        w2 += dy2


@kernel
def vertex_normals(vertices, triangles, normals):
    """Unit normals as area-weighted means over the triangles of each vertex, pointing out of the front faces.

    Args:
        vertices: float `[N, 3]`, camera axes.
        triangles: int32 `[M, 3]`, front faces clockwise in the image.
        normals: float `[N, 3]`, filled in place; zero where a vertex has no triangle.
    """
    normals[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = (vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2])
        vx, vy, vz = (vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2])
        # v x u: clockwise corners in the image (y down, z away) turn this towards the camera.
        nx, ny, nz = vy * uz - vz * uy, vz * ux - vx * uz, vx * uy - vy * ux
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for n in range(normals.shape[0]):
        x, y, z = normals[n, 0], normals[n, 1], normals[n, 2]
        length = np.sqrt(x * x + y * y + z * z)
        if length > 0:
            normals[n, 0] = x / length
            normals[n, 1] = y / length
            normals[n, 2] = z / length
