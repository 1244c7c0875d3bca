"""Adversarial losses against torch's binary cross-entropy with logits."""

import chex
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from absl.testing import absltest

from thjax.core.context import Context
from thjax.losses import adversarial

RNG = np.random.default_rng(0)
REAL, FAKE = (4 * RNG.standard_normal((2, 6, 3))).astype(np.float32)
MASK = np.array([1, 1, 0, 1, 0, 1], np.float32)


def torch_bce(logits, target):
    kept = torch.tensor(logits[MASK > 0])
    return F.binary_cross_entropy_with_logits(kept, torch.full_like(kept, target)).item()


class Adversarial(chex.TestCase):
    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_discriminator_equals_torch(self):
        loss = self.variant(lambda r, f, m: adversarial.discriminator_loss(r, f, m, Context()))(REAL, FAKE, MASK)
        np.testing.assert_allclose(np.ravel(loss)[0], torch_bce(REAL, 1.0) + torch_bce(FAKE, 0.0), rtol=1e-5)

    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_generator_equals_torch(self):
        loss = self.variant(lambda f, m: adversarial.generator_loss(f, m, Context()))(FAKE, MASK)
        np.testing.assert_allclose(np.ravel(loss)[0], torch_bce(FAKE, 1.0), rtol=1e-5)

    def test_extreme_logits_stay_finite_and_linear(self):
        mask = jnp.ones(1)
        loss = adversarial.generator_loss(jnp.array([-500.0]), mask, Context())
        np.testing.assert_allclose(loss, 500.0)

    def test_bf16_logits_are_summed_in_float32(self):
        loss = adversarial.generator_loss(jnp.asarray(FAKE, jnp.bfloat16), MASK, Context())
        assert loss.dtype == jnp.float32

    @chex.variants(with_jit=True, without_jit=True, with_pmap=True)
    def test_accuracy_counts_both_kinds(self):
        real, fake = jnp.array([1.0, 1.0, -1.0]), jnp.array([-1.0, 1.0, -1.0])
        found = self.variant(lambda r, f, m: adversarial.accuracy(r, f, m, Context()))(real, fake, jnp.array([1, 1, 0]))
        assert np.ravel(found)[0] == 0.75


if __name__ == "__main__":
    absltest.main()
