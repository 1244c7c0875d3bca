"""Validation of the generator: how near the frames that it draws from a clip's first one are to the true ones."""

import jax
import jax.numpy as jnp

from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import Batch, Evaluation
from thjax.engine.stage import Nets
from thjax.metrics.image import PEAK, PSNR_CAP
from thjax.systems.dirfa_generator.geometry import vectors
from thjax.systems.dirfa_generator.inputs import nobody, to_pixels, to_unit
from thjax.systems.dirfa_generator.networks import Generator


def make_reconstruction(generator: Generator):
    """The evaluator `reconstruction`.

    Returns:
        (nets, batch, rngs, ctx) -> per clip, over its valid frames after the first: `l1` of pixels in [0, 1], `psnr` in
        dB, and `gain`, by how many dB that is above showing the first frame all the time; and the drawn frames.
    """

    def reconstruct(nets: Nets, batch: Batch, rngs: Rngs, ctx: Context) -> Evaluation:
        net, (clips, count) = nets["generator"], batch["valid"].shape
        variables = {"params": net.params, **net.variables}
        z = jnp.where(batch["valid"][..., None] > 0, vectors(batch["au"], batch["pose"]), nobody())
        first = jnp.argmax(batch["valid"] > 0, axis=1)
        take = lambda x: jax.vmap(lambda row, place: row[place])(x, first)
        picture = to_unit(take(batch["frames"]))
        source = generator.apply(variables, picture, take(z), method="encode")
        repeated = jax.tree.map(lambda x: jnp.repeat(x, count, axis=0), source)
        # Frames without labels are drawn at the source's, and not counted; a clip without any is drawn of nobody.
        wanted = jnp.where(batch["valid"][..., None] > 0, z, take(z)[:, None]).reshape(clips * count, -1)
        made = generator.apply(variables, repeated, wanted, method="draw").frames
        made = to_pixels(made).reshape(batch["frames"].shape)
        counted = batch["valid"] * (jnp.arange(count) != first[:, None])
        truth = to_unit(batch["frames"])
        psnr = _decibel(to_unit(made), truth, counted)
        copied = _decibel(picture[:, None], truth, counted)
        values = {"l1": _clip_mean(abs(to_unit(made) - truth), counted), "psnr": psnr, "gain": psnr - copied}
        return Evaluation(values, made)

    return reconstruct


def _clip_mean(x: jax.Array, counted: jax.Array) -> jax.Array:
    """[B] means of x [B, T, H, W, 3] over the frames that count [B, T]."""
    return (x.mean((2, 3, 4)) * counted).sum(1) / jnp.maximum(counted.sum(1), 1)


def _decibel(ours: jax.Array, truth: jax.Array, counted: jax.Array) -> jax.Array:
    squared = _clip_mean(jnp.square(ours - truth), counted) * PEAK**2
    return jnp.minimum(PSNR_CAP, 10 * jnp.log10(PEAK**2 / jnp.maximum(squared, 1e-9)))
