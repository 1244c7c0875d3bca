"""Values of every system, one file each: `get_config(variant)` and `VARIANTS`."""

import dataclasses
from collections.abc import Callable, Mapping


def variant_of(system: str, makers: Mapping[str, Callable], name: str):
    """The config of a variant, which then knows its own name.

    Args:
        system: whose variants they are.
        makers: {name of a variant: function that makes its config}.
        name: of the variant wanted.

    Raises:
        ValueError: the variant is unknown; lists the known ones.
    """
    if name not in makers:
        raise ValueError(f"{system} has no variant {name!r}; it has {', '.join(makers)}")
    return dataclasses.replace(makers[name](), variant=name)
