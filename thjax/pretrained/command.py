"""`thjax weights`: public weight files, brought by the user, become ours."""

import argparse
import dataclasses
import hashlib
import sys
from pathlib import Path

LAYOUTS = {
    "sda": "grid.dat, timit.dat or crema.dat of the public speech-driven-animation: a generator for `thjax generate`",
}


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax weights`."""
    parser = argparse.ArgumentParser(
        prog="thjax weights", description="Converts public weight files. Nothing is fetched: you bring the file."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="convert|list")
    actions.add_parser("list", help="public files that can be converted")
    convert = actions.add_parser("convert", help="convert one file", description="Reads tensors and plain values only; "
                                 "a file that asks for anything else is refused. Sizes and rates come from the file.")
    convert.add_argument("layout", choices=sorted(LAYOUTS), help="kind of the file, see `thjax weights list`")
    convert.add_argument("--in", dest="source", required=True, type=Path, metavar="FILE", help="the public file")
    convert.add_argument("--out", required=True, type=Path, metavar="DIR|FILE.safetensors",
                         help="where the weights go; give the same to `thjax generate --checkpoint`")
    convert.add_argument("--audio_scale", type=float, default=1, choices=(1, 2),
                         help="range of the samples that the network hears: 1 as the public program reads files, "
                         "2 as it reads arrays (default: %(default)s)")
    return parser


def run(argv: list[str]) -> int:
    """Runs the command; returns its exit status."""
    arguments = parser().parse_args(argv)
    if arguments.action == "list":
        for name, meaning in LAYOUTS.items():
            print(f"{name}  {meaning}")
        return 0
    from thjax.pretrained import sda, weights_file

    tree, sizes = sda.convert(arguments.source, arguments.audio_scale)
    path = weights_file.target(arguments.out)
    with open(arguments.source, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    weights_file.write(path, {"generator": tree}, {
        "layout": arguments.layout, "sizes": dataclasses.asdict(sizes), "audio_scale": arguments.audio_scale,
        "source": arguments.source.name, "source_sha256": digest,
    })
    print(f"{path}: frames {sizes.height} x {sizes.width}, audio {sizes.audio_rate} Hz in windows of "
          f"{sizes.audio_window} samples ({sizes.audio_window / sizes.audio_rate:g} s)", file=sys.stderr)
    return 0
