"""Configs to JSON and back, flattened, hashed."""

import json

import pytest

from configs import temporal_gan
from thjax.checkpoint import config_io
from thjax.core.errors import UserError


@pytest.mark.parametrize("variant", temporal_gan.VARIANTS)
def test_every_variant_survives_json(variant):
    config = temporal_gan.get_config(variant)
    values = json.loads(json.dumps(config_io.to_dict(config)))
    assert config_io.from_dict(values) == config


def test_a_key_of_another_version_is_named():
    values = config_io.to_dict(temporal_gan.get_config("demo"))
    values["guard"]["courage"] = 1
    with pytest.raises(UserError, match=r"guard\.courage.*GuardConfig of this version lacks"):
        config_io.from_dict(values)


def test_a_missing_key_takes_its_default():
    config = temporal_gan.get_config("demo")
    values = config_io.to_dict(config)
    del values["guard"]["max_spikes"]
    assert config_io.from_dict(values) == config


def test_flatten_and_hash():
    assert config_io.flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": 3}) == {"a.b": 1, "a.c.d": [2], "e": 3}
    assert config_io.config_hash({"a": 1, "b": 2}) == config_io.config_hash({"b": 2, "a": 1})
    assert config_io.config_hash({"a": 1}) != config_io.config_hash({"a": 2})
