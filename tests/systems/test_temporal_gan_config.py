"""Variants and configs of the temporal GAN."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
import torch
from temporal_gan_narrow import KEY, narrow, shaped
from temporal_gan_twin import TWINS

from configs import temporal_gan as variants
from thjax import systems
from thjax.core.data_spec import CropSpec
from thjax.systems.temporal_gan.config import (
    OptimizersConfig,
    ScheduleConfig,
)


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_every_variant_has_the_sizes_of_the_description(variant):
    config = variants.get_config(variant)
    system = systems.build(config)
    for name, network in system.networks.items():
        shapes = jax.eval_shape(network.init, KEY)
        with torch.device("meta"):
            twin = TWINS[name](config)
        ours = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
        assert ours == sum(p.numel() for p in twin.parameters())
    b, t, (h, w) = 2, 3, (config.data.crop.height, config.data.crop.width)
    generator = system.networks["generator"]
    frames = jax.eval_shape(
        generator.module.apply, jax.eval_shape(generator.init, KEY), jnp.zeros((b, h, w, 3)),
        jnp.zeros((b, t, config.generator.audio_window)), jnp.zeros((b, t, config.generator.noise)),
    )
    assert frames.shape == (b, t, h, w, 3)
    assert [stage.name for stage in system.stages][-1] == "adversarial"
    assert config.system == "temporal_gan" and config.variant == variant


def test_the_papers_numbers_stand_in_the_config():
    c = variants.get_config("grid")
    assert (c.data.crop.height, c.data.crop.width, c.data.crop.recipe, c.data.mirror) == (128, 96, "canonical", True)
    g = c.generator
    assert (g.context, g.context_layers, g.identity, g.noise, g.noise_layers) == (256, 2, 50, 10, 1)
    assert g.audio_window == 0.16 * g.audio_rate
    assert (c.losses.reconstruction, c.losses.reconstruction_map) == (400, "lower_half")
    o = c.optimizers
    rates = (o.generator.learning_rate, o.frame_discriminator.learning_rate, o.sequence_discriminator.learning_rate)
    assert rates == (2e-4, 1e-3, 5e-5)
    assert c.schedule.patience == 10 and o.sequence_discriminator.decay == "constant"
    readings = [variants.get_config(v).optimizers.generator for v in ("synthetic", "decay_to_tenth")]
    assert [(r.decay, r.decay_factor, r.decay_after_epochs) for r in readings] == [
        ("exponential", 0.9, 20), ("drop", 0.1, 20)
    ]


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match="demo, synthetic, grid"):
        variants.get_config("gird")
    with pytest.raises(ValueError, match="temporal_gan"):
        systems.build(dataclasses.replace(narrow(), system="temporal_fan"))
    assert "temporal_gan" in systems.names()


@pytest.mark.parametrize("change, message", [
    (lambda c: dataclasses.replace(c, data=dataclasses.replace(c.data, crop=CropSpec(height=18))), "divide by 4"),
    (lambda c: dataclasses.replace(c, data=dataclasses.replace(c.data, fields=("frames",))), "still"),
    (lambda c: dataclasses.replace(c, data=dataclasses.replace(c.data, fields=variants.FIELDS[:3])), "landmarks"),
    (lambda c: dataclasses.replace(c, generator=dataclasses.replace(c.generator, audio_window=8000)), "audio_window"),
    (lambda c: dataclasses.replace(c, generator=dataclasses.replace(c.generator, audio_channels=(2,))), "channels"),
    (lambda c: ScheduleConfig(), "no end"),
])
def test_configs_that_cannot_work_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        change(narrow())


def test_a_decay_by_epochs_needs_the_length_of_an_epoch():
    config = dataclasses.replace(narrow(), optimizers=OptimizersConfig())
    with pytest.raises(ValueError, match="batches_per_epoch"):
        shaped(config, "adversarial")
    filled = config.with_batches_per_epoch(7)
    assert filled.schedule.batches_per_epoch == 7 == filled.with_batches_per_epoch(9).schedule.batches_per_epoch
    shaped(filled, "adversarial")
