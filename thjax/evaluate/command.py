"""`thjax evaluate`: tables with controls and intervals, for a trained run or for any folder of videos."""

import argparse
import pathlib
import shlex
import sys

from rich import progress
from rich.console import Console

from thjax.checkpoint import load_run
from thjax.checkpoint.names import checkpoint_name
from thjax.core import seeds
from thjax.core.errors import UserError
from thjax.evaluate import report, versus
from thjax.evaluate.collected import Collected, check_complete
from thjax.evaluate.judges import Judges
from thjax.evaluate.passes import Shard, cores
from thjax.evaluate.public_networks import LABELS, PublicNetworks
from thjax.evaluate.result import result_of
from thjax.evaluate.run import collect_run
from thjax.evaluate.videos import collect_videos
from thjax.metrics.bootstrap import FEWEST_SPEAKERS
from thjax.metrics.merging import merge
from thjax.metrics.sync import PRESETS
from thjax.systems.face_animator import FaceAnimator
from thjax.systems.motion_sampler import MotionSampler

PIPE_COLUMNS = 160


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax evaluate`."""
    parser = argparse.ArgumentParser(
        prog="thjax evaluate",
        description="Scores a trained run on held-out clips, or any folder of videos against their references, beside "
        "controls that show what a figure is worth. Writes table.json, clips.csv and report.html.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", type=pathlib.Path, metavar="DIR", action="append",
                      help="folder of a run; needs --data. Twice, of a mapper and of a generator: both together, from "
                      "the first frame of each clip")
    what.add_argument("--videos", type=pathlib.Path, metavar="DIR", help="folder of mp4; needs --reference and --out")
    what.add_argument("--merge", type=pathlib.Path, nargs="+", metavar="DIR",
                      help="folders of all shards, made one table; needs --out")
    what.add_argument("--compare", type=pathlib.Path, nargs="+", metavar="DIR",
                      help="folders of finished evaluations on the same clips: every pair of systems on every metric, "
                      "with Holm's correction; with --out also as comparison.json")
    what.add_argument("--calibrate", action="store_true", help="plant faults of known size in the embedded corpus and "
                      "hold every metric against what it must make of them; exit 1 where one does not; needs --out")
    parser.add_argument("--data", type=pathlib.Path, metavar="DIR", help="prepared corpus")
    parser.add_argument("--reference", type=pathlib.Path, metavar="DIR",
                        help="true mp4 of the same names as in --videos, with sound; beside NAME.mp4 may lie "
                        "NAME.landmarks.npy [T, 68, 2] and NAME.align, the words as GRID has them")
    parser.add_argument("--labels", type=pathlib.Path, nargs=2, metavar=("MADE", "TRUE"),
                        help="folders of a tracker's labels of --videos and of --reference, as `thjax label --corpus "
                        "folder` writes them or OpenFace's CSV files: distances of landmarks, action units, blinks and "
                        "pose also under that tracker's name")
    parser.add_argument("--split", default="test", help="split of the corpus (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where table.json, clips.csv, report.html and "
                        "its pictures go (default with --checkpoint: evaluate-SPLIT in the last run's folder)")
    parser.add_argument("--metrics", default="all", choices=("basic", "all"), help="basic: the five that need no "
                        "judge; all: every one that clips and judges allow (default: %(default)s)")
    parser.add_argument("--networks", nargs="+", default=[], metavar="NET=FILE",
                        help=f"public networks that measure, too, converted with `thjax weights convert`: "
                        f"{', '.join(LABELS)}")
    parser.add_argument("--sync_preset", default="lrs", choices=PRESETS, help="what the public SyncNet sees: the whole "
                        "frame (lrs) or the face (tracked), through JPEG or not (default: %(default)s)")
    parser.add_argument("--which", default="best", type=checkpoint_name, metavar="best|latest|STEP",
                        help="checkpoint of the run (default: %(default)s on validation)")
    parser.add_argument("--no_ema", action="store_true", help="use the raw weights instead of the averaged ones")
    parser.add_argument("--clips", type=int, default=0,
                        help="clips to use, spread over the split or the folder (default: all)")
    parser.add_argument("--seed", type=seeds.argument, default=0, help="of the sampler's noise (default: %(default)s)")
    parser.add_argument("--shard", type=Shard.parse, default=Shard(), metavar="I/N",
                        help="measure a part of the clips, on one of N processes or hosts; then --merge")
    parser.add_argument("--workers", type=int, default=cores(), metavar="N",
                        help="processes of --calibrate (default: the usable cores, here %(default)s)")
    return parser


