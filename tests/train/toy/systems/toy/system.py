"""A generator and a discriminator small enough to compile in seconds, and a pixel-free stage before them."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from thjax.engine import Aux, Ema, Evaluation, GradPhase, Network, Patience, Source, Stage, Trained, Until


def features(batch):
    """[b, T, 4] of the audio: energies of quarters of the 640 samples of a frame."""
    audio = batch["audio"].astype(jnp.float32)[:, 3200:-3200] / 32768
    return jnp.abs(audio.reshape(audio.shape[0], -1, 4, 160)).mean(-1) * 10


def pixels(x):
    """uint8 -> [-1, 1]."""
    return x.astype(jnp.float32) / 127.5 - 1


class Landmarks(nn.Module):
    """Audio features [b, T, 4] -> points [b, T, 4]."""

    width: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(nn.tanh(nn.Dense(self.width)(x)))


class Generator(nn.Module):
    """Still [b, H, W, 3], points and noise [b, T, 4] -> frames [b, T, H, W, 3]."""

    width: int

    @nn.compact
    def __call__(self, still, points, noise):
        content = nn.Conv(self.width, (3, 3))(still)
        motion = nn.Dense(self.width)(jnp.concatenate([points, noise], -1))
        hidden = nn.tanh(content[:, None] + motion[:, :, None, None])
        return nn.tanh(nn.Dense(3)(hidden))


class Discriminator(nn.Module):
    """Frames [b, T, H, W, 3] -> scores [b, T]."""

    width: int

    @nn.compact
    def __call__(self, frames):
        x = nn.relu(nn.Conv(self.width, (4, 4), strides=(4, 4))(frames))
        return nn.Dense(1)(x.mean((2, 3)))[..., 0]


class System:
    """The toy system."""

    def __init__(self, config):
        self.config = config
        width, t = config.toy.width, 2
        size = (config.data.crop.height, config.data.crop.width, 3)
        modules = {"landmarks": Landmarks(width), "generator": Generator(width), "discriminator": Discriminator(width)}
        shapes = {
            "landmarks": [(1, t, 4)],
            "generator": [(1, *size), (1, t, 4), (1, t, 4)],
            "discriminator": [(1, t, *size)],
        }

        def network(name):
            return Network(modules[name], lambda key: modules[name].init(key, *map(jnp.zeros, shapes[name])))

        self.networks = {name: network(name) for name in modules}
        self.evaluators = {"reconstruction": self.reconstruct, "points": self.measure}
        self.stages = self.make_stages()

    def make_stages(self):
        config = self.config.toy
        adam = optax.adam(config.rate, b1=0.5)
        l1, points = optax.adam(config.rate), optax.adam(3 * config.rate)
        patience = Patience("l1", config.patience) if config.patience else None
        first = "previous" if config.landmark_steps else "fresh"
        gan = Stage(
            name="gan",
            data=self.config.data,
            until=Until(steps=config.steps, patience=patience),
            init={"landmarks": Source(first), "generator": Source("fresh"), "discriminator": Source("fresh")},
            shared=self.fakes,
            shared_trains=("generator",),
            ema=Ema(("generator",), 0.9),
            evaluate=("reconstruction",),
            phases=(
                GradPhase((Trained("discriminator", adam),), self.judge),
                GradPhase((Trained("generator", l1), Trained("landmarks", points)), self.fool, through_shared=True),
            ),
        )
        if not config.landmark_steps:
            return (gan,)
        data = dataclasses.replace(self.config.data, fields=("audio", "landmarks"), window=5, batch=8)
        warm = Stage(
            name="warm",
            data=data,
            until=Until(steps=config.landmark_steps),
            init={"landmarks": Source("fresh")},
            phases=(GradPhase((Trained("landmarks", points),), self.fit, every=2),),
            ema=Ema(("landmarks",), 0.9),
            evaluate=("points",),
        )
        return warm, gan

    def fit(self, params, nets, shared, batch, rngs, ctx):
        made = self.networks["landmarks"].module.apply({"params": params["landmarks"]}, features(batch))
        error = jnp.square(made - batch["landmarks"][:, :, 60:62].reshape(*made.shape) / 16)
        return ctx.mean(error, batch["valid"]), Aux({"landmark_loss": ctx.mean(error, batch["valid"])})

    def measure(self, nets, batch, rngs, ctx):
        made = self.networks["landmarks"].module.apply({"params": nets["landmarks"].params}, features(batch))
        error = jnp.abs(made - batch["landmarks"][:, :, 60:62].reshape(*made.shape) / 16).mean(-1)
        return Evaluation({"distance": (error * batch["valid"]).sum(1) / batch["valid"].sum(1)})

    def fakes(self, params, nets, batch, rngs, ctx):
        points = self.networks["landmarks"].module.apply({"params": nets["landmarks"].params}, features(batch))
        draw = jax.vmap(lambda key: jax.random.normal(key, points.shape[1:]))
        noise = draw(rngs.stream("noise"))
        still = pixels(batch["still"])
        return self.networks["generator"].module.apply({"params": params["generator"]}, still, points, noise), {}

    def judge(self, params, nets, fake, batch, rngs, ctx):
        score = lambda x: self.networks["discriminator"].module.apply({"params": params["discriminator"]}, x)
        real, made = score(pixels(batch["frames"])), score(fake)
        loss = ctx.mean(nn.softplus(-real) + nn.softplus(made), batch["valid"])
        return loss, Aux({"discriminator_loss": loss})

    def fool(self, params, nets, fake, batch, rngs, ctx):
        score = self.networks["discriminator"].module.apply({"params": nets["discriminator"].params}, fake)
        l1 = ctx.mean(jnp.abs(fake - pixels(batch["frames"])), batch["valid"])
        fit, _ = self.fit(params, nets, fake, batch, rngs, ctx)
        ids = batch["example_id"].astype(jnp.float32).sum()
        metrics = {"l1": l1, "example_ids": ctx.psum(ids)}
        return 10 * l1 + fit + ctx.mean(nn.softplus(-score), batch["valid"]), Aux(metrics)

    def reconstruct(self, nets, batch, rngs, ctx):
        fake, _ = self.fakes({"generator": nets["generator"].params}, nets, batch, rngs, ctx)
        error = jnp.abs(fake - pixels(batch["frames"])).mean((2, 3, 4))
        l1 = (error * batch["valid"]).sum(1) / batch["valid"].sum(1)
        return Evaluation({"l1": l1}, jnp.round((fake + 1) * 127.5).astype(jnp.uint8))

    def statistics(self, shard_statistics):
        return {"records": sum(part["records"] for part in shard_statistics)}

    def sampler(self, nets, stats):
        raise NotImplementedError


def build(config):
    """The system of a config."""
    return System(config)
