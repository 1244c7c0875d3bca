"""Validation of the temporal GAN: how near its frames are to the true ones, clip by clip."""

import jax
import jax.numpy as jnp

from thjax.core.context import Context
from thjax.core.rngs import Rngs
from thjax.engine import Batch, Evaluation
from thjax.engine.stage import Nets
from thjax.metrics.image import PEAK, PSNR_CAP
from thjax.metrics.mouth import MARGIN, MOUTH
from thjax.systems.temporal_gan.config import Config
from thjax.systems.temporal_gan.inputs import batch_windows, draw_noise, to_pixels, to_unit
from thjax.systems.temporal_gan.networks import Generator


def make_reconstruction(config: Config, generator: Generator):
    """The evaluator `reconstruction`.

    Returns:
        (nets, batch, rngs, ctx) -> per clip `l1` (every pixel counts alike, whatever map the training uses), `psnr`
        and, with landmarks, `mouth_psnr` in dB, errors pooled over the clip's valid frames; and the generated frames.
    """

    def reconstruct(nets: Nets, batch: Batch, rngs: Rngs, ctx: Context) -> Evaluation:
        net, valid = nets["generator"], batch["valid"]
        noise = draw_noise(config.generator, rngs.stream("noise"), valid.shape[1])
        windows = batch_windows(config.generator, batch["audio"])
        made = generator.apply(
            {"params": net.params, **net.variables}, to_unit(batch["still"]), windows, noise, valid, ctx
        )
        pixels = to_pixels(made)
        counted = valid[:, :, None, None]
        difference = jnp.abs(made - to_unit(batch["frames"])).mean(-1)
        squared = jnp.square(pixels.astype(jnp.float32) - batch["frames"].astype(jnp.float32)).mean(-1)
        values = {"l1": clip_mean(difference, counted), "psnr": decibel(clip_mean(squared, counted))}
        if "landmarks" in batch:
            box = mouth_box(batch["landmarks"], *made.shape[2:4])
            values["mouth_psnr"] = decibel(clip_mean(squared, counted * box))
        return Evaluation(values, pixels)

    return reconstruct


def clip_mean(x: jax.Array, weights: jax.Array) -> jax.Array:
    """[B] means of x [B, T, H, W] over the pixels of each clip that count."""
    weights = jnp.broadcast_to(weights, x.shape).astype(x.dtype)
    axes = (1, 2, 3)
    return jnp.where(weights > 0, x, 0).sum(axes) / jnp.maximum(weights.sum(axes), 1)


def decibel(squared_error: jax.Array) -> jax.Array:
    """PSNR of uint8 pixels with this mean squared error, at most `PSNR_CAP`."""
    return jnp.minimum(PSNR_CAP, 10 * jnp.log10(PEAK**2 / jnp.maximum(squared_error, 1e-9)))


def mouth_box(landmarks: jax.Array, height: int, width: int) -> jax.Array:
    """[..., H, W] one inside the mouth's box, as `thjax.metrics.mouth.mouth_mask` has it, under jit."""
    mouth = landmarks[..., MOUTH, :]
    low, high = mouth.min(-2), mouth.max(-2)
    margin = MARGIN * (high - low)[..., :1]
    low, high = (low - margin)[..., None], (high + margin)[..., None]
    x, y = jnp.arange(width) + 0.5, jnp.arange(height) + 0.5
    across = (x >= low[..., 0, :]) & (x <= high[..., 0, :])
    down = (y >= low[..., 1, :]) & (y <= high[..., 1, :])
    return (down[..., :, None] & across[..., None, :]).astype(jnp.float32)
