"""Diffuse light by nine spherical-harmonics coefficients (Ramamoorthi and Hanrahan 2001).

Normals are unit vectors in camera axes (x right, y down, z away): a surface that faces the camera has (0, 0, -1).
A light is `[9, C]` coefficients of the irradiance, divided by pi: the colour that leaves a surface is its albedo times
`shade(normals, light)`.
"""

import math

COEFFICIENTS = 9
BAND_OF = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""Band l of each of the nine functions."""
_FIRST, _LINEAR, _PRODUCT = math.sqrt(1 / (4 * math.pi)), math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
CONSTANTS = (
    _FIRST,
    _LINEAR,
    _LINEAR,
    _LINEAR,
    _PRODUCT,
    _PRODUCT,
    math.sqrt(5 / (16 * math.pi)),
    _PRODUCT,
    math.sqrt(15 / (16 * math.pi)),
)
"""Factor before each polynomial 1; y, z, x; xy, yz, 3z^2-1, xz, x^2-y^2."""
COSINE_LOBE = (1.0, 2 / 3, 1 / 4)
"""What the clamped cosine of a diffuse surface keeps of each band, divided by pi (their equation 8)."""
MIRROR_SIGNS = (1, 1, 1, -1, -1, 1, 1, -1, 1)
"""Sign of each function when x changes sign, in the order of `basis`."""


def basis(normals):
    """The nine real orthonormal functions, in the order of `CONSTANTS`: `[..., 3]` -> `[..., 9]`."""
    space = normals.__array_namespace__()
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    polynomials = [1 + 0 * x, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
    functions = [constant * polynomial for constant, polynomial in zip(CONSTANTS, polynomials, strict=True)]
    return space.stack(functions, axis=-1)


def shade(normals, light):
    """Light that reaches surfaces of these normals: `[..., 3]`, light `[9, C]` -> `[..., C]`."""
    space = normals.__array_namespace__()
    return space.matmul(basis(normals), light)


def distant_light(direction, colour):
    """Coefficients of one distant light: direction towards it `[3]`, unit length; colour `[C]` -> `[9, C]`.

    A surface that faces the light receives 1.0625 times its colour: bands above the second are left out.
    """
    space = direction.__array_namespace__()
    lobe = space.asarray([COSINE_LOBE[band] for band in BAND_OF], dtype=direction.dtype)
    return (lobe * basis(direction))[:, None] * math.pi * colour[None, :]


def ambient_light(colour):
    """Coefficients of light from everywhere alike: every surface receives `colour` `[C]` -> `[9, C]`."""
    space = colour.__array_namespace__()
    first = colour[None, :] / CONSTANTS[0]
    return space.concatenate([first, space.zeros((COEFFICIENTS - 1, colour.shape[0]), dtype=colour.dtype)], axis=0)


def mirror_light(light):
    """The light of the mirrored picture: `[9, C]` -> `[9, C]`."""
    space = light.__array_namespace__()
    return light * space.asarray(MIRROR_SIGNS, dtype=light.dtype)[:, None]
