"""What an evaluation leaves in its folder: table.json, clips.csv, and a page with pictures."""

import pathlib

import numpy as np

from thjax.evaluate import pictures
from thjax.evaluate.groups import grouped, meaning
from thjax.evaluate.judges import Judges
from thjax.evaluate.passes import Shown
from thjax.evaluate.result import Result
from thjax.evaluate.truth import FEWEST_FOR_SYNC, Seen
from thjax.metrics.sync import VSHIFT

SHEET, OVERLAYS, CURVES, MOTIONS = "contact_sheet.png", "landmarks.png", "sync_curves.png", "motions.png"
TITLES = {SHEET: "Truth, generated, copy", OVERLAYS: "Landmarks, truth above ours",
          CURVES: "Sync: distance of lips and sound over shifts",
          MOTIONS: "Motion drawn for a sound, and the truth in black"}
NOTE = ("`synthetic` in a name: measured by networks that were trained on rendered faces. No such figure is comparable "
        "to a published one; within a table they compare.")
OVERLAY_FRAMES = 6
CURVE_ROWS = ("ours", "wrong_audio", "shuffled_pairing", "copy_first_frame")


def draw(shown: Shown, judges: Judges, out: pathlib.Path) -> list[pathlib.Path]:
    """Draws what there is to draw of the clips shown; returns the files, PNG."""
    if not shown.truths:
        return []
    out.mkdir(parents=True, exist_ok=True)
    rows = {"generated": shown.videos["ours"], "copy": shown.videos["copy_first_frame"]}
    pictures.contact_sheet(shown.clips, rows, out / SHEET)
    drawn = [out / SHEET]
    seen = {row: [Seen(frames[: len(truth.frames)], truth.audio, judges) for truth, frames in
                  zip(shown.truths, videos, strict=True) if frames is not None]
            for row, videos in shown.videos.items() if row in CURVE_ROWS}
    seen = {"truth": [truth.seen(judges) for truth in shown.truths]} | seen
    if judges.face is not None:
        overlays = []
        for truth, real, made, frames in zip(shown.truths, seen["truth"], seen["ours"], shown.videos["ours"],
                                             strict=True):
            overlays += [(truth.key, truth.frames, real.points), ("ours", frames, made.points)]
        overlays = [entry for entry in overlays if entry[2] is not None]
        if overlays:
            pictures.landmark_sheet(overlays, out / OVERLAYS, OVERLAY_FRAMES)
            drawn.append(out / OVERLAYS)
    curves = {row: _mean_curve(clips) for row, clips in seen.items()} if judges.sync is not None else {}
    if any(curve is not None for curve in curves.values()):
        found = {row: curve for row, curve in curves.items() if curve is not None}
        pictures.sync_curves(np.arange(-VSHIFT, VSHIFT + 1), found, out / CURVES)
        drawn.append(out / CURVES)
    return drawn


def write(result: Result, out: pathlib.Path, title: str, drawn: list[pathlib.Path]) -> None:
    """Writes table.json, clips.csv and report.html."""
    result.write(out)
    names = [name for names in grouped(name for row in result.rows.values() for name in row).values()
             for name in names]
    notes = [result.command, *([] if result.basic else [NOTE]), *(f"{name}: {meaning(name)}" for name in names)]
    titles = {f"{TITLES[path.name]}{_of(path, out)}": path for path in drawn}
    pictures.report(out / "report.html", title, notes, result.tables(), titles)


def found_in(folders: list[pathlib.Path]) -> list[pathlib.Path]:
    """Pictures that shards drew into their folders."""
    return [folder / name for folder in folders for name in TITLES if (folder / name).is_file()]


def _of(path: pathlib.Path, out: pathlib.Path) -> str:
    return "" if path.parent == out else f" ({path.parent.name})"


def _mean_curve(clips: list[Seen]) -> np.ndarray | None:
    """Mean curve of the clips that are long enough and in which a face was found."""
    curves = [clip.curve for clip in clips
              if clip.large_enough and len(clip.found) >= FEWEST_FOR_SYNC and clip.landmarks is not None]
    return np.mean(curves, axis=0) if curves else None
