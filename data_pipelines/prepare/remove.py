"""Takes a speaker out of a prepared corpus: `thjax data remove`."""

import argparse
import difflib
import json
import pathlib
import shutil

from data_pipelines import guard
from data_pipelines.manifest import DATASET_FILE
from data_pipelines.prepare import plan as planning
from data_pipelines.prepare.card import CARD_FOLDER
from data_pipelines.prepare.run import finish
from data_pipelines.schema import DataError


def remove(directory: pathlib.Path, speaker: str) -> tuple[int, int]:
    """Rewrites the shards that hold a speaker, and takes him out of plan, ledger, index and description.

    Killed at any moment and called again, it goes on. A later `--rescan` does not bring him back: a hash of his name
    stays in the plan.

    Args:
        directory: of the corpus.
        speaker: "corpus/speaker", or the speaker alone.

    Returns:
        Clips taken out, and shards rewritten.

    Raises:
        DataError: the corpus was not prepared from a plan, or nobody has this name.
    """
    plan = planning.load(directory)
    corpus = plan.content["corpus"]
    speaker = speaker if speaker.startswith(f"{corpus}/") else f"{corpus}/{speaker}"
    with guard.alone(directory):
        known = plan.speakers()
        if speaker not in known and planning.hidden(speaker) not in plan.content["removed"]["speakers"]:
            near = difflib.get_close_matches(speaker, known, n=3) or sorted(known)[:3]
            raise DataError(f"{directory} has no speaker {speaker!r}; it has {', '.join(near)}"
                            f"{' and others' if len(known) > len(near) else ''}")
        before = plan.content["removed"]["clips"]
        plan = planning.drop_speaker(plan, speaker)
        described = directory / DATASET_FILE
        rebuild = json.loads(described.read_text()).get("rebuild", "") if described.is_file() else ""
        writer = plan.writer(rebuild)
        rewritten = sum(writer.keep_clips(shard) for shard in plan.shards)
        shutil.rmtree(directory / CARD_FOLDER, ignore_errors=True)  # it may show his face
        if described.is_file():
            finish(plan, writer, max_bad=1.0)
    return plan.content["removed"]["clips"] - before, rewritten


def run(argv: list[str]) -> int:
    """Removes a speaker; returns 0."""
    parser = argparse.ArgumentParser(
        prog="thjax data remove", description="Takes a speaker out of a prepared corpus. Only the shards that hold him "
        "are written again; the corpus as it was distributed is not read and not changed.")
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    parser.add_argument("--speaker", required=True, metavar="ID", help="as the ledger names him: corpus/speaker")
    options = parser.parse_args(argv)
    clips, shards = remove(options.data, options.speaker)
    print(f"{options.data}: {clips} clips of {options.speaker} removed, {shards} shards written again")
    return 0
