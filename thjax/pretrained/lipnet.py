"""LipNet (Assael et al. 2016), as the public Keras weights of rizkiarm/LipNet have it (its `model2`, with norms).

Silent video of a mouth becomes letters. Around it: `lipnet_crop`, `ctc_beam` and `spelling`, joined in `lipnet_read`.
"""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.conv3d import Conv3d
from thjax.blocks.norm import Norm
from thjax.blocks.reset_first_gru import ResetFirstGRU
from thjax.pretrained import h5_files
from thjax.pretrained.rules import Rule, rule, same

WIDTH, HEIGHT = 100, 50
"""Pixels of a mouth crop."""
ALPHABET = "abcdefghijklmnopqrstuvwxyz "
BLANK = len(ALPHABET)
_CONVS = ((32, (3, 5, 5), 2, 2), (64, (3, 5, 5), 1, 2), (96, (3, 3, 3), 1, 1))
"""Features, kernel, stride in space, padding in space."""
_EPSILON = 1e-3
_FLAT = 1728
"""12 columns of 6 rows of 96 channels, halved: what the first recurrent layer reads per frame."""


class LipNet(nn.Module):
    """Three convolutions over time and space, two recurrent layers in both directions, letters.

    Attributes:
        units: of a recurrent layer, per direction.
    """

    units: int = 256

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[N, T, 100, 50, 3] mouths, columns before rows, RGB in [0, 1], 25 per second -> [N, T, 28] probabilities.

        The last one is CTC's blank, the one before it the space.

        Raises:
            ValueError: crops of another shape.
        """
        if x.shape[2:] != (WIDTH, HEIGHT, 3):
            raise ValueError(f"mouths {x.shape}: LipNet takes [N, T, {WIDTH}, {HEIGHT}, 3], columns before rows")
        for i, (features, kernel, stride, padding) in enumerate(_CONVS, start=1):
            x = Conv3d(features, kernel, stride, (1, padding), name=f"conv{i}")(x)
            x = nn.relu(Norm(epsilon=_EPSILON, name=f"norm{i}")(x))
            x = nn.max_pool(x, (1, 2, 2), (1, 2, 2))
        x = x.reshape(*x.shape[:2], -1)
        for i in (1, 2):
            ahead = ResetFirstGRU(self.units, name=f"forward{i}")(x)
            x = jnp.concatenate([ahead, ResetFirstGRU(self.units, reverse=True, name=f"backward{i}")(x)], -1)
        return nn.softmax(nn.Dense(len(ALPHABET) + 1, name="letters")(x))


def network() -> LipNet:
    """The public network."""
    return LipNet()


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The weights of `unseen-weights178.h5` or `overlapped-weights368.h5`."""
    return h5_files.read(path)


def rules(net: LipNet) -> list[Rule]:
    """Every weight of the file."""
    found, width = [], 3
    for i, (features, kernel, *_) in enumerate(_CONVS, start=1):
        found += [rule(f"conv{i}/kernel", (*kernel, width, features), (f"conv{i}", "kernel")),
                  rule(f"conv{i}/bias", (features,), (f"conv{i}", "bias"))]
        for theirs, collection, ours in (("gamma", "params", "scale"), ("beta", "params", "bias"),
                                         ("moving_mean", "batch_stats", "mean"),
                                         ("moving_variance", "batch_stats", "var")):
            found.append(Rule(f"batc{i}/{theirs}", (features,), (((collection, f"norm{i}", ours), same),)))
        width = features
    width, units = _FLAT, net.units
    for i in (1, 2):
        for turn in ("forward", "backward"):
            source, place = f"bidirectional_{i}/{turn}", f"{turn}{i}"
            found += [rule(f"{source}/kernel", (width, 3 * units), (place, "input_kernel")),
                      rule(f"{source}/recurrent_kernel", (units, 3 * units), (place, "hidden_kernel")),
                      rule(f"{source}/bias", (3 * units,), (place, "bias"))]
        width = 2 * units
    return [*found, rule("dense1/kernel", (width, len(ALPHABET) + 1), ("letters", "kernel")),
            rule("dense1/bias", (len(ALPHABET) + 1,), ("letters", "bias"))]
