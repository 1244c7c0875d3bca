"""Validation of the mapper from labels alone: how likely it finds the true motion of clips it has not seen."""

import jax
import jax.numpy as jnp

from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import Batch, Evaluation
from thjax.engine.stage import Nets
from thjax.systems.dirfa import heads
from thjax.systems.dirfa.animation import GROUPS, Quantiser
from thjax.systems.dirfa.config import Config
from thjax.systems.dirfa.inputs import batch_features, make_lesson
from thjax.systems.dirfa.losses import squared_error
from thjax.systems.dirfa.networks import Mapper


def make_likelihood(system):
    """The evaluator `likelihood`, teacher-forced from the clip's first frame.

    Args:
        system: a `Dirfa`; its quantiser is asked for when the evaluator is traced.

    Returns:
        (nets, batch, rngs, ctx) -> per clip `cross_entropy` in nats, over all channels, and apart for lips, brows and
        pose; `squared_error` in variances of the corpus instead for a regression.
    """

    def likelihood(nets: Nets, batch: Batch, rngs: Rngs, ctx: Context) -> Evaluation:
        module, variables = system.networks["mapper"].module, {"params": nets["mapper"].params}
        return Evaluation(score_clips(system.config, system.quantiser, module, variables, batch))

    return likelihood


def score_clips(config: Config, quantiser: Quantiser, module: Mapper, variables, batch: Batch) -> dict[str, jax.Array]:
    """What `likelihood` says of whole clips: {metric: [B]}."""
    lesson = make_lesson(config, quantiser, batch, unscored=0)
    features = batch_features(config.mapper, batch["audio"])
    said, _ = module.apply(variables, lesson.history, features, lesson.first, lesson.attended)
    if config.mapper.head == "regression":
        name, cost = "squared_error", squared_error(said, lesson.values, quantiser)
    else:
        target, kind = quantiser.encode(lesson.values), config.mapper.head
        name, cost = "cross_entropy", -heads.log_likelihood(kind, said, target, config.mapper.categories)
    values = {name: clip_mean(cost, lesson.scored)}
    return values | {f"{name}_{group}": clip_mean(cost[..., which], lesson.scored) for group, which in GROUPS.items()}


def clip_mean(x: jax.Array, scored: jax.Array) -> jax.Array:
    """[B] means of x [B, T, C] over the frames that count, [B, T]."""
    total = jnp.where(scored[..., None] > 0, x, 0).sum((1, 2))
    return total / jnp.maximum(scored.sum(1) * x.shape[-1], 1)
