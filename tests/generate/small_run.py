"""Converted weights of a very small generator, drawn at random: something that `load` can load in a second or two."""

from pathlib import Path

import jax
import numpy as np

from thjax import systems
from thjax.pretrained import weights_file
from thjax.systems.temporal_gan.converted import from_sda

SIZES = {"height": 32, "width": 32, "audio_rate": 16_000, "audio_window": 2_560, "audio_channels": (2, 4, 4, 4, 4, 4),
         "audio_code": 8, "context": 8, "identity": 6, "noise": 3, "noise_layers": 1, "channels": (4, 8),
         "template": None}


def write(directory: Path) -> Path:
    """Writes weights.safetensors and returns its directory."""
    network = systems.build(from_sda(SIZES)).networks["generator"]
    rng = np.random.default_rng(0)
    draw = lambda leaf: np.abs(rng.normal(0, 0.3, leaf.shape)).astype(np.float32) + 0.01
    tree = jax.tree.map(draw, jax.eval_shape(network.init, jax.random.key(0)))
    sign = lambda leaf: leaf * rng.choice([-1, 1], leaf.shape).astype(np.float32)
    tree = {"generator": {**tree, "params": jax.tree.map(sign, tree["params"])}}
    weights_file.write(weights_file.target(directory), tree, {"layout": "sda", "sizes": SIZES, "source": "small.dat"})
    return directory
