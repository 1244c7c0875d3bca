"""Takes a speaker out of a prepared corpus: `thjax data remove`."""

import argparse
import collections
import difflib
import json
import pathlib
import shutil
from typing import NamedTuple

from data_pipelines import guard
from data_pipelines.manifest import DATASET_FILE, INDEX_FILE, LEDGER_FILE
from data_pipelines.prepare import plan as planning
from data_pipelines.prepare.card import CARD_FOLDER
from data_pipelines.prepare.run import QUARANTINE_FILE, finish
from data_pipelines.schema import DataError


class Removed(NamedTuple):
    """What a removal did.

    Attributes:
        clips: taken out.
        rewritten: shards that held him.
        deleted: shards of an older plan, which nothing can be taken out of for certain; `prepare` makes them anew.
        whole: whether the corpus is described; else it is not written to its end.
    """

    clips: int
    rewritten: int
    deleted: int
    whole: bool


def remove(directory: pathlib.Path, speaker: str) -> Removed:
    """Rewrites the shards that hold a speaker, and takes him out of plan, ledger, index and description.

    Killed at any moment and called again, it goes on. A later `--rescan` does not bring him back: a hash of his name
    stays in the plan. Where a shard of the plan is missing, no description of the corpus stays: it would name him.

    Args:
        directory: of the corpus.
        speaker: "corpus/speaker", or the speaker alone.

    Raises:
        DataError: the corpus was not prepared from a plan, or nobody has this name.
    """
    planning.load(directory)  # no lock where there is no plan
    with guard.alone(directory):
        plan = planning.load(directory)
        corpus, known = plan.content["corpus"], plan.speakers()
        speaker = speaker if speaker.startswith(f"{corpus}/") else f"{corpus}/{speaker}"
        if speaker not in known and planning.hidden(speaker) not in plan.content["removed"]["speakers"]:
            near = difflib.get_close_matches(speaker, known, n=3) or sorted(known)[:3]
            raise DataError(f"{directory} has no speaker {speaker!r}; it has {', '.join(near)}"
                            f"{' and others' if len(known) > len(near) else ''}")
        described = directory / DATASET_FILE
        rebuild = json.loads(described.read_text()).get("rebuild", "") if described.is_file() else ""
        before, writer = plan.content["removed"]["clips"], plan.writer(rebuild)
        for shard in plan.shards:
            writer.sign(shard)
        plan = planning.drop_speaker(plan, speaker)
        done = collections.Counter(writer.keep_clips(shard) for shard in plan.shards)
        writer.remove_strangers(plan.shards)
        shutil.rmtree(directory / CARD_FOLDER, ignore_errors=True)  # it may show his face
        whole = described.is_file() and finish(plan, writer, max_bad=1.0) is not None
        if not whole:
            for name in (DATASET_FILE, INDEX_FILE, LEDGER_FILE, QUARANTINE_FILE):
                (directory / name).unlink(missing_ok=True)
    return Removed(plan.content["removed"]["clips"] - before, done["rewritten"], done["deleted"], whole)


def run(argv: list[str]) -> int:
    """Removes a speaker; returns 0."""
    parser = argparse.ArgumentParser(
        prog="thjax data remove", description="Takes a speaker out of a prepared corpus. Only the shards that hold him "
        "are written again; the corpus as it was distributed is not read and not changed.")
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    parser.add_argument("--speaker", required=True, metavar="ID", help="as the ledger names him: corpus/speaker")
    options = parser.parse_args(argv)
    removed = remove(options.data, options.speaker)
    print(f"{options.data}: {removed.clips} clips of {options.speaker} removed, {removed.rewritten} shards written "
          "again")
    if removed.deleted:
        print(f"{removed.deleted} shards were of an older plan and are deleted")
    if not removed.whole:
        print("the corpus is not written to its end; go on with the `thjax data prepare` that began it")
    return 0
