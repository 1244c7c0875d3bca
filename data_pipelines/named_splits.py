"""Splits of the real corpora by name. A name that ends in a paper's year claims only what that paper states.

Instead of a name, a folder with lists divides as it says: data_pipelines/listed_splits.py.
"""

import collections
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from data_pipelines import listed_splits
from data_pipelines.order import permutation
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.schema import DataError
from data_pipelines.splits import by_speaker, check_disjoint

SPLITS = ("train", "validation", "test")
SAME_VIDEO = "same_video"
"""Reason of a clip left out because its video, or a part of it, is on a later side of `SPLITS` as well."""
Assignment = dict[str, str]
"""Key of a clip -> one of `SPLITS`, or why the split leaves it out."""


@dataclasses.dataclass(frozen=True)
class NamedSplit:
    """A way to divide a corpus.

    Attributes:
        corpus: name of its reader; None: of any.
        says: where it comes from, and what in it is our own choice.
        assign: (clips, seed) -> assignment.
        verified: whether somebody has checked the lists against their source.
        by: "speaker": nobody is in two splits; "clip": everybody may be in all.
    """

    corpus: str | None
    says: str
    assign: Callable[[Sequence[ClipReference], int], Assignment]
    verified: bool = True
    by: str = "speaker"


@dataclasses.dataclass(frozen=True)
class Division:
    """A corpus divided.

    Attributes:
        name, seed, by, says, verified: of the split.
        splits: key -> split.
        excluded: key -> why the split leaves the clip out.
        speakers: split -> its speakers, sorted.
    """

    name: str
    seed: int
    by: str
    says: str
    verified: bool
    splits: dict[str, str]
    excluded: dict[str, str]
    speakers: dict[str, list[str]]

    def content(self) -> dict:
        """What a manifest keeps of it: enough to say who was held out, and to do it again."""
        return {"name": self.name, "seed": self.seed, "by": self.by, "says": self.says, "verified": self.verified,
                "speakers": self.speakers, "excluded": dict(collections.Counter(self.excluded.values()))}

    def report(self) -> str:
        """For people: clips and speakers of every split, and what is left out."""
        clips = collections.Counter(self.splits.values())
        lines = [f"split {self.name} (by {self.by}, seed {self.seed}): {self.says}"
                 + ("" if self.verified else " UNVERIFIED: nobody has checked these lists against their source.")]
        lines += [f"  {clips[split]:8} clips of {len(people)} speakers: {split}"
                  for split, people in self.speakers.items()]
        lines += [f"  {count:8} left out: {reason}"
                  for reason, count in sorted(collections.Counter(self.excluded.values()).items())]
        return "\n".join(lines)


def divide(name: str, clips: Sequence[ClipReference], seed: int = 0, content: bool = False) -> Division:
    """Divides clips by a named split.

    A clip that trains and comes of a video from which others validate or test is left out, and so is one that
    validates where others of its video test, whatever the split says.

    Args:
        name: of `NAMED_SPLITS`, or a folder of lists.
        clips: of one corpus, in any order.
        seed: of the splits that shuffle.
        content: also read files of equal size, and leave out clips whose bytes are on a later side.

    Raises:
        DataError: no such split, one of another corpus, one that leaves nothing to train on, or a speaker on two sides.
    """
    split, assigned = _assigned(name, sorted(clips, key=lambda clip: clip.key), seed)
    twice = same_source(clips, assigned) | (same_content(clips, assigned) if content else set())
    assigned |= dict.fromkeys(twice, SAME_VIDEO)
    people: dict[str, set[str]] = {side: set() for side in SPLITS}
    for clip in clips:
        if assigned[clip.key] in people:
            people[assigned[clip.key]].add(clip.speaker)
    speakers = {side: sorted(names) for side, names in people.items() if names}
    if "train" not in speakers:
        raise DataError(f"split {name} leaves none of {len(clips)} clips to train on; look for missing speakers with "
                        "`thjax data scan`, or choose another split")
    if split.by == "speaker":
        check_disjoint(speakers)
    return Division(os.path.basename(os.path.abspath(name)), seed, split.by, split.says, split.verified,
                    {key: side for key, side in assigned.items() if side in SPLITS},
                    {key: reason for key, reason in assigned.items() if reason not in SPLITS}, speakers)


def describe(corpus: str) -> str:
    """The splits of a corpus, for people."""
    return "\n".join(f"{name}: {split.says}" + ("" if split.verified else " UNVERIFIED.")
                     for name, split in NAMED_SPLITS.items() if split.corpus in (corpus, None))


def _assigned(name: str, clips: Sequence[ClipReference], seed: int) -> tuple[NamedSplit, Assignment]:
    if name in NAMED_SPLITS or not os.path.isdir(name):
        split = _named(name, clips)
        return split, split.assign(clips, seed)
    assigned, says = listed_splits.read(Path(name), clips)
    people = collections.defaultdict(set)
    for clip in clips:
        if assigned[clip.key] in SPLITS:
            people[clip.speaker].add(assigned[clip.key])
    by = "speaker" if all(len(sides) == 1 for sides in people.values()) else "clip"
    return NamedSplit(None, says, lambda clips, seed: assigned, by=by), assigned


