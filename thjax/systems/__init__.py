"""The published systems, one small room each. `build` turns a config into a System."""

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thjax.core.config import RunConfig
    from thjax.engine.system import System


def names() -> tuple[str, ...]:
    """Names of the systems, sorted: the packages of this room."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


def config_class(name: str) -> type:
    """The config class of a system, a frozen dataclass.

    Raises:
        ValueError: the system is unknown; lists the known ones.
    """
    return importlib.import_module(f"{__name__}.{_known(name)}.config").Config


def build(config: "RunConfig") -> "System":
    """The system that `config.system` names, built from the config.

    Raises:
        ValueError: the system is unknown; lists the known ones.
        TypeError: the config belongs to another system.
    """
    wanted = config_class(config.system)
    if not isinstance(config, wanted):
        raise TypeError(
            f"config of class {type(config).__module__}.{type(config).__name__} names the system {config.system!r}, "
            f"which takes {wanted.__module__}.{wanted.__name__}; use configs.{config.system}.get_config"
        )
    return importlib.import_module(f"{__name__}.{config.system}.system").build(config)


def logical_axes(name: str) -> "dict[str, tuple[str | None, ...]]":
    """Names of the axes of a system's parameters, see `thjax.parallel.sharding`; empty where it names none.

    Raises:
        ValueError: the system is unknown; lists the known ones.
    """
    package = importlib.import_module(f"{__name__}.{_known(name)}")
    if "sharding" not in {module.name for module in pkgutil.iter_modules(package.__path__)}:
        return {}
    return importlib.import_module(f"{package.__name__}.sharding").AXES


def _known(name: str) -> str:
    if name not in names():
        raise ValueError(f"system {name!r} is unknown; there are {', '.join(names())}")
    return name
