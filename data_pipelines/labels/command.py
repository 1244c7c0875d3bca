"""`thjax label`: landmarks, head pose and action units of a corpus on disk, from a face tracker."""

import argparse
import collections
import os
import pathlib
import time

from data_pipelines import guard
from data_pipelines.labels import run as running
from data_pipelines.labels.clip import Request
from data_pipelines.labels.trackers import TRACKERS
from data_pipelines.prepare.command import usable_cores
from data_pipelines.prepare.run import Hands
from data_pipelines.progress import clip_bar, lost
from data_pipelines.readers import READERS
from data_pipelines.readers.reference import Rejected
from data_pipelines.schema import DataError


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax label`."""
    parser = argparse.ArgumentParser(
        prog="thjax label", description="Tracks the face in every clip of a corpus on disk and writes an npz file a "
        "clip, which `thjax data prepare --labels` takes. Killed at any moment and started again, it goes on. Runs in "
        "an environment of its own, with the extra `track`; downloads nothing.")
    add = parser.add_argument
    add("--tracker", required=True, choices=tuple(TRACKERS), help="mediapipe; or dlib, whose landmark model excludes "
        "commercial use")
    add("--corpus", required=True, choices=sorted(READERS), help="whose layout it is")
    add("--root", type=pathlib.Path, required=True, metavar="DIR", help="folder of the corpus as it was distributed")
    add("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder of the labels, named by clips' keys")
    add("--every", type=int, default=Request.every, metavar="K", help="look at each K-th of 25 pictures a second; "
        "those between are interpolated, and flagged, by `prepare` (default: %(default)s)")
    add("--focal", type=float, metavar="PIXELS", help="focal length of the camera, which head pose depends on; of "
        "videos cropped to the face about 3.2 times their side (default: what OpenFace assumes of a whole frame)")
    add("--workers", type=int, default=usable_cores(), metavar="N",
        help="processes that track (default: the usable cores, here %(default)s)")
    add("--timeout", type=float, default=Hands.timeout, metavar="SECONDS",
        help="that a clip may take before it counts as hung (default: %(default)s)")
    add("--rank", type=int, default=0, metavar="R", help="of this machine, with --nshard (default: %(default)s)")
    add("--nshard", type=int, default=1, metavar="N",
        help="machines that share the work, each with another --rank and the same --out (default: %(default)s)")
    return parser


def run(argv: list[str]) -> int:
    """Labels; returns 0.

    Raises:
        DataError: the tracker cannot be loaded, nothing was found, or not one clip could be labelled.
        UserError: the disk is full.
    """
    options, started = parser().parse_args(argv), time.monotonic()
    request = Request(options.tracker, options.every, options.focal)
    hands = Hands(options.workers, options.timeout, options.rank, options.nshard)
    if not options.root.is_dir():
        raise DataError(f"{options.root}: no such folder; give the folder that {options.corpus} was unpacked into")
    # Here first, so that what is missing is said before a run of days begins.
    version = TRACKERS[options.tracker].version
    found = list(READERS[options.corpus].scan(pathlib.Path(os.path.abspath(options.root)), hands.threads))
    with clip_bar() as bar:
        task = bar.add_task("clips", total=None, lost="")
        with guard.room():
            done = running.write(
                found, request, options.out, options.corpus, version, hands,
                lambda done: bar.update(task, total=done.clips, completed=done.done, lost=_state(done)))
    rejected = collections.Counter(item.reason for item in found if isinstance(item, Rejected))
    print(_summary(options, done, rejected, len(found), time.monotonic() - started))
    if done.clips and sum(done.reasons.values()) == done.clips:
        raise DataError(f"not one of {done.clips} clips could be labelled{lost(done.reasons)}; for example "
                        f"{done.named[0]['detail']}")
    return 0


def _state(done: running.Progress) -> str:
    return f"{1000 * done.seconds_a_picture:.1f} ms a picture{lost(done.reasons)}"


def _summary(options: argparse.Namespace, done: running.Progress, rejected: dict, found: int, seconds: float) -> str:
    """What became of everything, what it cost, and where the rest is named."""
    untracked = sum(done.reasons.values())
    of_rank = f" of rank {options.rank} of {options.nshard}" if options.nshard > 1 else ""
    named = options.out / options.corpus / f"untracked-{options.rank}-of-{options.nshard}.jsonl"
    lines = [
        f"{options.out}: {done.clips} clips{of_rank} = {done.clips - untracked} labelled + {untracked} without labels"
        f"{lost(done.reasons)}; {done.kept} of them were there already; {sum(rejected.values())} of {found} things "
        f"found are no clips{lost(rejected)}",
        f"{done.pictures} pictures at 25 a second, {done.looked_at} looked at, {done.lost} of these without the "
        f"clip's face, in {done.partly} clips{f': see {named}' if done.named else ''}"]
    if done.done > done.kept:
        lines.append(f"{1000 * done.seconds_a_picture:.1f} ms of a process a picture looked at, "
                     f"{(done.done - done.kept) / seconds:.2f} clips/s, in {seconds:.0f} s")
    return "\n".join(lines)