def _named(name: str, clips: Sequence[ClipReference]) -> NamedSplit:
    corpora = sorted({clip.key.split("/")[0] for clip in clips})
    if len(corpora) != 1:
        raise DataError(f"a split divides one corpus, these clips are of {', '.join(corpora) or 'none'}")
    usable = [known for known, split in NAMED_SPLITS.items() if split.corpus in (corpora[0], None)]
    if name not in usable:
        raise DataError(f"no split {name!r} of {corpora[0]}; there are {', '.join(usable)}; or give a folder with "
                        "lists, train.txt and so on")
    return NAMED_SPLITS[name]


def same_source(clips: Iterable[ClipReference], assigned: Mapping[str, str]) -> set[str]:
    """Keys whose source (a file, or the longer video in `notes["source"]`) is on a later side of `SPLITS` as well."""
    sources = {}
    for clip in clips:
        if assigned[clip.key] in SPLITS:
            sources[clip.key] = {("file", *_identity(clip.video))}
            if "source" in clip.notes:
                sources[clip.key].add(("source", clip.notes["source"]))
    return _also_later(sources, assigned)


def same_content(clips: Iterable[ClipReference], assigned: Mapping[str, str]) -> set[str]:
    """Keys whose video has the bytes of one on a later side of `SPLITS`. Reads files of equal size only."""
    by_size: dict[int, list[ClipReference]] = {}
    for clip in clips:
        size = os.path.getsize(clip.video.path) if clip.video.size is None else clip.video.size
        if assigned[clip.key] in SPLITS:
            by_size.setdefault(size, []).append(clip)
    twice = set()
    for alike in by_size.values():
        if len({assigned[clip.key] for clip in alike}) > 1:
            twice |= _also_later({clip.key: {_digest(clip.video)} for clip in alike}, assigned)
    return twice


def _also_later(marks: Mapping[str, set], assigned: Mapping[str, str]) -> set[str]:
    """Keys of which a mark is also one of a key on a later side."""
    held: dict[str, set] = {side: set() for side in SPLITS}
    for key, own in marks.items():
        held[assigned[key]] |= own
    later = {side: set().union(*(held[other] for other in SPLITS[place + 1:])) for place, side in enumerate(SPLITS)}
    return {key for key, own in marks.items() if own & later[assigned[key]]}


def _identity(video: Location) -> tuple:
    """The file behind all links, and where in it the content begins."""
    try:
        status = os.stat(video.path)
    except OSError:
        return video.path, video.start
    return status.st_dev, status.st_ino, video.start


def _digest(video: Location) -> bytes:
    digest, left = hashlib.sha256(), video.size
    with open(video.path, "rb") as file:
        file.seek(video.start)
        while block := file.read(1 << 20 if left is None else min(1 << 20, left)):
            digest.update(block)
            left = None if left is None else left - len(block)
    return digest.digest()


def _official(clips: Sequence[ClipReference], seed: int) -> Assignment:
    return {clip.key: clip.split or "no_official_split" for clip in clips}


def _shares(**shares: float) -> Callable[[Sequence[ClipReference], int], Assignment]:
    """Seeded, by speaker."""
    def assign(clips: Sequence[ClipReference], seed: int) -> Assignment:
        sides = by_speaker(sorted({clip.speaker for clip in clips}), shares, seed)
        side_of = {speaker: side for side, speakers in sides.items() for speaker in speakers}
        return {clip.key: side_of[clip.speaker] for clip in clips}

    return assign


def _clip_shares(**shares: float) -> Callable[[Sequence[ClipReference], int], Assignment]:
    """Seeded, by clip."""
    def assign(clips: Sequence[ClipReference], seed: int) -> Assignment:
        sides = by_speaker([clip.key for clip in clips], shares, seed)
        return {key: side for side, keys in sides.items() for key in keys}

    return assign


def _grid(validation: Iterable[int] = (), test: Iterable[int] = ()) -> Callable:
    """GRID by the numbers of its speakers."""
    sides = {f"grid/s{number}": side for side, numbers in (("validation", validation), ("test", test))
             for number in numbers}
    return lambda clips, seed: {clip.key: sides.get(clip.speaker, "train") for clip in clips}


TCD_TEST = frozenset((8, 9, 15, 18, 25, 28, 33, 34, 36, 41, 44, 45, 49, 54, 55, 56, 58))
TCD_ACCENT = frozenset((27, 35, 53))


def _tcd_number(clip: ClipReference) -> int | None:
    """Number of a volunteer, None of a lipspeaker. The letter of the sex differs between copies for number 30."""
    match = re.match(r"tcd_timit/(\d+)", clip.speaker)
    return int(match.group(1)) if match else None


def _tcd(side: Callable[[ClipReference], str]) -> Callable[[Sequence[ClipReference], int], Assignment]:
    return lambda clips, seed: {
        clip.key: side(clip) if clip.notes.get("view") == "straightcam" else "other_view" for clip in clips}


