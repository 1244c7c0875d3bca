"""The command line of a config: `SYSTEM:VARIANT --data DIR --out DIR --group.key value ...`."""

import dataclasses
import difflib
import importlib
from pathlib import Path
from typing import Any

import tyro

from thjax import systems
from thjax.checkpoint import config_io
from thjax.core.config import RunConfig
from thjax.core.errors import UserError

USAGE = """thjax train SYSTEM:VARIANT --data DIR --out DIR [--key value ...] [--dry_run] [--accept_changes]

  --data DIR          corpus of records, as `thjax data` wrote it; DIR=WEIGHT,DIR=WEIGHT mixes several, the first one
                      validates
  --out DIR           directory of the run; where it holds a run already, that run is resumed
  --dry_run           print resolved config, parameters, memory and batches per epoch; train nothing
  --accept_changes    resume although keys that decide about the weights have changed

`thjax train SYSTEM:VARIANT --help` lists every key of a config with its unit and default.
"""
FLAGS = ("dry_run", "accept_changes")
OWN = ("data", "out", *FLAGS)
FIXED = ("system", "variant")


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        config: of the variant, with the overrides.
        data: directory of the corpus, or several with weights, see `data_pipelines.mixture.parse`.
        out: directory of the run; None for a dry run without one.
        dry_run: print, do not train.
        accept_changes: resume with other values of keys that decide about the weights.
        argv: as typed, for the resume command.
    """

    config: RunConfig
    data: str
    out: Path | None
    dry_run: bool
    accept_changes: bool
    argv: tuple[str, ...]


def parse(argv: list[str]) -> Request:
    """The request of a command line.

    Raises:
        UserError: unknown system, variant or key; missing --data or --out. Values are judged by tyro, which
            prints what it expects and exits with status 2.
    """
    if not argv or argv[0].startswith("-"):
        raise UserError(f"which SYSTEM:VARIANT? The systems are {', '.join(systems.names()) or 'none'}.\n\n{USAGE}")
    named, *rest = argv
    config = named_config(named)
    own, overrides = _split(rest)
    config = override(config, overrides, prog=f"thjax train {named}")
    dry_run = own.get("dry_run", False)
    for name in ("data",) if dry_run else ("data", "out"):
        if not own.get(name):
            raise UserError(f"--{name} DIR is missing.\n\n{USAGE}")
    out = Path(own["out"]) if own.get("out") else None
    return Request(config, own["data"], out, dry_run, own.get("accept_changes", False), tuple(argv))


def config_module(system: str):
    """The module `configs.<system>`, with its `get_config(variant)` and `VARIANTS`.

    Raises:
        UserError: there is no such system; lists those that exist.
    """
    if system not in systems.names():
        near = difflib.get_close_matches(system, systems.names(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"system {system!r} is unknown; {hint}The systems are {', '.join(systems.names())}")
    return importlib.import_module(f"configs.{system}")


def named_config(named: str) -> RunConfig:
    """The config of `SYSTEM:VARIANT`, as configs/<system>.py has it.

    Raises:
        UserError: unknown system or variant; lists the known ones.
    """
    system, _, variant = named.partition(":")
    module = config_module(system)
    if variant not in module.VARIANTS:
        variants = ", ".join(module.VARIANTS)
        if not variant:
            raise UserError(f"{named!r} names no variant; use {system}:VARIANT with one of {variants}")
        near = difflib.get_close_matches(variant, module.VARIANTS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"variant {variant!r} of {system} is unknown; {hint}The variants are {variants}")
    return module.get_config(variant)


def override(config: RunConfig, arguments: list[str], prog: str = "thjax train") -> RunConfig:
    """The config with dotted overrides, `--parallel.executor pmap` or `--parallel.executor=pmap`.

    Raises:
        UserError: an unknown key; names the nearest one, or else the keys of its group.
    """
    known = config_io.flatten(dataclasses.asdict(config))
    for argument in arguments:
        if argument.startswith("--") and argument not in ("--help",):
            _check_key(argument[2:].split("=")[0], [key for key in known if key not in FIXED])
    return tyro.cli(
        type(config),
        default=config,
        args=arguments,
        prog=prog,
        description=USAGE,
        use_underscores=True,
        config=(tyro.conf.FlagConversionOff,),
    )


def _check_key(key: str, known: list[str]) -> None:
    if key in known:
        return
    if key in FIXED:
        raise UserError(f"--{key} is given by SYSTEM:VARIANT, the first argument")
    if near := _nearest(key, known):
        raise UserError(f"unknown key --{key}; did you mean --{near}?")
    group = key.partition(".")[0]
    inside = [name for name in known if name.startswith(f"{group}.")]
    if inside:
        raise UserError(f"unknown key --{key}; the keys of {group!r} are {', '.join('--' + name for name in inside)}")
    groups = dict.fromkeys(name.partition(".")[0] for name in known)
    raise UserError(
        f"unknown key --{key}; the groups and keys are {', '.join(groups)}, and --data, --out, --dry_run, "
        "--accept_changes"
    )


def _nearest(key: str, known: list[str]) -> str | None:
    """The known key that was meant: by its whole name, else by its last part, `--step` for `--train.steps`."""
    names = {name: name for name in (*known, *OWN)}
    last_parts = {name.rpartition(".")[2]: name for name in reversed(known)}
    for candidates, cutoff in ((names, 0.75), (last_parts, 0.8)):
        if near := difflib.get_close_matches(key.replace("-", "_"), candidates, n=1, cutoff=cutoff):
            return candidates[near[0]]
    return None


def _split(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Takes the command's own options out of the config's, which may have a group called `data` as well."""
    own, overrides, waiting = {}, [], iter(arguments)
    for argument in waiting:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or name not in OWN:
            overrides.append("--help" if argument == "-h" else argument)
        elif name in FLAGS:
            if equals:
                raise UserError(f"{argument}: --{name} takes no value; give it, or leave it out")
            own[name] = True
        else:
            own[name] = value if equals else next(waiting, None)
    return own, overrides
