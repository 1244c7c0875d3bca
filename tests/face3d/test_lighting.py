"""Spherical harmonics against scipy's, and the diffuse light against the integral it stands for."""

import jax.numpy as jnp
import numpy as np
from scipy.special import sph_harm_y

from thjax.face3d.lighting import BAND_OF, ambient_light, basis, distant_light, mirror_light, shade


def sphere(count=20_000):
    """Directions spread evenly over the sphere (Fibonacci) `[count, 3]`; each stands for 4 pi / count."""
    k = np.arange(count) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    return np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], 1)


def real_harmonic(band, order, normals):
    polar, azimuth = np.arccos(normals[:, 2]), np.arctan2(normals[:, 1], normals[:, 0])
    value = sph_harm_y(band, abs(order), polar, azimuth)
    sign = (-1) ** order
    return value.real if order == 0 else np.sqrt(2) * sign * (value.real if order > 0 else value.imag)


def test_basis_is_scipys():
    normals = sphere(200)
    orders = (0, -1, 0, 1, -2, -1, 0, 1, 2)
    expected = np.stack([real_harmonic(band, order, normals) for band, order in zip(BAND_OF, orders, strict=True)], -1)
    np.testing.assert_allclose(basis(normals), expected, atol=1e-12)


def test_basis_is_orthonormal():
    functions = basis(sphere())
    np.testing.assert_allclose(functions.T @ functions * 4 * np.pi / len(functions), np.eye(9), atol=2e-3)


def test_distant_light_is_the_clamped_cosine_up_to_band_two():
    direction = np.array([0.36, -0.48, -0.8])
    normals = sphere()
    cosine = np.maximum(normals @ direction, 0)
    projected = basis(normals).T @ cosine * 4 * np.pi / len(normals)  # the best nine coefficients there are
    got = distant_light(direction, np.ones(1))[:, 0]
    np.testing.assert_allclose(got, projected, atol=2e-3)
    np.testing.assert_allclose(shade(direction[None], got[:, None]), [[1.0625]], atol=1e-6)


def test_ambient_light_lights_every_side_alike():
    light = ambient_light(np.array([0.2, 0.3, 0.4]))
    np.testing.assert_allclose(shade(sphere(50), light), np.tile([0.2, 0.3, 0.4], (50, 1)), atol=1e-12)


def test_mirrored_light():
    normals, light = sphere(50), np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(shade(normals * [-1, 1, 1], mirror_light(light)), shade(normals, light), atol=1e-12)


def test_jax_gives_the_same():
    normals, light = sphere(50), np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(
        shade(jnp.asarray(normals), jnp.asarray(light)), shade(normals, light), rtol=1e-4, atol=1e-5
    )
