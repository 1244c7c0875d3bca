"""dirfa's generation network as a System: its stages, its losses, its evaluator, its animator."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thjax.blocks.feature_layers import Pass
from thjax.core.context import Context
from thjax.core.precision import policy
from thjax.core.rngs import Rngs
from thjax.engine import Aux, Batch, Ema, GradPhase, Network, Source, Stage, Trained, Until
from thjax.engine.stage import Nets
from thjax.judges import face
from thjax.losses import features, keypoints, least_squares
from thjax.optim import make_optimizer
from thjax.pretrained import vgg19
from thjax.systems.dirfa_generator import networks, seeing
from thjax.systems.dirfa_generator.animator import Animator
from thjax.systems.dirfa_generator.config import Config
from thjax.systems.dirfa_generator.evaluators import make_reconstruction
from thjax.systems.dirfa_generator.geometry import CHANNELS, TRANSLATION
from thjax.systems.dirfa_generator.inputs import Scale, draw_pair, moments, part_masks

GENERATOR, DISCRIMINATOR, VGG = "generator", "discriminator", "vgg19"


def build(config: Config) -> "DirfaGenerator":
    """The system of a config."""
    return DirfaGenerator(config)


class DirfaGenerator:
    """wu2023, section 3.3; see `thjax.engine.System` for the protocol.

    The attribute loss is in deviations of the corpus, which nobody has read yet when a system is built: `statistics`
    has to be called before a step is traced, as `thjax train` does.

    Attributes:
        config: of the run.
    """

    def __init__(self, config: Config):
        self.config = config
        self._scale: Scale | None = None

    @property
    def scale(self) -> Scale:
        """Of the corpus.

        Raises:
            ValueError: `statistics` was not called yet.
        """
        if self._scale is None:
            raise ValueError("the deviations of the corpus are not known yet; call statistics(shard_statistics) first")
        return self._scale

    @functools.cached_property
    def networks(self) -> Mapping[str, Network]:
        """`generator`, `discriminator`, and `vgg19` or `face_loss` where a loss reads it."""
        c, dtype = self.config, policy(self.config.precision).compute
        # By numpy: made first while something is traced, they would be tracers, and be kept.
        picture = np.zeros((1, c.data.crop.height, c.data.crop.width, 3), np.float32)
        z = np.zeros((1, len(CHANNELS)), np.float32)
        z[:, TRANSLATION] = 1.0
        made = {GENERATOR: _network(networks.make_generator(c, dtype), picture, z, z),
                DISCRIMINATOR: _network(networks.make_discriminator(c, dtype), picture)}
        if self._seeing == VGG:
            made[VGG] = _network(vgg19.VGG19(dtype=dtype), picture)
        elif self._seeing:
            made[self._seeing] = _network(face.Network(seeing.JUDGE_SIZES), *seeing.judge_inputs())
        return made

    @property
    def _seeing(self) -> str:
        """The network of the perceptual loss; "" without one."""
        w = self.config.losses
        return "" if not w.perceptual else VGG if w.vgg19 else seeing.FACE_JUDGE

    @functools.cached_property
    def stages(self) -> tuple[Stage, ...]:
        """`reconstruction` where the schedule asks for it, then `adversarial`; the generator's optimizer goes on."""
        c, s = self.config, self.config.schedule
        specs = {GENERATOR: c.optimizers.generator, DISCRIMINATOR: c.optimizers.discriminator}
        trained = {name: Trained(name, make_optimizer(spec), spec) for name, spec in specs.items()}
        common = dict(
            data=c.data, shared=self.draw, shared_trains=(GENERATOR,), evaluate=("reconstruction",),
            ema=Ema((GENERATOR,), c.optimizers.ema) if c.optimizers.ema else Ema(),
        )
        weights = c.losses.vgg19 or seeing.weights_of(c.losses.judge)
        looking = {self._seeing: Source("weights", weights)} if self._seeing else {}
        learn = lambda loss: GradPhase((trained[GENERATOR],), loss, through_shared=True)
        stages = []
        if s.reconstruction_steps:
            stages.append(Stage(
                "reconstruction", phases=(learn(self.reconstruct),), until=Until(steps=s.reconstruction_steps),
                init={GENERATOR: Source()} | looking, **common,
            ))
        if s.steps or s.epochs:
            taken = Source("previous") if stages else Source()
            stages.append(Stage(
                "adversarial", phases=(GradPhase((trained[DISCRIMINATOR],), self.discriminate), learn(self.deceive)),
                until=Until(steps=s.steps or None, epochs=s.epochs or None),
                init={GENERATOR: taken, DISCRIMINATOR: Source()} | looking, **common,
            ))
        return tuple(stages)

    @functools.cached_property
    def evaluators(self) -> Mapping[str, Any]:
        """`reconstruction`: every frame of a clip drawn from its first, beside copying that."""
        return {"reconstruction": make_reconstruction(self.networks[GENERATOR].module)}

    def statistics(self, shard_statistics: list[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Mean and deviation of the 23 channels, see `inputs.moments`."""
        stats = moments(shard_statistics)
        self._scale = Scale(tuple(stats["mean"]), tuple(stats["deviation"]))
        return stats

    def sampler(self, nets: Nets, stats: Mapping[str, Any]) -> Animator:
        """What animates a photograph: driven by Z, not by speech."""
        return Animator(self.config, self.networks[GENERATOR].module, nets[GENERATOR])

    def draw(self, params, nets: Nets, batch: Batch, rngs: Rngs, ctx: Context):
        """`Stage.shared`: the frames [B, H, W, 3] of one pair an example, and their keypoints."""
        pair, variables = draw_pair(batch, rngs), nets[GENERATOR].variables
        how, module = Pass(pair.valid, ctx, True), self.networks[GENERATOR].module
        made, updated = module.apply(
            {"params": params[GENERATOR], **variables}, pair.picture, pair.z, pair.driving, how,
            mutable=list(variables),
        )
        return {"frames": made.frames, "points": made.points}, {GENERATOR: updated}

    def reconstruct(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The generator's loss without discriminator: pixels, boxes of mouth and eyes, what VGG-19 or the judge of
        faces sees (eq. 9), and keypoints."""
        w, pair = self.config.losses, draw_pair(batch, rngs)
        metrics = {"l1": ctx.mean(abs(shared["frames"] - pair.truth), pair.valid)}
        loss = w.pixel * metrics["l1"]
        if w.squared:
            metrics["squared"] = ctx.mean(jnp.square(shared["frames"] - pair.truth), pair.valid)
            loss = loss + w.squared * metrics["squared"]
        if w.parts:
            metrics["parts"] = self._part_error(shared["frames"], pair, ctx)
            loss = loss + w.parts * metrics["parts"]
        if w.perceptual:
            metrics["perceptual"] = self._unlike(nets, shared["frames"], pair, ctx)
            loss = loss + w.perceptual * metrics["perceptual"]
        if w.keypoint_prior:
            metrics["keypoint_prior"] = keypoints.prior(shared["points"], pair.valid, ctx)
            loss = loss + w.keypoint_prior * metrics["keypoint_prior"]
        if w.agreement:
            metrics["agreement"] = self._disagreement(params[GENERATOR], nets, pair, ctx)
            loss = loss + w.agreement * metrics["agreement"]
        return loss, Aux(metrics=metrics)

    def deceive(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The generator's whole loss: eq. 8 with the labels put right, eq. 9 and the second term of eq. 10."""
        loss, aux = self.reconstruct(params, nets, shared, batch, rngs, ctx)
        w, pair, judge = self.config.losses, draw_pair(batch, rngs), nets[DISCRIMINATOR]
        (logits, seen), _ = self._judge(judge.params, judge.variables, shared["frames"])
        metrics = aux.metrics | {
            "deceived": least_squares.generator_loss(logits, pair.valid, ctx),
            "attributes_drawn": self._attribute_error(seen, pair, ctx),
        }
        loss = loss + w.adversarial * metrics["deceived"] + w.attributes * metrics["attributes_drawn"]
        return loss, Aux(metrics=metrics | {"generator_loss": loss})

    def discriminate(self, params, nets: Nets, shared, batch: Batch, rngs: Rngs, ctx: Context):
        """The discriminator's loss: eq. 8 with the labels put right, and the first term of eq. 10, on true frames."""
        pair, judge = draw_pair(batch, rngs), params[DISCRIMINATOR]
        (real, seen), variables = self._judge(judge, nets[DISCRIMINATOR].variables, pair.truth)
        (fake, _), variables = self._judge(judge, variables, shared["frames"])
        metrics = {
            "discriminator_loss": least_squares.discriminator_loss(real, fake, pair.valid, ctx),
            "attributes_seen": self._attribute_error(seen, pair, ctx),
        }
        loss = metrics["discriminator_loss"] + self.config.losses.attributes * metrics["attributes_seen"]
        return loss, Aux(metrics=metrics, variables={DISCRIMINATOR: variables})

    def _judge(self, params, variables, frames):
        """The discriminator's answers, and its new variables."""
        module = self.networks[DISCRIMINATOR].module
        return module.apply({"params": params, **variables}, frames, True, mutable=list(variables))

    def _attribute_error(self, seen: jax.Array, pair, ctx: Context) -> jax.Array:
        """Squared error of the Z that a frame shows; its translation is where the head stands in it."""
        return ctx.mean(jnp.square(seen - self.scale.standardised(pair.driving)), pair.valid)

    def _part_error(self, frames: jax.Array, pair, ctx: Context) -> jax.Array:
        """Squared error inside the boxes of mouth and eyes, the mean over each box and then over boxes."""
        masks = part_masks(pair.points, *frames.shape[1:3])
        wrong = jnp.square(frames - pair.truth).mean(axis=-1)
        inside = (masks * wrong).sum(axis=(2, 3)) / jnp.maximum(masks.sum(axis=(2, 3)), 1)
        return ctx.mean(inside.mean(axis=0), pair.valid)

    def _disagreement(self, params, nets: Nets, pair, ctx: Context) -> jax.Array:
        """Canonical keypoints of the two frames of a pair: one head, so the same points."""
        module, variables = self.networks[GENERATOR].module, nets[GENERATOR].variables
        find = lambda picture: module.apply(
            {"params": params, **variables}, picture, Pass(pair.valid, ctx, True), method="canonical",
            mutable=list(variables),
        )[0]
        return keypoints.agreement(find(pair.picture), find(pair.truth), pair.valid, ctx)

    def _unlike(self, nets: Nets, frames: jax.Array, pair, ctx: Context) -> jax.Array:
        """How unlike drawn and true frames look to the network that the config names."""
        name = self._seeing
        module, net, sizes = self.networks[name].module, nets[name], self.config.losses.pyramid
        if name == VGG:
            look = seeing.vgg_look(module, net)
        else:  # it sees faces upright and at one size
            look, sizes = seeing.face_look(module, net, pair.points), 1
        return features.feature_l1(look, frames, pair.truth, sizes, pair.valid, ctx)


def _network(module, *inputs) -> Network:
    return Network(module, lambda key: module.init(key, *inputs))
