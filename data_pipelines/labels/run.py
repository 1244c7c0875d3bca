"""Labels the clips of a corpus, several at once, each into a file of its own, and accounts for every one.

    OUT/<key>.npz                           labels, as `thjax data prepare --labels OUT` takes them
    OUT/<key>.untracked.json                why a clip has none; delete it to have the clip tried again
    OUT/<corpus>/label.json                 how all of them were made
    OUT/<corpus>/untracked-R-of-N.jsonl     every clip of rank R without labels, and every one with lost frames

A file is there whole or not at all, so what is there is done: the same command goes on after any end.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from data_pipelines import guard
from data_pipelines.labels.clip import Labelled, Request, label_clip
from data_pipelines.prepare.process import Makers
from data_pipelines.prepare.reasons import BadClip
from data_pipelines.prepare.run import POLL_SECONDS, Hands
from data_pipelines.readers.reference import ClipReference, Rejected
from data_pipelines.schema import DataError
from thjax.core import files

UNTRACKED = ".untracked.json"
TRIED_AGAIN = ("missing", "decode_hung", "decode_crashed", "failed")
"""Reasons that may lie with the machine and not with the clip: the next run tries again."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a clip.

    Attributes:
        key: of the clip.
        reason, detail: why it has no labels; empty where it has.
        pictures: at 25 a second.
        looked_at: of these, given to the tracker.
        lost: of these, without the clip's face.
        seconds: that it took in this run; 0 where it was there already.
        kept: it was there already.
    """

    key: str
    reason: str = ""
    detail: str = ""
    pictures: int = 0
    looked_at: int = 0
    lost: int = 0
    seconds: float = 0.0
    kept: bool = False


@dataclasses.dataclass
class Progress:
    """What has been done, for whoever shows it.

    Attributes:
        clips: of this rank.
        done: of these, labelled or given up.
        kept: of these, those that were there already.
        partly: clips with pictures that lack the clip's face.
        pictures, looked_at, lost: sums over the clips, see `Outcome`.
        reasons: clips without labels, by reason.
        named: lines of the clips without labels and of those with lost pictures.
    """

    clips: int
    done: int = 0
    kept: int = 0
    partly: int = 0
    pictures: int = 0
    looked_at: int = 0
    lost: int = 0
    reasons: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    named: list[dict] = dataclasses.field(default_factory=list)
    _seconds: float = 0.0
    _timed: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts a clip."""
        self.done += 1
        self.kept += outcome.kept
        self.partly += outcome.lost > 0
        self.pictures += outcome.pictures
        self.looked_at += outcome.looked_at
        self.lost += outcome.lost
        self._seconds += outcome.seconds
        self._timed += 0 if outcome.kept else outcome.looked_at
        if outcome.reason:
            self.reasons[outcome.reason] += 1
            self.named.append({"key": outcome.key, "reason": outcome.reason, "detail": outcome.detail})
        elif outcome.lost:
            self.named.append({"key": outcome.key, "lost": outcome.lost, "looked_at": outcome.looked_at})

    @property
    def seconds_a_picture(self) -> float:
        """Of one process, decoding included, for every picture that was looked at in this run; 0 before the first."""
        return self._seconds / self._timed if self._timed else 0.0


def write(found: Iterable[ClipReference | Rejected], request: Request, out: Path, corpus: str, version: str,
          hands: Hands = Hands(), report: Callable[[Progress], None] = lambda progress: None) -> Progress:
    """Labels what is not labelled yet.

    Args:
        found: everything that the reader found, in its order; the n-th clip is rank n % nshard's.
        request: how.
        out: folder of the labels.
        corpus: name of the reader.
        version: of the tracker.
        hands: who works.
        report: called about ten times a second.

    Raises:
        DataError: `out` holds labels that were made otherwise, or the tracker cannot be loaded.
        RunStopped: SIGINT or SIGTERM; finished clips stay.
    """
    clips = [item for item in found if isinstance(item, ClipReference)][hands.rank :: hands.nshard]
    with (guard.alone(out, hands.rank, hands.nshard), guard.Interruption() as interruption,
          hands.makers(functools.partial(label_clip, request=request)) as makers):
        with guard.in_turn(out):
            _agree(out / corpus / "label.json", dataclasses.asdict(request) | {"version": version})
        progress = Progress(len(clips))
        for outcome in _outcomes(clips, functools.partial(_done, out, makers), hands.threads, interruption,
                                 functools.partial(report, progress)):
            progress.add(outcome)
        report(progress)
        _write_lines(out / corpus / f"untracked-{hands.rank}-of-{hands.nshard}.jsonl", progress.named)
    return progress


