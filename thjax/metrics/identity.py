"""Whether the generated face is still the same person, from embeddings of faces."""

import numpy as np

from thjax.metrics.shapes import expect_shape, finite


def acd(reference: np.ndarray, frames: np.ndarray, reduction: str = "l2") -> float:
    """Average content distance: mean distance of the frames' embeddings to that of one still.

    Source: Tulyakov et al. 2018 (MoCoGAN). `l2` is the Euclidean distance (values .2-.4 with unit vectors, as Wu et
    al. 2023 report); `mse` is the squared distance over the number of components (values near 1e-4, which fits
    Vougioukas et al. 2019 with 128 components; our reading).

    Args:
        reference: [D] embedding of the still, or of a true frame.
        frames: [T, D] embeddings by the same network; unit vectors where that network's convention is such.
        reduction: `l2` or `mse`.

    Returns:
        0 to 2 (`l2`) or 0 to 4 / D (`mse`) for unit vectors, lower is better. A copied still has 0, so the true
        clip's own value is the aim.

    Raises:
        ValueError: shapes, values or the reduction are wrong.
    """
    _check(reference, frames)
    squared = ((frames.astype(np.float64) - reference.astype(np.float64)) ** 2).sum(axis=1)
    if reduction == "l2":
        return float(np.sqrt(squared).mean())
    if reduction == "mse":
        return float(squared.mean() / frames.shape[1])
    raise ValueError(f"reduction is {reduction!r}; it may be 'l2' or 'mse'")


def csim(reference: np.ndarray, frames: np.ndarray) -> float:
    """Cosine similarity of identity: mean over frames of the cosine between embeddings of frame and still.

    Source: Zakharov et al. 2019, usual with ArcFace. Shapes as `acd`; vectors of any length.

    Returns:
        -1..1, higher is better; the true clip's own value is the ceiling.

    Raises:
        ValueError: shapes or values are wrong, or a vector is zero.
    """
    _check(reference, frames)
    a, b = reference.astype(np.float64), frames.astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b, axis=1)
    if not lengths.all():
        zero = int((lengths == 0).sum())
        raise ValueError(f"{zero} of {len(b)} cosines involve a zero embedding; leave those frames out and count them")
    return float((b @ a / lengths).mean())


def _check(reference: np.ndarray, frames: np.ndarray) -> None:
    expect_shape("embeddings of frames", frames, ("T", "D"))
    expect_shape("the reference embedding", reference, (frames.shape[1],))
    finite("embeddings of frames", frames)
    finite("the reference embedding", reference)
