"""The rasteriser against a brute-force oracle in float64."""

import numpy as np
import pytest

from thjax.face3d.rasteriser import ANY, EMPTY, SUBPIXELS, draw, rasterise, snap, vertex_normals

SIZE = 64


def oracle(points, inverse_depth, triangles, height, width, two_sided=False):
    """Ids by testing every pixel centre against every triangle: barycentric coordinates, top-left rule, float64."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    ids, nearest = np.full((height, width), EMPTY), np.zeros((height, width))
    for index, corners in enumerate(triangles):
        a, b, c = points[corners].astype(np.float64)
        za, zb, zc = inverse_depth[corners].astype(np.float64)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area < 0 and two_sided:
            b, c, zb, zc, area = c, b, zc, zb, -area
        if area <= 0 or min(za, zb, zc) <= 0:
            continue
        covered, weights = np.ones((height, width), bool), []
        for p, q in ((b, c), (c, a), (a, b)):
            edge = (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
            top_or_left = (p[1] == q[1] and q[0] > p[0]) or q[1] < p[1]
            covered &= (edge > 0) | ((edge == 0) & top_or_left)
            weights.append(edge / area)
        depth = weights[0] * za + weights[1] * zb + weights[2] * zc
        covered &= depth > nearest
        nearest[covered], ids[covered] = depth[covered], index
    return ids


def on_grid(points):
    return np.rint(points * SUBPIXELS) / SUBPIXELS


def soup(seed, count=120, spread=90):
    rng = np.random.default_rng(seed)
    points = on_grid(rng.uniform(-spread / 4, SIZE + spread / 4, (3 * count, 2)))
    return points, rng.uniform(0.5, 2, 3 * count), np.arange(3 * count).reshape(-1, 3)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_ids_equal_the_oracle(seed, two_sided):
    points, depth, triangles = soup(seed)
    ids, _ = rasterise(points, depth, triangles, SIZE, SIZE, two_sided)
    np.testing.assert_array_equal(ids, oracle(points, depth, triangles, SIZE, SIZE, two_sided))
    assert len(np.unique(ids)) > 20


def test_centres_on_edges_and_corners_have_one_owner():
    """Vertices on pixel centres: every edge runs through centres, every pixel inside is drawn once."""
    grid = np.stack(np.meshgrid(np.arange(9), np.arange(9)), -1).reshape(-1, 2) * 4 + 0.5
    cells = [(r * 9 + c, r * 9 + c + 1, r * 9 + c + 10, r * 9 + c + 9) for r in range(8) for c in range(8)]
    triangles = np.array([t for a, b, c, d in cells for t in ((a, b, c), (a, c, d))])
    ids, _ = rasterise(grid, np.ones(81), triangles, 40, 40)
    np.testing.assert_array_equal(ids, oracle(grid, np.ones(81), triangles, 40, 40))
    assert (ids[:32, :32] >= 0).all() and (ids[32:] < 0).all() and (ids[:, 32:] < 0).all()
    np.testing.assert_array_equal(np.bincount(ids[ids >= 0]) > 0, True)


def test_off_the_grid_only_edge_pixels_may_differ():
    points, depth, triangles = soup(9)
    points = points + np.random.default_rng(1).uniform(-0.4, 0.4, points.shape) / SUBPIXELS
    ids, _ = rasterise(points, depth, triangles, SIZE, SIZE)
    assert (ids != oracle(points, depth, triangles, SIZE, SIZE)).mean() < 0.003


def test_depth_is_linear_in_inverse_depth():
    points, depth = np.array([[0.0, 0], [40, 0], [0, 40]]), np.array([1.0, 0.5, 0.25])
    ids, inverse = rasterise(points, depth, np.array([[0, 1, 2]]), 40, 40)
    y, x = np.nonzero(ids == 0)
    np.testing.assert_allclose(inverse[y, x], 1 - 0.5 * (x + 0.5) / 40 - 0.75 * (y + 0.5) / 40, atol=1e-12)


def test_far_outside_and_behind_the_camera():
    points = np.array([[-5000.0, -5000], [9000, -4000], [20, 9000], [10, 10], [30, 10], [10, 30]])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    ids, _ = rasterise(points, np.array([1.0, 1, 1, 2, 2, -1]), triangles, 32, 32)
    assert (ids == 0).all()


def test_stencil_draws_only_where_its_id_is_seen():
    points = snap(np.array([[0.0, 0], [64, 0], [0, 64], [10, 10], [20, 10], [10, 20]]))
    ids, depth = np.full((64, 64), EMPTY, np.int32), np.zeros((64, 64))
    draw(points, np.ones(6), np.array([[3, 4, 5]], np.int32), 7, False, ANY, 0, ids, depth)
    window = ids == 7
    depth[:] = 0
    draw(points, np.ones(6), np.array([[0, 1, 2]], np.int32), 8, False, 7, 8, ids, depth)
    np.testing.assert_array_equal(ids == 8, window)


def test_normals_of_a_sphere():
    polar, azimuth = np.meshgrid(np.linspace(0.2, np.pi - 0.2, 60), np.linspace(0, 2 * np.pi, 121), indexing="ij")
    vertices = np.stack([np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1)
    index = np.arange(60 * 121).reshape(60, 121)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))]).astype(np.int32)
    vertices, normals = vertices.reshape(-1, 3), np.empty((60 * 121, 3))
    vertex_normals(vertices, triangles, normals)
    inner = index[2:-2, 2:-2].ravel()
    cosine = (normals[inner] * vertices[inner]).sum(1)
    assert np.abs(cosine).min() > 0.9995 and (np.sign(cosine) == np.sign(cosine[0])).all()
    # Front faces, clockwise in the image (y down, z away), have normals towards the camera.
    front, toward = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]), np.empty((3, 3))
    vertex_normals(front, np.array([[0, 1, 2]], np.int32), toward)
    np.testing.assert_allclose(toward, np.tile([0.0, 0, -1], (3, 1)))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"must be \[N, 2\]"):
        rasterise(np.zeros((3, 3)), np.ones(3), np.array([[0, 1, 2]]), 8, 8)
    with pytest.raises(ValueError, match="there are 3"):
        rasterise(np.zeros((3, 2)), np.ones(3), np.array([[0, 1, 3]]), 8, 8)