def run(argv: list[str]) -> int:
    """Runs the command; returns its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.compare:
        return _compare(arguments.compare, arguments.out, shlex.join(["thjax", "evaluate", *argv]))
    out = _out(arguments)
    if arguments.calibrate:
        return _calibrate(out, arguments.workers)
    command = shlex.join(["thjax", "evaluate", *argv])
    console = Console(stderr=True)
    if arguments.merge:
        collected = merge(Collected.read(folder) for folder in arguments.merge)
        check_complete(collected)
        return _finish(collected, report.found_in(arguments.merge), command, out)
    with console.status("reading clips") as status:
        collected, drawn = _collect(arguments, out, status.update)
    if arguments.shard.count > 1:
        path = collected.write(out)
        _printed().print(f"{len(collected.clips)} of {collected.total} clips measured, written to {path}; "
                         "merge all shards with `thjax evaluate --merge DIR ... --out DIR`")
        return 0
    return _finish(collected, drawn, command, out)


def _judges(arguments) -> Judges:
    """Ours that ship, and the networks of others that were given.

    Raises:
        UserError: networks for metrics that ask none; a file that cannot be read.
    """
    if arguments.metrics == "basic":
        if arguments.networks:
            raise UserError("--networks measures nothing under --metrics basic; leave one of them out")
        return Judges()
    return Judges.load(PublicNetworks.load(arguments.networks, arguments.sync_preset))


def _collect(arguments, out: pathlib.Path, update) -> tuple[Collected, list[pathlib.Path]]:
    """What was measured, and the pictures that were drawn of it."""
    if arguments.videos:
        judges = _judges(arguments)
        collected, shown = collect_videos(arguments.videos, arguments.reference, arguments.metrics, judges,
                                          arguments.shard, update, arguments.clips, arguments.labels)
        return collected, report.draw(shown, judges, out)
    runs = [load_run(folder, which=arguments.which, ema=not arguments.no_ema) for folder in arguments.checkpoint]
    if len(runs) > 1:
        return _collect_animated(runs, arguments, out, update)
    (loaded,) = runs
    sampler = loaded.system.sampler(loaded.nets, loaded.stats)
    if isinstance(sampler, FaceAnimator):
        raise UserError(f"{arguments.checkpoint[0]} ({loaded.config.system}) draws a mapper's motion and hears no "
                        "speech; name the mapper's run before it: --checkpoint MAPPER --checkpoint GENERATOR")
    if isinstance(sampler, MotionSampler):
        return _collect_mapper(loaded, arguments, out, update)
    judges = _judges(arguments)
    collected, shown = collect_run(loaded, arguments.data, arguments.split, arguments.seed, arguments.clips,
                                   arguments.metrics, judges, arguments.shard, update)
    return collected, report.draw(shown, judges, out)


def _collect_animated(runs: list, arguments, out: pathlib.Path, update) -> tuple[Collected, list[pathlib.Path]]:
    if len(runs) > 2:
        raise UserError(f"--checkpoint is given {len(runs)} times; give a system, or a mapper and a generator")
    from thjax.evaluate.animated import collect_animated

    judges = _judges(arguments)
    collected, shown = collect_animated(*runs, arguments.data, arguments.split, arguments.seed, arguments.clips,
                                        arguments.metrics, judges, arguments.shard, update)
    return collected, report.draw(shown, judges, out)


def _collect_mapper(loaded, arguments, out: pathlib.Path, update) -> tuple[Collected, list[pathlib.Path]]:
    if arguments.networks:
        raise UserError("--networks measure pixels, and a mapper draws none; leave them out")
    from thjax.evaluate.animation import pictures
    from thjax.evaluate.animation.run import collect_mapper  # the embedded head, only where a mapper is scored

    collected, shown = collect_mapper(loaded, arguments.data, arguments.split, arguments.seed, arguments.clips,
                                      arguments.shard, update)
    if not shown:
        return collected, []
    out.mkdir(parents=True, exist_ok=True)
    pictures.motions(shown, out / report.MOTIONS)
    return collected, [out / report.MOTIONS]


def _out(arguments) -> pathlib.Path:
    """Where results go.

    Raises:
        UserError: an argument is missing that the others need.
    """
    needed = {"--checkpoint": ("data",), "--videos": ("reference", "out"), "--merge": ("out",), "--calibrate": ("out",)}
    for option, names in needed.items():
        for name in names:
            if getattr(arguments, option[2:]) and getattr(arguments, name) is None:
                raise UserError(f"{option} needs --{name} DIR beside it; see thjax evaluate --help")
    if arguments.clips < 0:
        raise UserError(f"--clips {arguments.clips} must be 1 or more; leave it out to use all")
    if arguments.labels and not arguments.videos:
        raise UserError("--labels are those of --videos and --reference; a run's own corpus has its labels in records")
    if arguments.out:
        return arguments.out
    part = f"-{arguments.shard.index}-of-{arguments.shard.count}" if arguments.shard.count > 1 else ""
    return arguments.checkpoint[-1] / f"evaluate-{arguments.split}{part}"


def _compare(folders: list[pathlib.Path], out: pathlib.Path | None, command: str) -> int:
    found = versus.compare_folders(folders)
    printed = _printed()
    printed.print(found.terminal_table())
    counts = ", ".join(f"{name} {count}" for name, count in found.clips.items())
    printed.print(f"clips: {counts}; p by paired bootstrap, corrected for all metrics and pairs (Holm)", markup=False)
    if found.left_out:
        printed.print(f"not compared, as not all have them: {', '.join(found.left_out)}", markup=False)
    if found.alone:
        printed.print(f"not compared, as they say nothing without their controls: {', '.join(found.alone)}; see the "
                      "tables of each", markup=False)
    if not found.enough:
        printed.print(f"differences marked ? are unreliable, p and all: fewer than {FEWEST_SPEAKERS} speakers, or "
                      "clips where nobody knows the speakers", markup=False)
    if out:
        versus.write(found, command, out)
    return 0


def _calibrate(out: pathlib.Path, workers: int) -> int:
    from thjax.evaluate.calibration.run import broken, calibrate, terminal_table  # the renderer, only where it is used

    if workers < 1:
        raise UserError(f"--workers {workers} must be at least 1")
    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(),
               progress.TextColumn("clips"), progress.TimeElapsedColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("planting faults", total=None)
        result, checks, holds = calibrate(out, workers,
                                          lambda done, clips: bar.update(task, completed=done, total=clips))
    printed = _printed()
    printed.print(terminal_table(result))
    for name, check in checks.items():
        printed.print(f"{name}: {check['value']:.3f}, bar {check['bar']:.3f}: {'holds' if check['holds'] else 'FAILS'}")
    for line in broken(result):
        printed.print(line)
    printed.print(f"written to {out}")
    return 0 if holds else 1


def _finish(collected: Collected, drawn: list[pathlib.Path], command: str, out: pathlib.Path) -> int:
    """Makes the table and writes and prints it.

    Raises:
        UserError: no clip could be judged.
    """
    if not collected.clips:
        reasons = "; ".join(f"{why}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
                            for why, names in collected.not_judged.items())
        raise UserError(f"none of the {collected.total} clips could be judged. {reasons}")
    result = result_of(collected, command)
    about = result.about
    title = f"{about.get('system', about.get('videos', ''))} on {about.get('split', about.get('reference', ''))}"
    report.write(result, out, title, drawn)
    printed = _printed()
    for table in result.terminal_tables():
        printed.print(table)
    printed.print(f"{len(collected.clips)} clips judged, "
                  f"{sum(map(len, collected.not_judged.values()))} not; written to {out}")
    return 0


def _printed() -> Console:
    # A pipe has no width of its own, and a table squeezed into 80 columns loses its names.
    return Console() if sys.stdout.isatty() else Console(width=PIPE_COLUMNS)
