"""Gives clips back as files that every program reads: `thjax data export`."""

import argparse
import csv
import pathlib
import wave

import numpy as np

from data_pipelines import media, records, schema
from data_pipelines.manifest import Manifest
from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader
from thjax.core import files

_COLUMNS = {"au": schema.AU_INTENSITY, "au_presence": tuple(f"{name}_presence" for name in schema.AU_PRESENCE),
            "pose": schema.POSE, "blink": ("blink",),
            "landmarks": tuple(f"{axis}_{place}" for place in range(schema.LANDMARKS) for axis in "xy")}


def export(manifest: Manifest, out: pathlib.Path, rows: list[np.ndarray]) -> int:
    """Writes `KEY.mp4`, `KEY.wav` and `KEY.csv` for clips, and `KEY.identity.csv` where they have an embedding.

    Args:
        manifest: of the corpus.
        out: folder; a key's own folders are made below it.
        rows: of the index, those of a clip together and in order.

    Returns:
        Clips written.
    """
    index = manifest.index
    reader = ShardReader([manifest.directory / shard["name"] for shard in manifest.content["shards"]])
    for clip in rows:
        segments = [records.decode(reader.read(int(index["shard"][row]), int(index["offset"][row]))) for row in clip]
        _write_clip(out / manifest.clip_key(int(clip[0])), segments, manifest.coefficients)
    return len(rows)


def chosen(manifest: Manifest, split: str | None, speaker: str | None, limit: int | None) -> list[np.ndarray]:
    """Rows of the index of clips, those of a clip together.

    Raises:
        DataError: no such split or speaker.
    """
    splits = manifest.splits if split is None else [split]
    rows = np.concatenate([manifest.rows(name) for name in splits])
    if speaker is not None:
        names = [name for name in manifest.speakers if speaker in (name, name.partition("/")[2])]
        if not names:
            raise DataError(f"{manifest.directory} has no speaker {speaker!r}; it has "
                            f"{', '.join(manifest.speakers[:5])}{' and others' * (len(manifest.speakers) > 5)}")
        rows = rows[manifest.index["speaker"][rows] == manifest.speakers.index(names[0])]
    starts = np.flatnonzero(np.diff(manifest.index["clip"][rows])) + 1
    return [part for part in np.split(rows, starts) if len(part)][:limit]


def _write_clip(path: pathlib.Path, segments: list[dict], coefficients: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = np.concatenate([part["audio"][schema.AUDIO_CONTEXT : -schema.AUDIO_CONTEXT] for part in segments])
    if segments[0]["codec"] != "none":
        frames = (frame for part in segments for frame in records.decode_frames(part, range(part["n"])))
        media.write_mp4(path.with_name(path.name + ".mp4"), frames, audio, metadata={"title": segments[0]["key"]})
    with files.whole(path.with_name(path.name + ".wav")) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(schema.SAMPLE_RATE)
        file.writeframes(audio.astype("<i2").tobytes())
    with files.whole(path.with_name(path.name + ".csv")) as temporary, open(temporary, "w", newline="") as file:
        _write_table(csv.writer(file), segments, coefficients)
    for name in (name for name in records.PER_CLIP_SHAPES if name in segments[0]):
        with files.whole(path.with_name(f"{path.name}.{name}.csv")) as temporary, open(temporary, "w") as file:
            file.write(",".join(map(str, segments[0][name].tolist())) + "\n")


def _write_table(table, segments: list[dict], coefficients: list[str]) -> None:
    """A row a frame: number from 1, time, face, the word and phoneme being said, then the labels that there are."""
    columns = _COLUMNS | {"coefficients": tuple(coefficients)}
    there = [name for name in columns if name in segments[0]]
    table.writerow(["frame", "timestamp", "face_ok", "word", "phoneme", *(c for name in there for c in columns[name])])
    for part in segments:
        for place in range(part["n"]):
            middle = (place + 0.5) / schema.FPS
            said = [next((text for text, start, end in part[name] if start <= middle < end), "")
                    for name in ("words", "phonemes")]
            values = [value for name in there for value in np.asarray(part[name][place]).reshape(-1).tolist()]
            number = part["start_frame"] + place
            table.writerow([number + 1, f"{number / schema.FPS:.2f}", int(part["face_ok"][place]), *said, *values])


def run(argv: list[str]) -> int:
    """Exports clips; returns 0."""
    parser = argparse.ArgumentParser(
        prog="thjax data export", description="Gives clips of prepared records back as mp4, wav (16 kHz) and csv "
        "(a row a frame with every label).")
    add = parser.add_argument
    add("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    add("--out", type=pathlib.Path, required=True, metavar="DIR", help="folder of the files")
    add("--split", metavar="NAME", help="of this split only")
    add("--speaker", metavar="ID", help="of this speaker only")
    add("--limit", type=int, metavar="N", help="so many clips at most")
    options = parser.parse_args(argv)
    manifest = Manifest.load(options.data)
    clips = export(manifest, options.out, chosen(manifest, options.split, options.speaker, options.limit))
    print(f"{options.out}: {clips} clips")
    return 0
