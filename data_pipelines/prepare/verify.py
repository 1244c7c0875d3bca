"""Everything that is wrong with a corpus on disk, not only the first thing."""

import collections
import concurrent.futures
import json

from data_pipelines import records
from data_pipelines.manifest import LEDGER_FILE, Manifest
from data_pipelines.schema import DataError
from data_pipelines.shards import open_shard


def problems(manifest: Manifest, decode: bool, pool: concurrent.futures.Executor) -> list[str]:
    """Hashes files, counts records, and compares ledger, index and counts.

    Args:
        manifest: of the corpus.
        decode: whether to decode every frame of every record.
        pool: of threads.
    """
    shards = manifest.content["shards"]
    found = [problem for problem in pool.map(lambda shard: _of_shard(manifest, shard, decode), shards) if problem]
    return found + _of_ledger(manifest)


def _of_shard(manifest: Manifest, shard: dict, decode: bool) -> str | None:
    try:
        manifest.verify_shard(shard)
        if decode:
            _decode(manifest, shard)
    except DataError as error:
        return str(error)
    return None


def _decode(manifest: Manifest, shard: dict) -> None:
    reader = open_shard(manifest.directory / shard["name"])
    for place in range(shard["records"]):
        record = records.decode(reader.read([place])[0])
        if record["split"] != shard["split"]:
            raise DataError(f"{shard['name']}: {record['key']} is of the split {record['split']}; {manifest.mend()}")
        if manifest.pixels:
            records.decode_frames(record, range(record["n"]))


def _of_ledger(manifest: Manifest) -> list[str]:
    """Contradictions between the ledger, the index and the counts."""
    try:
        manifest.verify_described()
    except DataError as error:
        return [str(error)]
    with open(manifest.directory / LEDGER_FILE) as file:
        lines = [json.loads(line) for line in file]
    status = collections.Counter(line["status"] for line in lines)
    segments = sum(line.get("segments", 0) for line in lines)
    found = []
    if segments != len(manifest.index["n"]):
        indexed = len(manifest.index["n"])
        found.append(f"{LEDGER_FILE} counts {segments} records, the index {indexed}; {manifest.mend()}")
    counts = manifest.content.get("counts")
    if counts:
        told = {"ok": counts["written"], "quarantined": counts["quarantined"], "excluded": counts["excluded"]}
        found += [f"{LEDGER_FILE} has {status[name]} clips that are {name}, dataset.json {number}; {manifest.mend()}"
                  for name, number in told.items() if status[name] != number]
        whole = sum(told.values()) + counts["removed"]
        if whole != counts["discovered"]:
            found.append(f"{counts['discovered']} clips were discovered and {whole} are accounted for")
    return found
