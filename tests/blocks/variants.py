"""Every block in every way a caller runs it: compiled, eager, per device. Run by test_variants.py on two devices.

What the blocks compute is tested against torch and lax in their own files; here the ways must agree.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from tests.blocks.compare import assert_close, fresh
from thjax.blocks.conv import Conv, Conv1d, ConvTranspose
from thjax.blocks.discriminators import FrameDiscriminator, SequenceDiscriminator
from thjax.blocks.dropout import Dropout
from thjax.blocks.encoders import ImageEncoder, WaveformEncoder
from thjax.blocks.norm import Norm, NormSpec
from thjax.blocks.recurrent import GRU
from thjax.blocks.unet import UNetDecoder
from thjax.core.context import Context
from thjax.core.rngs import Rngs

CHANNELS = (4, 6)


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def keys(count):
    return Rngs(jax.random.key(0), jnp.arange(count, dtype=jnp.uint32)).stream("dropout")


FRAMES, STILL, WINDOWS = draw(2, 2, 8, 12, 3), draw(2, 8, 12, 3), draw(2, 2, 40)
SKIPS = (draw(2, 4, 6, 4), draw(2, 2, 3, 6))
VALID = np.array([1, 1, 1, 0], np.float32)
SEQUENCE = (CHANNELS, 5, 7, 2, 6, 2_000, 40, (3, 4, 5))

# (block, inputs of a training step)
BLOCKS = {
    "conv": (Conv(5, 4, 2, 1), (STILL,)),
    "conv, same size": (Conv(5, 3, 1, 1), (STILL,)),
    "conv, full kernel": (Conv(5, (8, 12)), (STILL,)),
    "conv transpose": (ConvTranspose(5, 4, 2, 1), (STILL,)),
    "conv 1-D": (Conv1d(5, 10, 5, 3), (draw(2, 25, 3),)),
    "dropout": (Dropout(0.5), (STILL, keys(2))),
    "norm, batch": (Norm("batch"), (draw(4, 3, 8), VALID, Context(), True)),
    "norm, group": (Norm("group"), (draw(4, 3, 8), VALID, Context(), True)),
    "norm, paper_batch": (Norm("paper_batch", 1), (draw(4, 3, 8), VALID, Context(), True, 2)),
    "gru": (GRU(6, 2), (draw(2, 4, 5), draw(2, 2, 6), VALID.reshape(2, 2).repeat(2, 1))),
    "waveform encoder": (WaveformEncoder(5, 2_000, 40, (3, 4, 5)), (WINDOWS.reshape(4, 40), VALID, Context(), True)),
    "image encoder": (ImageEncoder(5, CHANNELS), (FRAMES.reshape(4, 8, 12, 3), VALID, Context(), True)),
    "u-net decoder": (UNetDecoder(CHANNELS, residual=True),
                      (draw(2, 2, 5), SKIPS, np.tanh(STILL), VALID.reshape(2, 2), Context(), True)),
    "frame discriminator": (FrameDiscriminator(CHANNELS), (FRAMES, STILL, VALID.reshape(2, 2), Context(), True)),
    "sequence discriminator": (SequenceDiscriminator(*SEQUENCE, NormSpec("group")),
                               (FRAMES, WINDOWS, VALID.reshape(2, 2), Context(), True)),
}


class Variants(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    @parameterized.parameters(*BLOCKS)
    def test_every_variant_agrees(self, name):
        block, inputs = BLOCKS[name]
        arrays = [value for value in inputs if isinstance(value, (np.ndarray, jax.Array, tuple))]
        fixed = inputs[len(arrays):]
        if fixed and not isinstance(fixed[0], Context):
            raise AssertionError(f"{name}: arrays first")

        def forward(variables, *arrays):
            return block.apply(variables, *arrays, *fixed, mutable=["batch_stats"])

        params, rest = fresh(block, *inputs)
        variables = {"params": params, **rest}
        expected = jax.jit(forward)(variables, *arrays)
        found = self.variant(forward)(variables, *arrays)
        for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            assert_close(ours, theirs, 1e-5)
