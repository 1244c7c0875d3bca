"""dirfa's mapping network as a System: its stage, its loss, its evaluator, its sampler."""

import functools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from thjax.core.context import Context
from thjax.core.precision import policy
from thjax.core.rngs import Rngs
from thjax.engine import Aux, Batch, Ema, GradPhase, Network, Patience, Source, Stage, Trained, Until
from thjax.engine.stage import Nets
from thjax.optim import make_optimizer
from thjax.systems.dirfa.animation import CHANNELS, GROUPS, Quantiser
from thjax.systems.dirfa.config import Config
from thjax.systems.dirfa.evaluators import make_likelihood
from thjax.systems.dirfa.inputs import batch_features, disturb, draw_gain, make_lesson
from thjax.systems.dirfa.losses import smoothed_log_likelihood, squared_error, standardised
from thjax.systems.dirfa.networks import Mapper
from thjax.systems.dirfa.sampler import MotionSampler
from thjax.systems.dirfa.statistics import ranges
from thjax.systems.dirfa.voices import vary_voice

MAPPER = "mapper"


def build(config: Config) -> "Dirfa":
    """The system of a config."""
    return Dirfa(config)


class Dirfa:
    """wu2023; see `thjax.engine.System` for the protocol.

    The quantiser's ranges come from the corpus, which nobody has read yet when a system is built: `statistics` has to
    be called before a step or an evaluation is traced, as `thjax train` does.

    Attributes:
        config: of the run.
    """

    def __init__(self, config: Config):
        self.config = config
        self._quantiser: Quantiser | None = None

    @property
    def quantiser(self) -> Quantiser:
        """Of the corpus.

        Raises:
            ValueError: `statistics` was not called yet.
        """
        if self._quantiser is None:
            raise ValueError("the ranges of the quantiser are not known yet; call statistics(shard_statistics) first")
        return self._quantiser

    @functools.cached_property
    def networks(self) -> Mapping[str, Network]:
        """`mapper`."""
        c, dtype = self.config.mapper, policy(self.config.precision).compute
        module = Mapper(c, readout=self.config.losses.lip_readout > 0, dtype=dtype)
        history, audio = jnp.zeros((1, 1, len(CHANNELS))), jnp.zeros((1, 1, c.mel.features))
        once = jnp.ones((1, 1), bool)
        return {MAPPER: Network(module, lambda key: module.init(key, history, audio, once, once))}

    @functools.cached_property
    def stages(self) -> tuple[Stage, ...]:
        """`mapping`: label records alone, no pixel."""
        c, s = self.config, self.config.schedule
        better = "squared_error" if c.mapper.head == "regression" else "cross_entropy"
        patience = Patience(f"likelihood/{better}", s.patience) if s.patience else None
        trained = Trained(MAPPER, make_optimizer(c.optimizers.mapper), c.optimizers.mapper)
        return (Stage(
            "mapping", data=c.data, phases=(GradPhase((trained,), self.teach),), init={MAPPER: Source()},
            until=Until(steps=s.steps or None, epochs=s.epochs or None, patience=patience),
            ema=Ema((MAPPER,), c.optimizers.ema) if c.optimizers.ema else Ema(), evaluate=("likelihood",),
        ),)

    @functools.cached_property
    def evaluators(self) -> Mapping[str, Any]:
        """`likelihood`: what the mapper thinks of whole clips that it has not seen."""
        return {"likelihood": make_likelihood(self)}

    def statistics(self, shard_statistics: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Ranges and moments of the 23 channels, see `statistics.ranges`."""
        stats = ranges(shard_statistics)
        self._quantiser = Quantiser.from_statistics(stats, self.config.mapper.categories)
        return stats

    def sampler(self, nets: Nets, stats: Mapping[str, Any]) -> MotionSampler:
        """The sampler over a trained mapper."""
        quantiser = Quantiser.from_statistics(stats, self.config.mapper.categories)
        return MotionSampler(self.config, self.networks[MAPPER].module, nets[MAPPER], quantiser)

    def teach(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The mapper's loss: cross-entropy averaged over frames and channels (eq. 5), or squared error."""
        c, quantiser = self.config, self.quantiser
        lesson = make_lesson(c, quantiser, batch, c.losses.unscored)
        features = batch_features(c.mapper, batch["audio"], draw_gain(c.losses, rngs))
        features = vary_voice(c.losses, c.mapper, features, rngs)
        said, lips = self.networks[MAPPER].module.apply(
            {"params": params[MAPPER]}, disturb(c.losses, quantiser, lesson.history, rngs), features, lesson.first,
            lesson.attended,
        )
        metrics = {"clipped": ctx.mean(quantiser.clipped(lesson.values).astype(said.dtype), batch["valid"])}
        if c.mapper.head == "regression":
            metrics["squared_error"] = loss = ctx.mean(squared_error(said, lesson.values, quantiser), lesson.scored)
        else:
            target = quantiser.encode(lesson.values)
            share, kind = c.losses.label_smoothing, c.mapper.head
            nats = -smoothed_log_likelihood(share, kind, said, target, c.mapper.categories)
            metrics["cross_entropy"] = loss = ctx.mean(nats, lesson.scored)
        if lips is not None:
            error = jnp.square(lips - standardised(lesson.values, quantiser)[..., GROUPS["lips"]])
            metrics["lip_readout"] = ctx.mean(error, batch["valid"])
            loss = loss + c.losses.lip_readout * metrics["lip_readout"]
        return loss, Aux(metrics=metrics)

