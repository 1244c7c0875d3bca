"""Which clip goes into which shard, fixed on disk before the first is decoded.

`plan/clips.jsonl`: a line for everything that the reader found, in its order. `plan/shards.jsonl`: a line a shard, with
the keys of its clips. What is in the first and not in the second is rejected or excluded, so nothing can vanish.
`plan/excluded.json` says why a split leaves a clip out, `plan/plan.json` what all follows from.
"""

import collections
import contextlib
import dataclasses
import filecmp
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from data_pipelines import guard
from data_pipelines.prepare.clip import Settings
from data_pipelines.prepare.dividing import divide
from data_pipelines.prepare.file_states import with_states
from data_pipelines.readers.reference import ClipReference, Location, Reader, Rejected
from data_pipelines.schema import DataError
from data_pipelines.writer import Shard, Writer
from thjax.core import files
from thjax.core.errors import UserError

FOLDER = "plan"
_NEXT = "next"
"""Below it, where a new plan is made: until it is whole, the old one stands."""
_PARTS = ("clips.jsonl", "shards.jsonl", "excluded.json")
"""Files of a plan beside `plan.json`."""
VERSION = 4
"""Of what clips become: a change of it makes every shard anew."""
MIN_CLIPS_PER_SHARD, MAX_CLIPS_PER_SHARD, SHARDS_AIMED_AT = 12, 384, 64