def _tcd_independent(clip: ClipReference) -> str:
    number = _tcd_number(clip)
    if number is None:
        return "lipspeaker"
    return "accent" if number in TCD_ACCENT else "test" if number in TCD_TEST else "train"


def _tcd_lipspeakers(clip: ClipReference) -> str:
    if _tcd_number(clip) is not None:
        return "volunteer"
    return "test" if clip.speaker.endswith("3") else "train"


def _tcd_sorted(clip: ClipReference) -> str:
    number = _tcd_number(clip)
    return "lipspeaker" if number is None else "test" if number >= 50 else "train"


def _tcd_with_validation(clips: Sequence[ClipReference], seed: int) -> Assignment:
    assigned = _tcd(_tcd_independent)(clips, seed)
    tested = sorted({clip.speaker for clip in clips if assigned[clip.key] == "test"})
    held = {tested[place] for place in permutation(len(tested), seed)[: len(tested) // 3]} if tested else set()
    return assigned | {clip.key: "validation" for clip in clips
                       if assigned[clip.key] == "test" and clip.speaker in held}


VALIDATION_SPEAKERS = 120


def _voxceleb2_validation(clips: Sequence[ClipReference], seed: int) -> Assignment:
    people = sorted({clip.speaker for clip in clips if clip.split == "train"})
    if len(people) <= VALIDATION_SPEAKERS:
        raise DataError(f"{len(people)} dev speakers are here and {VALIDATION_SPEAKERS} are to validate; get more of "
                        "the corpus, or use speakers_80_10_10")
    held = {people[place] for place in permutation(len(people), seed)[:VALIDATION_SPEAKERS]}
    return _official(clips, seed) | {clip.key: "validation" for clip in clips if clip.speaker in held}


NAMED_SPLITS = {
    "grid_vougioukas2020": NamedSplit(
        "grid", "10 speakers test, 7 validate, as remembered from the paper in IJCV.",
        _grid((9, 20, 23, 27, 29, 30, 34), (2, 4, 11, 13, 15, 18, 19, 25, 31, 33)), verified=False),
    "grid_vougioukas2019": NamedSplit(
        "grid", "50, 20 and 30 % of the speakers; the paper does not name them, the seed does.",
        _shares(train=0.5, validation=0.2, test=0.3)),
    "grid_chen2021_sorted": NamedSplit(
        "grid", "27 speakers train, 6 test, as the paper; which, it does not say: s29 to s34, the last.",
        _grid(test=range(29, 35))),
    "grid_wang2020_clip90": NamedSplit(
        "grid", "9 : 1, as the paper; that clips are shuffled, and speakers are on both sides, is our reading.",
        _clip_shares(train=0.9, test=0.1), by="clip"),
    "grid_lipnet_unseen": NamedSplit(
        "grid", "s1, s2, s20 and s22 test, as the code rizkiarm/LipNet says.", _grid(test=(1, 2, 20, 22))),
    "tcd_timit_speaker_independent": NamedSplit(
        "tcd_timit", "39 volunteers train, 17 test, 3 left out for their accents, front view (georgesterpu/pyVSR).",
        _tcd(_tcd_independent)),
    "tcd_timit_speaker_independent_validation": NamedSplit(
        "tcd_timit", "As tcd_timit_speaker_independent, a third of the test speakers validate; the seed says who.",
        _tcd_with_validation),
    "tcd_timit_lipspeakers": NamedSplit(
        "tcd_timit", "Lipspeakers 1 and 2 train, 3 tests, front view (georgesterpu/pyVSR).", _tcd(_tcd_lipspeakers)),
    "tcd_timit_chen2021_sorted": NamedSplit(
        "tcd_timit", "49 volunteers train, 10 test, as the paper; which, it does not say: 50 to 59, the last.",
        _tcd(_tcd_sorted)),
    "lrw_official": NamedSplit("lrw", "The corpus's folders train, val and test.", _official),
    "voxceleb2_official": NamedSplit("voxceleb2", "dev trains, test tests; there is no validation.", _official),
    "voxceleb2_validation120": NamedSplit(
        "voxceleb2", "As voxceleb2_official, and 120 of the dev speakers validate; the seed says who.",
        _voxceleb2_validation),
    "speakers_80_10_10": NamedSplit(
        None, "80, 10 and 10 % of the speakers, whatever the corpus says; the seed says who.",
        _shares(train=0.8, validation=0.1, test=0.1)),
    "clips_80_10_10": NamedSplit(
        None, "80, 10 and 10 % of the clips, everybody in all three: for a model of people it is trained on.",
        _clip_shares(train=0.8, validation=0.1, test=0.1), by="clip"),
}
"""All named splits. LRW names no speakers, so that nobody can tell whether one is on both sides of its own split."""
DEFAULTS = {"grid": "grid_vougioukas2020", "tcd_timit": "tcd_timit_speaker_independent_validation",
            "lrw": "lrw_official", "voxceleb2": "voxceleb2_validation120", "mead": "speakers_80_10_10",
            "folder": "speakers_80_10_10"}
"""Split of a corpus for somebody who names none: each has a validation part."""
