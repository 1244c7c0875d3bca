"""`thjax data plan`, `prepare` and `verify`."""

import argparse
import concurrent.futures
import functools
import os
import pathlib
import shlex
import sys
import time

from data_pipelines import guard
from data_pipelines.manifest import Manifest
from data_pipelines.named_splits import NAMED_SPLITS
from data_pipelines.prepare import plan as planning
from data_pipelines.prepare import run as running
from data_pipelines.prepare.clip import Settings, make_clip
from data_pipelines.prepare.dividing import ALL, AUTO
from data_pipelines.prepare.framing import RECIPES
from data_pipelines.prepare.plan import Plan, Wish
from data_pipelines.prepare.predict import predict
from data_pipelines.prepare.verify import problems
from data_pipelines.progress import clip_bar, lost
from data_pipelines.readers import READERS
from data_pipelines.schema import DataError


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan_parser(name: str = "plan") -> argparse.ArgumentParser:
    """The command line of `thjax data plan`, which `prepare` shares."""
    parser = argparse.ArgumentParser(
        prog=f"thjax data {name}", description="Finds the clips of a corpus, divides them, and fixes which shard holds "
        "which. Opens no media. A plan of the same settings is kept as it is.")
    add = parser.add_argument
    add("--corpus", required=True, choices=sorted(READERS), help="whose layout it is")
    add("--root", type=pathlib.Path, required=True, metavar="DIR", help="folder of the corpus as it was distributed")
    add("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    add("--size", type=int, default=Settings.size, metavar="PIXELS",
        help="height of the stored frames; no clip is enlarged to it (default: %(default)s)")
    add("--crop", default=Settings.crop, choices=RECIPES, help="centre: the largest centred square; with --labels "
        "also, one square a clip: head, or the tighter box; every frame aligned: canonical, which is 4:3, or pos224 "
        "(default: %(default)s)")
    add("--labels", type=pathlib.Path, metavar="DIR", help="npz files of `thjax label` or CSV files of OpenFace, one a "
        "clip, named by its key")
    add("--fix_offset", action="store_true", help="shift the sound by the offset that the corpus states")
    add("--min_seconds", type=float, default=Settings.min_seconds, help="of a clip (default: %(default)s)")
    add("--max_seconds", type=float, default=Settings.max_seconds, help="of a clip (default: %(default)s)")
    add("--split", default="auto", metavar="NAME", help="auto: the corpus's own default; train: everything trains; or "
        f"one of {', '.join(NAMED_SPLITS)}; or a folder with lists, train.txt and so on, a clip a line (default: "
        "%(default)s)")
    add("--seed", type=int, default=0, help="of the order, and of splits that shuffle (default: %(default)s)")
    add("--compare_bytes", action="store_true", help="also read files of equal size, and leave out a clip whose bytes "
        "are on a later side of the split as well (train, validation, test)")
    add("--workers", type=int, default=usable_cores(), metavar="N",
        help="processes that decode (default: the usable cores, here %(default)s)")
    add("--rescan", action="store_true", help="look again what is on disk, where there is a plan already: shards "
        "of files or labels that changed are made anew")
    return parser


def prepare_parser() -> argparse.ArgumentParser:
    """The command line of `thjax data prepare`."""
    parser = plan_parser("prepare")
    parser.description = (
        "Turns a corpus on disk into records: scans, plans, predicts size and time, decodes by timestamp, crops, and "
        "writes shards. Killed at any moment and started again, it goes on and gives the same bytes; so do other "
        "numbers of workers. Every clip found is written, excluded by the split, or in quarantine.jsonl with a reason.")
    add = parser.add_argument
    add("--max-bad", "--max_bad", type=float, default=0.02, metavar="SHARE",
        help="share of bad clips above which this fails with exit status 3 (default: %(default)s)")
    add("--timeout", type=float, default=running.Hands.timeout, metavar="SECONDS",
        help="that a clip may take before it counts as hung (default: %(default)s)")
    add("--rank", type=int, default=0, metavar="R", help="of this machine, with --nshard (default: %(default)s)")
    add("--nshard", type=int, default=1, metavar="N",
        help="machines that share the work, each with another --rank and the same --out (default: %(default)s)")
    return parser


def plan(argv: list[str]) -> int:
    """Plans; returns 0."""
    made, _ = _planned(plan_parser().parse_args(argv))
    print(_summary(made))
    return 0


