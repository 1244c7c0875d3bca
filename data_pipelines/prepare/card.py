"""A card of a corpus for people, and a sheet of faces for every shard: `thjax data stats`."""

import argparse
import pathlib

import numpy as np
from PIL import Image, ImageDraw

from data_pipelines import histograms, records, schema, statistics
from data_pipelines.manifest import Manifest
from data_pipelines.prepare.reasons import REASONS
from data_pipelines.readers.reference import REASONS as READER_REASONS
from data_pipelines.shards import open_shard
from thjax.core import files

CARD_FOLDER = "card"
SHEET = (4, 6)
"""Rows and columns of a sheet."""
_SHARES = ("frames_masked", "frames_interpolated")
_COUNTED = ("sources", "clips", "frames", *_SHARES)
_WORDS = {True: "yes", False: "no", None: "not stated", ("focal", None): "the tracker's own"}
_BOX, _POINT, _MASKED = (80, 220, 80), (255, 220, 0), (230, 40, 40)


def write(manifest: Manifest, out: pathlib.Path, sheets: int | None = None) -> str:
    """Writes `card.md` and `SHARD.jpg` for the first `sheets` shards (None: all); returns the card's text."""
    out.mkdir(parents=True, exist_ok=True)
    for shard in manifest.content["shards"][:sheets]:
        if shard["records"] and manifest.pixels:
            picture = sheet(manifest, shard)
            with files.whole(out / (pathlib.Path(shard["name"]).stem + ".jpg")) as temporary:
                picture.save(temporary, "JPEG", quality=90)
    text = card(manifest)
    with files.whole(out / "card.md") as temporary:
        temporary.write_text(text)
    return text


def card(manifest: Manifest) -> str:
    """What is in a corpus, as Markdown."""
    content = manifest.content
    shown = "Feature records, no pixels: frames"
    if manifest.pixels:
        shown = f"Frames of {content['width']} x {content['height']} pixels, {content['codec']},"
    lines = [f"# {content['dataset']}", "",
             f"{shown} at {content['frames_per_second']} a second; sound at {content['sample_rate']} Hz; "
             f"{manifest.bytes / 1e9:.3f} GB in {len(content['shards'])} shards.", "",
             f"Licence: {content.get('licence') or 'not stated'}", "",
             "| split | hours | clips | records | speakers | frames masked |", "|---|---:|---:|---:|---:|---:|"]
    index = manifest.index
    for number, split in enumerate(manifest.splits):
        part = content["splits"][split]
        speakers = len(np.unique(index["speaker"][index["split"] == number]))
        masked = part["frames_masked"] / max(part["frames"], 1)
        lines.append(f"| {split} | {part['frames'] / schema.FPS / 3600:.3f} | {part['clips']} | {part['records']} | "
                     f"{speakers} | {masked:.2%} |")
    return "\n".join(lines + _division(content) + _accounts(content) + _labels(manifest)) + "\n"


def _division(content: dict) -> list[str]:
    division = content.get("division")
    if not division:
        return []
    unverified = "" if division["verified"] else " **Unverified: nobody has checked its lists against their source.**"
    return ["", f"Split `{division['name']}`, seed {division['seed']}, by {division['by']}: {division['says']}"
            + unverified]


def _accounts(content: dict) -> list[str]:
    counts = content.get("counts")
    if not counts:
        return []
    said = READER_REASONS | REASONS
    lines = ["", f"{counts['discovered']} clips discovered = {counts['written']} written + {counts['quarantined']} "
             f"quarantined + {counts['excluded']} excluded by the split + {counts['removed']} removed."]
    if counts["reasons"]:
        lines += ["", "| clips | reason | |", "|---:|---|---|"]
    return lines + [f"| {number} | {reason} | {said.get(reason, 'left out by the split')} |"
                    for reason, number in counts["reasons"].items()]


def _labels(manifest: Manifest) -> list[str]:
    """Where labels come from, and what they are over the first split, which is the one that trains."""
    content = manifest.content
    if not manifest.labels:
        return ["", "Labels: none. Systems that need landmarks, action units or pose cannot train on it; those that "
                "take pictures and sound can, with the crop `centre`."]
    sources = content["label_source"]
    lines = ["", "Labels: " + ", ".join(f"{name} ({sources.get(name, 'source not stated')})"
                                        for name in manifest.labels) + "."] + _origins(content)
    part = content["splits"][manifest.splits[0]]
    if not statistics.is_current(part):
        return lines + ["", f"Values of the labels: counted by an older program; {manifest.mend()}, and counts again."]
    rows = _values(part) + _rates(part)
    head = ["", f"Over `{manifest.splits[0]}`:", "", "| label | mean or rate | deviation | 0.1 % | 99.9 % | "
            "out of range |", "|---|---:|---:|---:|---:|---:|"]
    return lines + (head + rows if rows else [])


