"""Validation of the mapper from labels alone: how likely it finds the true motion of clips it has not seen."""

import jax
import jax.numpy as jnp

from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import Batch, Evaluation
from thjax.engine.stage import Nets
from thjax.systems.dirfa import heads
from thjax.systems.dirfa.animation import GROUPS
from thjax.systems.dirfa.inputs import batch_features, make_lesson
from thjax.systems.dirfa.losses import squared_error


def make_likelihood(system):
    """The evaluator `likelihood`, teacher-forced from the clip's first frame.

    Args:
        system: a `Dirfa`; its quantiser is asked for when the evaluator is traced.

    Returns:
        (nets, batch, rngs, ctx) -> per clip `cross_entropy` in nats, over all channels, and apart for lips, brows and
        pose; `squared_error` in variances of the corpus instead for a regression.
    """

    def likelihood(nets: Nets, batch: Batch, rngs: Rngs, ctx: Context) -> Evaluation:
        c, quantiser = system.config, system.quantiser
        lesson = make_lesson(c, quantiser, batch, unscored=0)
        features = batch_features(c.mapper, batch["audio"])
        said, _ = system.networks["mapper"].module.apply(
            {"params": nets["mapper"].params}, lesson.history, features, lesson.first, lesson.attended
        )
        if c.mapper.head == "regression":
            name, cost = "squared_error", squared_error(said, lesson.values, quantiser)
        else:
            target = quantiser.encode(lesson.values)
            name, cost = "cross_entropy", -heads.log_likelihood(c.mapper.head, said, target, c.mapper.categories)
        values = {name: clip_mean(cost, lesson.scored)}
        values |= {f"{name}_{group}": clip_mean(cost[..., which], lesson.scored) for group, which in GROUPS.items()}
        return Evaluation(values)

    return likelihood


def clip_mean(x: jax.Array, scored: jax.Array) -> jax.Array:
    """[B] means of x [B, T, C] over the frames that count, [B, T]."""
    total = jnp.where(scored[..., None] > 0, x, 0).sum((1, 2))
    return total / jnp.maximum(scored.sum(1) * x.shape[-1], 1)
