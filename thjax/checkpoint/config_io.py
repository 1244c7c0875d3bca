"""Configs as plain values: to JSON, back from JSON, flattened to dotted names, hashed."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any

from thjax import systems
from thjax.core.config import RunConfig
from thjax.core.errors import UserError


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Nested plain values of a config, as JSON keeps them (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The config that `to_dict` wrote, of its system's config class; keys it lacks keep their defaults.

    Raises:
        UserError: a key that the config class does not have.
        ValueError: the system is unknown, or a value is out of range.
    """
    return _build(systems.config_class(values["system"]), values, "")


def _build(kind: Any, value: Any, name: str) -> Any:
    """`value` as the annotation `kind` wants it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        known = [field.name for field in dataclasses.fields(kind)]
        if unknown := sorted(set(value) - set(known)):
            raise UserError(f"this config has {name}{unknown[0]}, which {kind.__name__} of this version lacks: {known}")
        return kind(**{key: _build(hints[key], item, f"{name}{key}.") for key, item in value.items()})
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_build(one, item, name) for one, item in zip(kinds, value, strict=True))
    if origin in (typing.Union, types.UnionType):
        inner = [one for one in arguments if one is not types.NoneType]
        return None if value is None else _build(inner[0], value, name)
    return float(value) if kind is float else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def config_hash(values: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that name a config."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]
