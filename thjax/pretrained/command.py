"""`thjax weights`: public weight files, brought by the user, become ours."""

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from thjax.core.errors import UserError
from thjax.pretrained.catalogue import NETWORKS

GENERATORS = {
    "sda": "grid.dat, timit.dat or crema.dat of the public speech-driven-animation: a generator for `thjax generate`",
}


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax weights`."""
    parser = argparse.ArgumentParser(
        prog="thjax weights", description="Converts public weight files. Nothing is fetched: you bring the file."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="convert|list")
    actions.add_parser("list", help="public files that can be converted")
    convert = actions.add_parser("convert", help="convert one network", description="Reads tensors and plain values "
                                 "only; a file that asks for anything else is refused.")
    convert.add_argument("layout", choices=sorted({**GENERATORS, **NETWORKS}), help="what it is, see the list")
    convert.add_argument("--in", dest="sources", required=True, type=Path, nargs="+", metavar="FILE",
                         help="the public file, or files where the list names several")
    convert.add_argument("--out", required=True, type=Path, metavar="DIR|FILE.safetensors", help="where the weights go")
    convert.add_argument("--audio_scale", type=float, choices=(1, 2),
                         help="sda only: range of the samples that the network hears: 1 (default) as the public "
                         "program reads files, 2 as it reads arrays")
    return parser


def run(argv: list[str]) -> int:
    """Runs the command; returns its exit status."""
    arguments = parser().parse_args(argv)
    if arguments.action == "list":
        print("\n\n".join(listing()))
    elif arguments.layout in GENERATORS:
        if len(arguments.sources) != 1:
            raise UserError(f"{arguments.layout} is made of one file; {len(arguments.sources)} given")
        _convert_generator(arguments)
    else:
        if arguments.audio_scale is not None:
            raise UserError(f"--audio_scale belongs to sda; {arguments.layout} has no such choice, leave it out")
        _convert_network(arguments)
    return 0


def listing() -> list[str]:
    """A paragraph for each kind of file."""
    found = [f"{name}\n  {meaning}" for name, meaning in GENERATORS.items()]
    for name, entry in sorted(NETWORKS.items()):
        found.append(f"{name}\n  {entry.what}\n  file     {' and '.join(entry.files)}\n  source   {entry.source}\n"
                     f"  licence  {entry.licence}\n  input    {entry.input}\n  used by  {entry.used_by}")
    return found


def _convert_generator(arguments: argparse.Namespace) -> None:
    from thjax.pretrained import sda, weights_file

    audio_scale = 1.0 if arguments.audio_scale is None else arguments.audio_scale
    tree, sizes = sda.convert(arguments.sources[0], audio_scale)
    path = weights_file.target(arguments.out)
    weights_file.write(path, {"generator": tree}, {
        "layout": arguments.layout, "sizes": dataclasses.asdict(sizes), "audio_scale": audio_scale,
        **_origin(arguments.sources),
    })
    print(f"{path}: frames {sizes.height} x {sizes.width}, audio {sizes.audio_rate} Hz in windows of "
          f"{sizes.audio_window} samples ({sizes.audio_window / sizes.audio_rate:g} s); give it to "
          "`thjax generate --checkpoint`", file=sys.stderr)


def _convert_network(arguments: argparse.Namespace) -> None:
    from thjax.pretrained import networks, weights_file

    tree = networks.convert(arguments.layout, arguments.sources)
    path = weights_file.target(arguments.out)
    weights_file.write(path, {arguments.layout: tree}, {"layout": arguments.layout, **_origin(arguments.sources)})
    entry = NETWORKS[arguments.layout]
    print(f"{path}: {arguments.layout}, which takes {entry.input}\nlicence: {entry.licence}", file=sys.stderr)


def _origin(sources: Sequence[Path]) -> dict[str, str]:
    """Names and digests of the public files, joined by a comma where there are several."""
    digests = []
    for source in sources:
        with open(source, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return {"source": ", ".join(source.name for source in sources), "source_sha256": ", ".join(digests)}
