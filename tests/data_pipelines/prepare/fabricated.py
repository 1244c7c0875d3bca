"""A corpus of VoxCeleb2's size that was never filmed: the plan and the reports of its shards, which are one byte each.

    python -m tests.data_pipelines.prepare.fabricated DIRECTORY

describes it with 256 open files at most, and prints seconds and megabytes as JSON.
"""

import dataclasses
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from data_pipelines import statistics
from data_pipelines.manifest import Manifest
from data_pipelines.prepare import plan as planning
from data_pipelines.prepare import run
from data_pipelines.prepare.clip import Settings
from data_pipelines.readers.reference import ClipReference, Location
from data_pipelines.writer import Shard

PEOPLE = 6_000
LONGEST = 4


def key_of(clip: int) -> str:
    return f"voxceleb2/id{clip % PEOPLE:05d}/video{clip // PEOPLE:06d}/{clip:07d}"


def segments_of(clip: int) -> int:
    """Records of a clip: 3, and of every fifth 4, as a mean of 7.8 s gives."""
    return LONGEST if clip % 5 == 0 else 3


def fabricate(directory: Path, clips: int, shards: int) -> None:
    """Writes a plan and the reports of shards whose clips go through all people in turn."""
    bounds = np.linspace(0, clips, shards + 1).astype(int)
    parts = [range(first, end) for first, end in zip(bounds[:-1], bounds[1:], strict=True)]
    planned = [Shard("train", number, shards, tuple(map(key_of, part))) for number, part in enumerate(parts)]
    _write_plan(directory, planned, clips)
    writer = planning.load(directory).writer()
    (directory / "done").mkdir()
    counted = _statistics()
    for shard, part in zip(planned, parts, strict=True):
        lines = [_line(clip) for clip in part]
        rows = [[75, place] for line in lines for place in range(line["segments"])]
        report = {"clips": lines, "rows": rows, "fields": ["au", "pose"],
                  "label_source": {"au": "openface_csv", "pose": "openface_csv"}, "sha256": "0" * 64, "bytes": 1,
                  "plan": writer._plan_hash(shard),
                  "statistics": counted | {"records": len(rows), "clips": len(lines), "frames": 75 * len(rows)}}
        writer.shard_path(shard).write_bytes(b"x")
        writer._report_path(shard).write_text(json.dumps(report))


def _write_plan(directory: Path, shards: list[Shard], clips: int) -> None:
    folder = directory / planning.FOLDER
    folder.mkdir(parents=True)
    planning._store_shards(folder, shards)
    with open(folder / "clips.jsonl", "w") as file:
        for clip in range(clips):
            key = key_of(clip)
            found = ClipReference(key, key[:17], Location(f"/voxceleb2/dev/mp4/{key}.mp4"), av_offset=2.0)
            file.write(json.dumps(vars(found) | {"video": vars(found.video)}) + "\n")
    (folder / "excluded.json").write_text("{}")
    wish = planning.Wish("voxceleb2", "/voxceleb2", Settings())
    division = {"name": "train", "seed": 0, "by": "clip", "says": "Everything trains.", "verified": True,
                "speakers": {"train": []}, "excluded": {}}
    (folder / "plan.json").write_text(json.dumps({
        "wish": dataclasses.asdict(wish), "settings": dataclasses.asdict(wish.settings), "corpus": "voxceleb2",
        "licence": "none", "division": division, "discovered": clips, "removed": {"speakers": [], "clips": 0}}))


def _statistics() -> dict:
    """Of 75 frames with intensities and pose: histograms as full as those of a real shard take the time."""
    rng = np.random.default_rng(0)
    return statistics.of_clip([{
        "segment": 0, "n": 75, "face_ok": np.ones(75, np.uint8), "au": rng.uniform(0, 5, (75, 17)).astype(np.float32),
        "pose": (rng.normal(0, 1, (75, 6)) + [0, 0, 900, 0, 0, 0]).astype(np.float32)}])


def _line(clip: int) -> dict:
    key = key_of(clip)
    return {"key": key, "split": "train", "speaker": key[:17], "status": "ok", "frames": 75 * segments_of(clip),
            "segments": segments_of(clip), "sentence": "", "source": f"dev/mp4/{key}.mp4",
            "source_bytes": 244_000 + clip, "source_sha256": f"{clip:064x}", "source_fps": 25.0,
            "source_size": [224, 224], "sound": "own", "sound_rate": 16_000, "notes": {"asd": "5.1", "fv": "16.1"},
            "frames_masked": clip % 3, "frames_interpolated": 0, "warnings": [],
            "labels": {"sources": {"au": "openface_csv", "pose": "openface_csv"}, "person_normalised": clip % 2 == 0}}


def describe(directory: Path) -> dict:
    """Loads the plan, describes the corpus, and opens it: seconds of the processor, and megabytes at most."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    said = {"megabytes_before": _megabytes()}
    plan = planning.load(directory)
    said |= {"megabytes_of_plan": _megabytes()}
    began = time.process_time()
    run.finish(plan, plan.writer(), max_bad=0.02)
    said |= {"megabytes": _megabytes(), "seconds": time.process_time() - began}
    began = time.process_time()
    Manifest.load(directory)
    return said | {"seconds_to_open": time.process_time() - began}


def _megabytes() -> float:
    """The most memory that this program had; what `getrusage` says may be that of whoever started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(describe(Path(sys.argv[1]))))