@dataclasses.dataclass(frozen=True)
class Wish:
    """What the user asks for; equal wishes on an equal disk give equal bytes.

    Attributes:
        corpus: name of the reader.
        root: folder that it reads.
        settings: of the clips.
        split: see data_pipelines/prepare/dividing.py.
        seed: of the division and of the order.
        compare_bytes: leave out what has the bytes of a clip on a later side of the split.
        labels: folder of the labels, where `settings.labels`.
    """

    corpus: str
    root: str
    settings: Settings = Settings()
    split: str = "auto"
    seed: int = 0
    compare_bytes: bool = False
    labels: str = ""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A plan on disk.

    Attributes:
        directory: of the corpus that is being written.
        content: of `plan.json`.
        shards: in order.
        offsets: place of every clip's line in `clips.jsonl`, by key.
        left_out: ledger lines of everything that is in no shard.
    """

    directory: Path
    content: dict
    shards: list[Shard]
    offsets: Mapping[str, int]
    left_out: list[dict]

    @property
    def settings(self) -> Settings:
        return Settings(**self.content["settings"])

    @property
    def clips(self) -> int:
        """Clips in shards."""
        return sum(len(shard.clips) for shard in self.shards)

    def reference(self, key: str) -> ClipReference:
        """What the reader said of a clip."""
        with open(self.directory / FOLDER / "clips.jsonl", "rb") as file:
            file.seek(self.offsets[key])
            return reference_of(json.loads(file.readline()))

    def speakers(self) -> set[str]:
        """Names of everybody of whom anything was found."""
        keys = [*self.offsets, *(line["key"] for line in self.left_out)]
        return {_speaker(key) for key in keys}

    def writer(self, rebuild: str = "") -> Writer:
        """The writer of this plan."""
        source = {"settings": self.content["settings"], "version": VERSION, "corpus": self.content["corpus"]}
        return Writer(self.directory, dataset=self.content["corpus"], size=self.settings.stored,
                      source=json.dumps(source, sort_keys=True), rebuild=rebuild)


def make(reader: Reader, wish: Wish, directory: Path, workers: int = 1, again: bool = False) -> Plan:
    """Scans and plans, or returns the plan that is there for the same wish.

    Args:
        reader: of the corpus.
        wish: what is asked for.
        directory: of the corpus to write.
        workers: threads or processes that list folders.
        again: scan even where there is a plan of the same wish.

    Raises:
        DataError: nothing was found, or what was found cannot be divided as asked.
        UserError: another process writes by the plan that is there, and the new one differs, or has changed it.
    """
    known = _content(directory)
    if not again and known is not None and known["wish"] == json.loads(json.dumps(dataclasses.asdict(wish))):
        return load(directory)
    removed = known["removed"] if known else {"speakers": [], "clips": 0}
    with _next(directory / FOLDER) as folder:
        with files.whole(folder / "clips.jsonl") as temporary, open(temporary, "w") as file:
            found, lines, gone = _scan(reader, wish, workers, removed["speakers"], file)
            if not found:
                raise DataError(f"{wish.root}: not one clip of {wish.corpus} to prepare among {lines} things found; "
                                f"`thjax data scan --corpus {wish.corpus} --root DIR` says what they are")
        parts, excluded, division = divide([clip for clip, _ in found.values()], wish.split, wish.seed,
                                           wish.compare_bytes)
        per_shard = min(max(sum(map(len, parts.values())) // SHARDS_AIMED_AT, MIN_CLIPS_PER_SHARD),
                        MAX_CLIPS_PER_SHARD)
        shards = Writer(directory, wish.corpus, wish.settings.stored).plan(parts, wish.seed, per_shard)
        found = with_states(found, wish.labels if wish.settings.labels else "", workers)
        _store_shards(folder, [_with_content(shard, {key: found[key][1] for key in shard.clips}) for shard in shards])
        files.write_json(folder / "excluded.json", excluded, sort_keys=True)
        content = {
            "wish": dataclasses.asdict(wish), "settings": dataclasses.asdict(wish.settings), "corpus": wish.corpus,
            "licence": reader.licence, "division": division, "discovered": lines, "removed": removed | {"clips": gone},
        }
        same = filecmp.cmpfiles(folder, directory / FOLDER, _PARTS, shallow=False)[0] == list(_PARTS)
        if not same or known != json.loads(json.dumps(content)):  # else it disturbs nobody who writes by it
            with guard.alone(directory):
                if _content(directory) != known:
                    raise UserError(f"another process changed the plan in {directory} meanwhile; run the same command "
                                    "again")
                files.write_json(folder / "plan.json", content, sort_keys=True)
                _take_next(directory / FOLDER)
    return load(directory)


@contextlib.contextmanager
def _next(folder: Path) -> Iterator[Path]:
    """An empty folder for a new plan; one that comes to nothing, and so has no `plan.json`, is taken away."""
    next_one = folder / _NEXT
    shutil.rmtree(next_one, ignore_errors=True)
    next_one.mkdir(parents=True)
    try:
        yield next_one
    finally:
        if not (next_one / "plan.json").is_file():
            shutil.rmtree(next_one, ignore_errors=True)


def _take_next(folder: Path) -> None:
    """Puts a new plan, whole once it has its `plan.json`, in the place of the old one.

    `plan.json` goes last: as long as it waits, whoever comes goes on with what was cut short.
    """
    if (folder / _NEXT / "plan.json").is_file():
        for name in (*_PARTS, "plan.json"):
            with contextlib.suppress(FileNotFoundError):  # in its place already
                os.replace(folder / _NEXT / name, folder / name)
        shutil.rmtree(folder / _NEXT, ignore_errors=True)


def load(directory: Path) -> Plan:
    """The plan in a directory.

    Raises:
        DataError: there is none, or a file of it is gone.
    """
    content = _content(directory)
    if content is None:
        raise DataError(f"{directory} has no plan; make one with `thjax data plan --corpus NAME --root DIR --out "
                        f"{directory}`")
    removed = set(content["removed"]["speakers"])
    with open(directory / FOLDER / "shards.jsonl") as file:
        shards = [Shard(**(entry | {"clips": tuple(key for key in entry["clips"] if not _is_of(key, removed))}))
                  for entry in map(json.loads, file)]
    planned = {key for shard in shards for key in shard.clips}
    excluded = json.loads((directory / FOLDER / "excluded.json").read_text())
    offsets, left_out, place = {}, [], 0
    with open(directory / FOLDER / "clips.jsonl", "rb") as file:
        for line in file:
            entry = json.loads(line)
            if _is_of(entry["key"], removed):  # a removal was cut short
                pass
            elif "rejected" in entry:
                left_out.append(_quarantined(entry, content["wish"]["root"]))
            elif entry["key"] in planned:
                offsets[entry["key"]] = place
            else:
                left_out.append({"key": entry["key"], "speaker": entry["speaker"], "status": "excluded",
                                 "reason": excluded[entry["key"]]})
            place += len(line)
    return Plan(directory, content, shards, offsets, left_out)


def drop_speaker(plan: Plan, speaker: str) -> Plan:
    """The plan on disk without a speaker, whose name does not stay in it.

    Shards keep their numbers; those that lose clips are of another plan from then on. `plan.json` is written first:
    with it he is gone for every reader, and only a hash says who. Cut short after it, a second call ends the work.
    """
    folder, removed, division = plan.directory / FOLDER, plan.content["removed"], plan.content["division"]
    name, source = hidden(speaker), folder / "clips.jsonl"
    shutil.rmtree(folder / _NEXT, ignore_errors=True)  # of a plan that came to nothing: it may name him
    if name not in removed["speakers"]:
        with open(source) as file:
            number = sum(_is_of(json.loads(line)["key"], {name}) for line in file)
        people = {side: [other for other in names if other != speaker] for side, names in division["speakers"].items()}
        changed = {"removed": {"speakers": sorted([*removed["speakers"], name]), "clips": removed["clips"] + number},
                   "division": division | {"speakers": people}}
        files.write_json(folder / "plan.json", plan.content | changed, sort_keys=True)
        plan = load(plan.directory)
    _store_shards(folder, plan.shards)
    excluded = json.loads((folder / "excluded.json").read_text())
    files.write_json(folder / "excluded.json", {key: why for key, why in excluded.items() if not _is_of(key, {name})},
                     sort_keys=True)
    with files.whole(source) as temporary, open(temporary, "w") as out, open(source) as file:
        out.writelines(line for line in file if not _is_of(json.loads(line)["key"], {name}))
    return load(plan.directory)


def reference_of(entry: dict) -> ClipReference:
    """A reference from its line."""
    timed = {name: None if entry[name] is None else tuple(map(tuple, entry[name])) for name in ("words", "phonemes")}
    audio = entry["audio"] and Location(**entry["audio"])
    return ClipReference(**(entry | timed | {"video": Location(**entry["video"]), "audio": audio}))


def _scan(reader: Reader, wish: Wish, workers: int, removed: list[str],
          file) -> tuple[dict[str, tuple[ClipReference, bytes]], int, int]:
    """Writes a line for everything found, but nothing of removed speakers.

    Returns:
        Clips with the hash of their lines by key, the number of things found, and how many are of removed speakers.
    """
    found, lines, gone = {}, 0, 0
    for entry in reader.scan(Path(wish.root), workers):
        lines += 1
        if _is_of(entry.key, removed):
            gone += 1
            continue
        if isinstance(entry, ClipReference) and entry.key in found:
            entry = Rejected(entry.key, entry.video, "duplicate_key", "another clip has this key; the first is kept")
        if isinstance(entry, ClipReference) and not _is_text(entry):
            entry = Rejected(entry.key, entry.video, "name_not_utf8", "the name is no UTF-8 text; rename the file")
        if isinstance(entry, Rejected):
            text = json.dumps({"key": entry.key, "location": str(entry.location), "rejected": entry.reason,
                               "detail": entry.detail}, sort_keys=True)
        else:
            text = json.dumps(dataclasses.asdict(entry), sort_keys=True)
            found[entry.key] = entry, hashlib.sha256(text.encode()).digest()[:8]
        file.write(text + "\n")
    return found, lines, gone


def _is_text(reference: ClipReference) -> bool:
    try:
        f"{reference.key}{reference.speaker}{reference.sentence}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_content(shard: Shard, fingerprints: Mapping[str, bytes]) -> Shard:
    """A shard's content is that of its clips' lines and files: a mended film or a changed label makes it anew."""
    content = hashlib.sha256(b"".join(fingerprints[key] for key in shard.clips)).hexdigest()[:16]
    return dataclasses.replace(shard, content=content)


def _store_shards(folder: Path, shards: list[Shard]) -> None:
    with files.whole(folder / "shards.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(dataclasses.asdict(shard), sort_keys=True) + "\n" for shard in shards))


def _content(directory: Path) -> dict | None:
    _take_next(directory / FOLDER)
    try:
        content = json.loads((directory / FOLDER / "plan.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        raise DataError(f"{directory / FOLDER}: plan.json is damaged; delete the folder and run the command "
                        "again") from None
    return content


def _quarantined(entry: dict, root: str) -> dict:
    return {"key": entry["key"], "status": "quarantined", "reason": entry["rejected"],
            "detail": below(root, entry["detail"]), "source": below(root, entry["location"])}


def below(root: str, text: str) -> str:
    """A text without the folder that the corpus lies in, which is no part of it."""
    return text.replace(root.rstrip("/") + "/", "")


def _speaker(key: str) -> str:
    """Whose clip it is."""
    return "/".join(key.split("/")[:2])


def _is_of(key: str, removed: Collection[str]) -> bool:
    """Whether a clip is of one of the speakers of these hashes."""
    return bool(removed) and hidden(_speaker(key)) in removed


def hidden(speaker: str) -> str:
    """A speaker's name as only somebody who knows it can recognise."""
    return hashlib.sha256(speaker.encode("utf-8", "surrogatepass")).hexdigest()


def reasons_of(lines: Iterable[dict]) -> dict[str, int]:
    """How often each reason stands in lines of the ledger, sorted by name."""
    return dict(sorted(collections.Counter(line["reason"] for line in lines if "reason" in line).items()))