def _outcomes(clips: Sequence[ClipReference], done: Callable[[ClipReference], Outcome], threads: int,
              interruption: guard.Interruption, report: Callable[[], None]) -> Iterable[Outcome]:
    """What becomes of clips, in the order in which they are done; a few more are handed out than there are threads."""
    rest = iter(clips)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        pending = {pool.submit(done, clip) for clip in itertools.islice(rest, 2 * threads)}
        try:
            while pending:
                finished, pending = concurrent.futures.wait(pending, POLL_SECONDS, concurrent.futures.FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                pending |= {pool.submit(done, clip) for clip in itertools.islice(rest, len(finished))}
                report()
                interruption.check()
        finally:
            pool.shutdown(cancel_futures=True)


def _done(out: Path, makers: Makers, reference: ClipReference) -> Outcome:
    """Labels a clip, unless that is done."""
    path, refused = out / f"{reference.key}.npz", out / f"{reference.key}{UNTRACKED}"
    outcome = _kept(path, refused, reference)
    if outcome is not None:
        return outcome
    path.parent.mkdir(parents=True, exist_ok=True)
    made = makers(reference)
    if isinstance(made, BadClip):
        files.write_json(refused, {"reason": made.reason, "detail": made.detail, "video_bytes": _bytes(reference)})
        path.unlink(missing_ok=True)  # labels of a video that was replaced
        return Outcome(reference.key, made.reason, made.detail)
    with files.whole(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **made.content)
    refused.unlink(missing_ok=True)
    return _counted(reference.key, made)


def _counted(key: str, made: Labelled, kept: bool = False) -> Outcome:
    face_ok = made.content["face_ok"]
    return Outcome(key, pictures=int(made.content["pictures"]), looked_at=len(face_ok),
                   lost=int((face_ok == 0).sum()), seconds=made.seconds, kept=kept)


def _kept(path: Path, refused: Path, reference: ClipReference) -> Outcome | None:
    """What is on disk of a clip, made of a video of the size that it has now."""
    try:
        with np.load(path) as archive:
            content = {name: archive[name] for name in ("face_ok", "pictures", "video_bytes")}
        if int(content["video_bytes"]) == _bytes(reference):
            return _counted(reference.key, Labelled(content, 0.0), kept=True)
    except FileNotFoundError:
        if refused.exists():
            said = json.loads(refused.read_text())
            if said["reason"] not in TRIED_AGAIN and said["video_bytes"] == _bytes(reference):
                return Outcome(reference.key, said["reason"], said["detail"], kept=True)
    except (*files.DAMAGED_NPZ, KeyError) as error:
        raise DataError(f"{path}: no labels of `thjax label` ({error}); take it away, or choose another "
                        "--out") from None
    return None


def _bytes(reference: ClipReference) -> int:
    video = reference.video
    if video.member is not None:
        return video.size or 0
    try:
        return os.path.getsize(video.path)
    except OSError:
        return 0


def _agree(path: Path, settings: dict) -> None:
    """Writes down how labels are made, or compares with what was written down."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, settings, sort_keys=True)
        return
    before = json.loads(path.read_text())
    other = [f"{name} {before.get(name)}, not {value}" for name, value in settings.items() if before.get(name) != value]
    if other:
        raise DataError(f"{path.parent} holds labels that were made with {'; '.join(other)}; a corpus is labelled in "
                        "one way: give the same options, or another --out")


def _write_lines(path: Path, lines: list[dict]) -> None:
    with files.whole(path) as temporary:
        temporary.write_text("".join(json.dumps(line, sort_keys=True) + "\n"
                                     for line in sorted(lines, key=lambda line: line["key"])))
