"""A GAN of two small networks with all that makes spreading a step hard: norms, dropout, noise, masks, two phases."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.ad_checkpoint import checkpoint_name

from tests.engine.toys import Toy, sound
from thjax.blocks.conv import Conv, ConvTranspose
from thjax.blocks.dropout import Dropout
from thjax.blocks.norm import Norm
from thjax.blocks.recurrent import GRU
from thjax.core.config import RunConfig
from thjax.core.context import Context
from thjax.core.data_spec import CropSpec, DataSpec
from thjax.core.precision import policy
from thjax.engine import Aux, Ema, GradPhase, Network, Source, Stage, Trained, Until

SPEC = DataSpec(fields=("audio", "frames", "still", "pose"), window=3, batch=16, crop=CropSpec("none", 8, 8))


class Generator(nn.Module):
    """Sound and still to frames [b, T, H, W, 3]: GRU, dropout and noise over a convolved still."""

    norm: str
    group: int
    rate: float
    dtype: type

    @nn.compact
    def __call__(self, heard, still, valid, keys, ctx, train):
        norm = dict(kind=self.norm, group_examples=self.group, dtype=self.dtype)
        context, _ = GRU(6, dtype=self.dtype)(heard.astype(self.dtype), valid=valid)
        if keys is not None:
            context = Dropout(self.rate)(context, keys["dropout"])
            drawn = jax.vmap(lambda key: jax.random.normal(key, context.shape[1:], float))(keys["noise"])
            context = context + 0.3 * self.rate * drawn.astype(context.dtype)
        x = checkpoint_name(Conv(6, 4, 2, 1, bias=False, dtype=self.dtype)(still.astype(self.dtype)), "convolved")
        x = Norm(**norm)(x, None, ctx, train)
        frames = valid.shape[1]
        x = jnp.tanh(x)[:, None] * (1 + context[:, :, None, None])
        x = x.reshape((-1,) + x.shape[2:])
        x = Norm(**norm)(x, valid.reshape(-1), ctx, train, frames)
        x = ConvTranspose(3, 4, 2, 1, dtype=self.dtype)(nn.relu(x))
        return jnp.tanh(x.astype(float)).reshape((-1, frames) + x.shape[1:])


class Discriminator(nn.Module):
    """Frames [b, T, H, W, 3] to logits [b, T]."""

    norm: str
    group: int
    dtype: type

    @nn.compact
    def __call__(self, frames, valid, ctx, train):
        x = frames.reshape((-1,) + frames.shape[2:]).astype(self.dtype)
        x = Conv(5, 4, 2, 1, dtype=self.dtype)(x)
        norm = Norm(self.norm, self.group, dtype=self.dtype)
        x = nn.leaky_relu(norm(x, valid.reshape(-1), ctx, train, valid.shape[1]), 0.2)
        return Conv(1, 4, 1, 0, dtype=self.dtype)(x).astype(float).reshape(valid.shape)


def toy_gan(
    norm="batch", group=4, rate=0.3, precision="f32", reads="updated", every=1, optimizer=None, batch=16,
    config=RunConfig(), recompute=False,
) -> Toy:
    """The GAN. `recompute` evaluates the generator again in its own phase, the way one writes it without `shared`."""
    spec = dataclasses.replace(SPEC, batch=batch)
    dtype = policy(precision).compute
    generator, discriminator = Generator(norm, group, rate, dtype), Discriminator(norm, group, dtype)
    optimizer = optax.sgd(0.05) if optimizer is None else optimizer

    def unit(frames):
        return frames.astype(float) / 127.5 - 1

    def generate(params, nets, batch, rngs, ctx):
        variables = {"params": params["generator"], **nets["generator"].variables}
        keys = {name: rngs.stream(name) for name in ("dropout", "noise")} if rate else None
        return generator.apply(
            variables, sound(batch), unit(batch["still"]), batch["valid"], keys, ctx, True, mutable=["batch_stats"]
        )

    def shared(params, nets, batch, rngs, ctx):
        fake, variables = generate(params, nets, batch, rngs, ctx)
        return fake, {"generator": variables}

    def judge(params, variables, frames, batch, ctx):
        return discriminator.apply(
            {"params": params, **variables}, frames, batch["valid"], ctx, True, mutable=["batch_stats"]
        )

    def discriminate(params, nets, fake, batch, rngs, ctx):
        own = params["discriminator"]
        real_logits, variables = judge(own, nets["discriminator"].variables, unit(batch["frames"]), batch, ctx)
        fake_logits, variables = judge(own, variables, fake, batch, ctx)
        loss = ctx.mean(nn.softplus(-real_logits) + nn.softplus(fake_logits), batch["valid"])
        count = ctx.psum((real_logits > 0).sum())
        return loss, Aux({"discriminator_loss": loss, "fooled": count}, {"discriminator": variables})

    def deceive(params, nets, fake, batch, rngs, ctx):
        if recompute:
            fake, _ = generate(params, nets, batch, rngs, ctx)
        logits, _ = judge(nets["discriminator"].params, nets["discriminator"].variables, fake, batch, ctx)
        per_frame = jnp.abs(fake - unit(batch["frames"])).mean((2, 3, 4)) + (batch["pose"] ** 2).mean(-1)
        loss = ctx.mean(10 * per_frame + nn.softplus(-logits), batch["valid"])
        return loss, Aux({"generator_loss": loss}, per_example={"l1": (per_frame * batch["valid"]).sum(1)})

    phases = (
        GradPhase((Trained("discriminator", optimizer),), discriminate, reads, every),
        GradPhase((Trained("generator", optimizer),), deceive, reads, through_shared=not recompute),
    )
    stage = Stage(
        "adversarial", spec, phases, Until(steps=100), {"generator": Source(), "discriminator": Source()},
        shared, ("generator",), Ema(("generator",), 0.9),
    )
    ones = jnp.ones((1, spec.window))
    still = jnp.zeros((1, spec.crop.height, spec.crop.width, 3))
    frames = jnp.zeros((1, spec.window, spec.crop.height, spec.crop.width, 3))
    networks = {
        "generator": Network(generator, lambda key: generator.init(
            key, jnp.zeros((1, spec.window, 4)), still, ones, None, Context(), False)),
        "discriminator": Network(discriminator, lambda key: discriminator.init(key, frames, ones, Context(), False)),
    }
    return Toy(networks, (stage,), config=config)
