"""Variants of the toy system."""

import dataclasses

from thjax.systems.toy.config import Config, ToyConfig

from thjax.core.config import TrainConfig

VARIANTS = ("demo", "two_stages", "patience")
TRAIN = TrainConfig(log_every=1, evaluate_every=4, evaluate_clips=3, checkpoint_every=2, keep=2)


def get_config(variant):
    """The config of a variant."""
    toy = {
        "demo": ToyConfig(),
        "two_stages": ToyConfig(landmark_steps=5, steps=6),
        "patience": ToyConfig(steps=100, patience=0.5),
    }[variant]
    return dataclasses.replace(Config(train=TRAIN, toy=toy), variant=variant)
