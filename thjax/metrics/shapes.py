"""Checks of what metrics are given: the message names the value, the rule and the way out."""

import numpy as np


def same_clips(truth: np.ndarray, other: np.ndarray) -> None:
    """Raises ValueError unless both are frames [T, H, W, C] of one shape, with at least one frame."""
    if truth.shape != other.shape or truth.ndim != 4:
        raise ValueError(f"expected two clips [T, H, W, C] of one shape, got {truth.shape} and {other.shape}; "
                         "crop and resize both alike and cut them to the same frames")
    if len(truth) == 0:
        raise ValueError("both clips have no frame; leave empty clips out and count them")


def expect_shape(name: str, array: np.ndarray, letters: tuple[str | int, ...]) -> None:
    """Raises ValueError unless the array has as many axes as letters, each number met, and no empty axis."""
    fits = array.ndim == len(letters) and all(
        size == letter if isinstance(letter, int) else size > 0
        for size, letter in zip(array.shape, letters, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(letter) for letter in letters)
        raise ValueError(f"{name} must be [{wanted}] with no empty axis, got {array.shape}")


def same_length(first: str, a: np.ndarray, second: str, b: np.ndarray) -> None:
    """Raises ValueError unless both arrays have equally many rows."""
    if len(a) != len(b):
        raise ValueError(f"{first} has {len(a)} rows and {second} {len(b)}; both must cover the same frames")


def finite(name: str, array: np.ndarray) -> None:
    """Raises ValueError where a value is not a number or infinite."""
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(f"{name} holds {bad} of {array.size} values that are not finite; "
                         "mask undetected frames before measuring")