def _origins(content: dict) -> list[str]:
    """A row for everything that made labels: of how many clips and frames, and what its files say."""
    facts = content.get("label_facts")
    if not facts:
        return []
    rows = ["", "| labels | made by | clips | frames | masked | interpolated | |", "|---|---|---:|---:|---:|---:|---|"]
    for fact in facts:
        shares = " | ".join(f"{fact[name] / max(fact['frames'], 1):.2%}" for name in _SHARES)
        further = ", ".join(f"{name.replace('_', ' ')}: {_WORDS.get((name, value), _WORDS.get(value, value))}"
                            for name, value in fact.items() if name not in _COUNTED)
        for source in dict.fromkeys(fact["sources"].values()):
            made = ", ".join(name for name, by in fact["sources"].items() if by == source)
            rows.append(f"| {made} | {source} | {fact['clips']} | {fact['frames']} | {shares} | {further} |")
    return rows


def _values(part: dict) -> list[str]:
    names = {"au": schema.AU_INTENSITY, "pose": schema.POSE, histograms.FROM_START: schema.POSE[:3]}
    rows = []
    for field, counted in part["values"].items():
        moments = zip(*histograms.mean_and_deviation(counted), strict=True)
        for channel, (mean, deviation) in enumerate(moments):
            label = f"{field} {names[field][channel]}"
            if not counted["count"][channel]:
                rows.append(f"| {label} | no finite value | | | | |")
                continue
            channel_histogram = histograms.histogram(field, counted, channel)
            low, high = (histograms.quantile(channel_histogram, q) for q in (0.001, 0.999))
            outside = (counted["below"][channel] + counted["above"][channel]) / counted["count"][channel]
            rows.append(f"| {label} | {mean:.3f} | {deviation:.3f} | {low:.3f} | {high:.3f} | {outside:.2%} |")
    return rows


def _rates(part: dict) -> list[str]:
    names = {"au_presence": schema.AU_PRESENCE, "blink": ("blink",)}
    rows = [f"| {field} {name} | {value / rate['count']:.3f} | | | | |" for field, rate in part["rates"].items()
            for name, value in zip(names[field], rate["sum"], strict=True)]
    if blink := part["rates"].get("blink"):
        minutes = blink["count"] / schema.FPS / 60
        rows.append(f"| blinks a minute | {part['blinks'] / minutes:.1f} | | | | |")
    return rows


def sheet(manifest: Manifest, shard: dict) -> Image.Image:
    """The middle frame of records spread over a shard, with landmarks, the box round them, and red where masked."""
    rows, columns = SHEET
    height, width = manifest.content["height"], manifest.content["width"]
    reader = open_shard(manifest.directory / shard["name"])
    count = min(rows * columns, shard["records"])
    picture = Image.new("RGB", (columns * width, -(-count // columns) * height), "white")
    for place in range(count):
        record = records.decode(reader.read([place * shard["records"] // count])[0])
        frame = record["n"] // 2
        tile = Image.fromarray(records.decode_frames(record, [frame])[0])
        draw = ImageDraw.Draw(tile)
        if "landmarks" in record and record["face_ok"][frame]:
            points = record["landmarks"][frame]
            draw.rectangle([*points.min(0), *points.max(0)], outline=_BOX)
            draw.point([tuple(point) for point in points.tolist()], fill=_POINT)
        if not record["face_ok"][frame]:
            draw.rectangle([0, 0, width - 1, height - 1], outline=_MASKED, width=3)
        picture.paste(tile, (place % columns * width, place // columns * height))
    return picture


def run(argv: list[str]) -> int:
    """Writes the card; returns 0."""
    parser = argparse.ArgumentParser(
        prog="thjax data stats", description="Says what is in a corpus: hours, speakers, labels and their sources, "
        "what was left out and why, licence. Writes it as a card, with a sheet of faces for every shard.")
    parser.add_argument("--data", type=pathlib.Path, required=True, metavar="DIR", help="folder of the records")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="folder of the card (default: DIR/card)")
    parser.add_argument("--sheets", type=int, metavar="N", help="sheets of so many shards only (default: all)")
    options = parser.parse_args(argv)
    manifest = Manifest.load(options.data)
    print(write(manifest, options.out or options.data / CARD_FOLDER, options.sheets), end="")
    return 0