def prepare(argv: list[str]) -> int:
    """Prepares a corpus; returns 0."""
    options, started = prepare_parser().parse_args(argv), time.monotonic()
    hands = running.Hands(options.workers, options.timeout, options.rank, options.nshard)
    made, rebuild = _planned(options)
    print(_summary(made))
    writer = made.writer(rebuild)
    make = functools.partial(make_clip, settings=made.settings, label_folder=options.labels)
    with hands.makers(make) as makers:
        if not options.rank and not any(map(writer.report, made.shards)):
            print(predict(made, makers, hands.threads).report(), flush=True)
        with clip_bar() as bar:
            task = bar.add_task("clips", total=made.clips, lost="")
            manifest = running.write(
                made, writer, makers, hands, options.max_bad,
                lambda done: bar.update(task, total=done.clips, completed=done.done, lost=lost(done.lost)))
    seconds = time.monotonic() - started
    if manifest is None:
        print(f"{options.out}: rank {options.rank} of {options.nshard} is done, in {seconds:.0f} s; the rank that is "
              "last describes the corpus")
        return 0
    counts, reasons = manifest.content["counts"], manifest.content["counts"]["reasons"]
    print(f"{options.out}: {counts['discovered']} discovered = {counts['written']} written + {counts['quarantined']} "
          f"quarantined + {counts['excluded']} excluded + {counts['removed']} removed{lost(reasons)}; "
          f"{manifest.bytes / 1e6:.1f} MB, in {seconds:.0f} s")
    return 0


def verify(argv: list[str]) -> int:
    """Checks a corpus; returns 0, or 1 where something is wrong with it."""
    parser = argparse.ArgumentParser(
        prog="thjax data verify", description="Hashes every file of a corpus, counts its records and clips, and says "
        "all that is wrong.")
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    parser.add_argument("--decode", action="store_true", help="also decode every frame of every record")
    parser.add_argument("--workers", type=int, default=usable_cores(), metavar="N", help="files checked at once")
    options = parser.parse_args(argv)
    manifest = Manifest.load(options.data, check_shards=False)
    with concurrent.futures.ThreadPoolExecutor(max(options.workers, 1)) as pool:
        found = problems(manifest, options.decode, pool)
    for problem in found:
        print(problem, file=sys.stderr)
    shards, records = len(manifest.content["shards"]), len(manifest.index["n"])
    print(f"{options.data}: {shards} shards, {records} records, {manifest.bytes / 1e6:.1f} MB: "
          f"{f'{len(found)} problems' if found else 'as written'}")
    return 1 if found else 0


def _planned(options: argparse.Namespace) -> tuple[Plan, str]:
    """The plan that the options ask for, and the command that error messages name later."""
    settings = Settings(options.size, options.crop, options.fix_offset, options.min_seconds, options.max_seconds,
                        options.labels is not None)
    named = options.split in (AUTO, ALL, *NAMED_SPLITS) or not os.path.isdir(options.split)
    split = options.split if named else os.path.abspath(options.split)
    labels = os.path.abspath(options.labels) if options.labels else ""
    wish = Wish(options.corpus, os.path.abspath(options.root), settings, split, options.seed, options.compare_bytes,
                labels)
    if not options.root.is_dir():
        raise DataError(f"{options.root}: no such folder; give the folder that {options.corpus} was unpacked into")
    options.out.mkdir(parents=True, exist_ok=True)
    with guard.in_turn(options.out):  # ranks that start together: the first plans, the others take its plan
        made = planning.make(READERS[options.corpus], wish, options.out, options.workers or 1, options.rescan)
    words = ["thjax", "data", "prepare", "--corpus", options.corpus, "--root", "DIR", "--out", "DIR"]
    for name in ("size", "crop", "min_seconds", "max_seconds", "split", "seed"):
        words += [f"--{name}", str(getattr(options, name))]
    words += ["--fix_offset"] * options.fix_offset + ["--compare_bytes"] * options.compare_bytes
    words += ["--labels", "DIR"] * (options.labels is not None)
    return made, shlex.join(words)


def _summary(made: Plan) -> str:
    by_split = {}
    for shard in made.shards:
        by_split[shard.split] = by_split.get(shard.split, 0) + len(shard.clips)
    parts = ", ".join(f"{clips} {split}" for split, clips in by_split.items())
    division, left = made.content["division"], planning.reasons_of(made.left_out)
    unverified = "" if division["verified"] else " (UNVERIFIED lists)"
    return (f"{made.directory}: {made.content['discovered']} discovered, {made.clips} to prepare ({parts}; split "
            f"{division['name']}{unverified}) in {len(made.shards)} shards{lost(left)}")
