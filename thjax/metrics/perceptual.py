"""Perceptual distance from feature maps that a network has made."""

from collections.abc import Sequence

import numpy as np

from thjax.metrics.shapes import expect_shape

UNIT_EPS = 1e-10
"""Added to the length of a feature vector before division, as the public code does."""


def lpips(truth: Sequence[np.ndarray], other: Sequence[np.ndarray], heads: Sequence[np.ndarray]) -> float:
    """Learned perceptual image patch similarity from feature maps and linear heads.

    At each layer: feature vectors scaled to unit length, squared difference, weighted by the head and summed over
    channels, averaged over places; summed over layers; mean over frames. Source: Zhang et al. 2018 (version 0.1 of the
    heads). Pictures must have been scaled to -1..1 and then as the network wants them.

    Args:
        truth: a list over layers of feature maps [T, h, w, K] of the true frames.
        other: the same shapes, of the generated frames.
        heads: a list over layers of weights [K], none negative.

    Returns:
        0 and up, mostly below 1, lower is better.

    Raises:
        ValueError: numbers of layers or shapes differ, or a weight is negative.
    """
    if not len(truth) == len(other) == len(heads) or not heads:
        raise ValueError(f"lpips got {len(truth)} and {len(other)} layers of features and {len(heads)} heads; "
                         "it needs one head for each layer")
    total = 0.0
    for layer, (a, b, weights) in enumerate(zip(truth, other, heads, strict=True)):
        expect_shape(f"true features of layer {layer}", a, ("T", "h", "w", "K"))
        expect_shape(f"generated features of layer {layer}", b, a.shape)
        expect_shape(f"head {layer}", weights, (a.shape[-1],))
        if (weights < 0).any():
            raise ValueError(f"head {layer} has {int((weights < 0).sum())} negative weights; published heads have "
                             "none, so the file was read wrongly")
        squared = (_unit(a) - _unit(b)) ** 2
        total += (squared @ weights.astype(np.float64)).mean(axis=(1, 2))
    return float(np.mean(total))


def _unit(features: np.ndarray) -> np.ndarray:
    x = features.astype(np.float64)
    return x / (np.linalg.norm(x, axis=-1, keepdims=True) + UNIT_EPS)
