"""The temporal GAN as a System: its stages, its losses, its evaluator, its sampler."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from thjax.core.context import Context
from thjax.core.precision import policy
from thjax.core.rngs import Rngs
from thjax.engine import (
    Aux,
    Batch,
    Ema,
    GradPhase,
    Network,
    Patience,
    Source,
    Stage,
    Trained,
    Until,
)
from thjax.engine.stage import Nets
from thjax.losses import adversarial, reconstruction
from thjax.optim import OptimizerConfig, make_optimizer
from thjax.systems.temporal_gan import networks
from thjax.systems.temporal_gan.config import Config
from thjax.systems.temporal_gan.evaluators import make_reconstruction
from thjax.systems.temporal_gan.inputs import batch_windows, choose_frames, draw_noise, take_frames, to_unit
from thjax.systems.temporal_gan.sampler import TemporalGanSampler

GENERATOR, FRAME, SEQUENCE = "generator", "frame_discriminator", "sequence_discriminator"


def build(config: Config) -> "TemporalGan":
    """The system of a config."""
    return TemporalGan(config)


@dataclasses.dataclass(frozen=True)
class TemporalGan:
    """vougioukas2019; see `thjax.engine.System` for the protocol."""

    config: Config

    @functools.cached_property
    def networks(self) -> Mapping[str, Network]:
        """`generator`, and the discriminators that the config asks for."""
        c, dtype = self.config, policy(self.config.precision).compute
        size = (c.data.crop.height, c.data.crop.width, 3)
        still, frames = jnp.zeros((1, *size)), jnp.zeros((1, 1, *size))
        windows, noise = jnp.zeros((1, 1, c.generator.audio_window)), jnp.zeros((1, 1, c.generator.noise))
        made = {GENERATOR: _network(networks.make_generator(c, dtype), still, windows, noise)}
        if c.discriminators.frame:
            made[FRAME] = _network(networks.make_frame_discriminator(c, dtype), frames, still)
        if c.discriminators.sequence:
            made[SEQUENCE] = _network(networks.make_sequence_discriminator(c, dtype), frames, windows)
        return made

    @functools.cached_property
    def stages(self) -> tuple[Stage, ...]:
        """`reconstruction` where the schedule asks for it, then `adversarial`; the generator's optimizer goes on."""
        c, judges = self.config, [name for name in (FRAME, SEQUENCE) if name in self.networks]
        specs = {name: getattr(c.optimizers, name) for name in self.networks}
        trained = {name: Trained(name, self._optimizer(spec), spec) for name, spec in specs.items()}
        ema = Ema((GENERATOR,), c.optimizers.ema) if c.optimizers.ema else Ema()
        common = dict(
            data=c.data, shared=self.make_frames, shared_trains=(GENERATOR,), ema=ema, evaluate=("reconstruction",)
        )
        learn = lambda loss: GradPhase((trained[GENERATOR],), loss, through_shared=True)
        stages, steps = [], c.schedule.reconstruction_steps
        if steps or not judges:
            until = Until(steps=steps) if judges else self._until()
            stages.append(Stage(
                "reconstruction", phases=(learn(self.reconstruct),), until=until, init={GENERATOR: Source()}, **common
            ))
        if judges:
            judge = GradPhase(tuple(trained[name] for name in judges), self.discriminate)
            taken = Source("previous") if stages else Source()
            stages.append(Stage(
                "adversarial", phases=(judge, learn(self.deceive)), until=self._until(),
                init={GENERATOR: taken} | {name: Source() for name in judges}, **common,
            ))
        return tuple(stages)

    @functools.cached_property
    def evaluators(self) -> Mapping[str, Any]:
        """`reconstruction`: L1, PSNR and mouth PSNR of the clips."""
        return {"reconstruction": make_reconstruction(self.config, self.networks[GENERATOR].module)}

    def statistics(self, shard_statistics: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Nothing: pixels and samples are scaled by constants."""
        return {}

    def sampler(self, nets: Nets, stats: Mapping[str, Any]) -> TemporalGanSampler:
        """The sampler over a trained generator."""
        return TemporalGanSampler(self.config, self.networks[GENERATOR].module, nets[GENERATOR])

    def make_frames(self, params, nets: Nets, batch: Batch, rngs: Rngs, ctx: Context):
        """`Stage.shared`: the generated frames [B, T, H, W, 3] that all phases look at."""
        g = self.config.generator
        noise = draw_noise(g, rngs.stream("noise"), batch["valid"].shape[1])
        frames, variables = self._apply(
            GENERATOR, params[GENERATOR], nets[GENERATOR].variables,
            to_unit(batch["still"]), batch_windows(g, batch["audio"]), noise, batch["valid"], ctx, True,
        )
        return {"frames": frames}, {GENERATOR: variables}

    def reconstruct(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The generator's loss without discriminators."""
        l1 = reconstruction.weighted_l1(
            shared["frames"], to_unit(batch["frames"]), reconstruction_weights(self.config, batch), batch["valid"], ctx
        )
        return self.config.losses.reconstruction * l1, Aux(metrics={"l1": l1})

    def deceive(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The generator's loss: L1, and what the discriminators say of its frames (eq. 1 and 3, non-saturating)."""
        loss, aux = self.reconstruct(params, nets, shared, batch, rngs, ctx)
        metrics = dict(aux.metrics)
        for name, look in self._judgements(batch, rngs).items():
            fake, _, mask = look(shared["frames"], nets[name].params, nets[name].variables, ctx)
            metrics[f"{name}_deceived"] = adversarial.generator_loss(fake, mask, ctx)
            loss = loss + metrics[f"{name}_deceived"]
        return loss, Aux(metrics=metrics | {"generator_loss": loss})

    def discriminate(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The discriminators' losses, added: one backward pass, an optimizer each (eq. 1)."""
        truth, total, metrics, variables = to_unit(batch["frames"]), 0.0, {}, {}
        for name, look in self._judgements(batch, rngs).items():
            real, seen, mask = look(truth, params[name], nets[name].variables, ctx)
            fake, variables[name], _ = look(shared["frames"], params[name], seen, ctx)
            metrics[f"{name}_loss"] = adversarial.discriminator_loss(real, fake, mask, ctx)
            metrics[f"{name}_accuracy"] = adversarial.accuracy(real, fake, mask, ctx)
            total = total + metrics[f"{name}_loss"]
        return total, Aux(metrics=metrics, variables=variables)

    def _judgements(self, batch: Batch, rngs: Rngs):
        """{discriminator: (frames, params, variables, ctx) -> (logits, new variables, mask)}."""
        c, valid = self.config, batch["valid"]
        made = {}
        if FRAME in self.networks:
            chosen = choose_frames(rngs.stream("judged_frames"), valid, c.discriminators.frames_per_clip)
            mask = take_frames(valid, chosen)
            still = to_unit(batch["still"])

            def look_at_frames(frames, params, variables, ctx):
                seen = take_frames(frames, chosen)
                return *self._apply(FRAME, params, variables, seen, still, mask, ctx, True), mask

            made[FRAME] = look_at_frames
        if SEQUENCE in self.networks:
            windows, whole = batch_windows(c.generator, batch["audio"]), valid.max(axis=1)

            def look_at_clips(frames, params, variables, ctx):
                return *self._apply(SEQUENCE, params, variables, frames, windows, valid, ctx, True), whole

            made[SEQUENCE] = look_at_clips
        return made

    def _apply(self, name: str, params, variables, *inputs):
        """Output of a network and its new variables."""
        module = self.networks[name].module
        return module.apply({"params": params, **variables}, *inputs, mutable=list(variables))

    def _optimizer(self, spec: OptimizerConfig) -> optax.GradientTransformation:
        """The chain of a network; updates fail where the decay counts epochs whose length nobody has filled in."""
        batches = self.config.schedule.batches_per_epoch
        chain = make_optimizer(spec, max(1, batches // self.config.accumulate))
        if batches or spec.decay not in ("exponential", "drop"):
            return chain

        def refuse(updates, state, params=None):
            raise ValueError(
                f"schedule.batches_per_epoch is 0, but decay {spec.decay!r} counts epochs; set it, or pass the config "
                "through `with_batches_per_epoch` as `thjax train` does"
            )

        return optax.GradientTransformation(chain.init, refuse)

    def _until(self) -> Until:
        s = self.config.schedule
        patience = Patience("reconstruction/l1", s.patience) if s.patience else None
        return Until(steps=s.steps or None, epochs=s.epochs or None, patience=patience)


def reconstruction_weights(config: Config, batch: Batch) -> jax.Array:
    """Weights of the L1, broadcastable to [B, T, H, W], mean one over the image."""
    size = (config.data.crop.height, config.data.crop.width)
    kind = config.losses.reconstruction_map
    if kind == "mouth":
        return reconstruction.mouth_map(batch["landmarks"], *size, config.losses.mouth_weight)
    return reconstruction.lower_half_map(*size) if kind == "lower_half" else reconstruction.whole_map(*size)


def _network(module, *inputs) -> Network:
    return Network(module, lambda key: module.init(key, *inputs))
