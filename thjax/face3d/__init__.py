"""Faces in three dimensions: linear model, camera and pose, spherical-harmonics light, rasteriser.

Camera axes everywhere, as OpenFace has them: x to the right of the image, y down, z away from the camera, millimetres.
The functions of `camera`, `morphable` and `lighting` work on numpy and on jax arrays and return the kind they get;
`rasteriser` is numpy and numba, for one core of a CPU.
"""
