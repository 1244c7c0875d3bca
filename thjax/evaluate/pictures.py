"""Pictures of a result: contact sheets, training curves, and the report that holds them."""

import base64
import html
import io
import pathlib
import sys

import matplotlib
import numpy as np
from PIL import Image

from thjax.core.files import write_bytes
from thjax.evaluate.controls import ClipSet

matplotlib.use("Agg")  # before pyplot is imported: no display is needed
import matplotlib.pyplot as plt

SHEET_COLUMNS = 12
SHEET_SCALE = 2
PAGE_WIDTH = 900


def contact_sheet(clips: ClipSet, rows: dict[str, np.ndarray], path: pathlib.Path, how_many: int = 4) -> None:
    """Writes a PNG: for a few clips, one strip of frames for the truth and one for each of `rows`.

    Args:
        clips: held-out clips; the ones shown are spread over the speakers.
        rows: {label: [N, T, H, W, 3] uint8}, drawn below the truth in this order.
        path: of the PNG.
        how_many: clips shown.
    """
    shown = np.unique(np.linspace(0, len(clips) - 1, how_many).astype(int))
    height, width = clips.frames[0].shape[1:3]
    strips, labels = [], []
    for index in shown:
        last = int(clips.valid[index].sum()) - 1
        columns = np.linspace(0, last, SHEET_COLUMNS).astype(int)
        for label, videos in {"truth": clips.frames, **rows}.items():
            strips.append(np.concatenate(list(videos[index][columns]), axis=1))
            labels.append(f"{label}\n{clips.keys[index].split('/')[-1]}")
    inches = (SHEET_COLUMNS * width * SHEET_SCALE / 100 + 1.6, len(strips) * height * SHEET_SCALE / 100)
    figure, axes = plt.subplots(len(strips), 1, figsize=inches)
    for axis, strip, label in zip(np.atleast_1d(axes), strips, labels, strict=True):
        axis.imshow(strip)
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
        for spine in axis.spines.values():
            spine.set_visible(False)
    figure.subplots_adjust(left=0.12, right=0.995, top=0.995, bottom=0.005, hspace=0.02)
    save_figure(figure, path)


def landmark_sheet(clips: list[tuple[str, np.ndarray, np.ndarray]], path: pathlib.Path, columns: int = 6) -> None:
    """Writes a PNG of frames with the landmarks that were found on them, a row of `columns` frames for each clip.

    Args:
        clips: (label, frames [T, H, W, 3] uint8, landmarks [T, 68, 2] pixels, NaN where there is no face).
        path: of the PNG.
        columns: frames of a clip.
    """
    figure, axes = plt.subplots(len(clips), columns, figsize=(1.8 * columns, 1.8 * len(clips)), squeeze=False)
    for line, (label, frames, points) in zip(axes, clips, strict=True):
        for axis, index in zip(line, np.linspace(0, len(points) - 1, columns).astype(int), strict=True):
            axis.imshow(frames[index])
            # Pixel centres lie at +0.5 in landmarks and at whole numbers in `imshow`.
            axis.scatter(*(points[index].T - 0.5), s=1.2, c="lime", linewidths=0)
            axis.set_xticks([])
            axis.set_yticks([])
        line[0].set_ylabel(label.split("/")[-1], fontsize=7)
    figure.subplots_adjust(left=0.05, right=0.995, top=0.995, bottom=0.005, wspace=0.02, hspace=0.02)
    save_figure(figure, path)


def sync_curves(shifts: np.ndarray, rows: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Writes a PNG of the distance of lips and sound over shifts: a dip at 0 is sync, a flat line is none.

    Args:
        shifts: [S] frames.
        rows: {row: [S] mean distances}.
        path: of the PNG.
    """
    figure, axis = plt.subplots(figsize=(7, 3.5))
    for row, curve in rows.items():
        axis.plot(shifts, curve, linewidth=1.2, label=row)
    axis.set_xlabel("shift of the sound in frames")
    axis.set_ylabel("distance")
    axis.legend(fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def curves(history: list[dict], path: pathlib.Path) -> None:
    """Writes a PNG of every logged series over steps.

    Args:
        history: lines of metrics.jsonl, dicts with `step`.
        path: of the PNG.
    """
    names = sorted({name for line in history for name, value in line.items() if isinstance(value, float)})
    columns = 3
    count = max(1, -(-len(names) // columns))
    figure, axes = plt.subplots(count, columns, figsize=(4 * columns, 2.2 * count), squeeze=False)
    for axis, name in zip(axes.flat, names, strict=False):
        points = [(line["step"], line[name]) for line in history if isinstance(line.get(name), float)]
        axis.plot(*zip(*points, strict=True), linewidth=1)
        axis.set_title(name, fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(names):]:
        axis.axis("off")
    figure.tight_layout()
    save_figure(figure, path)


def report(path: pathlib.Path, title: str, notes: list[str], tables: dict[str, list[list[str]]],
           pictures: dict[str, pathlib.Path]) -> None:
    """Writes one HTML file that needs no other: notes, tables (first line is the header) and embedded pictures."""
    parts = [f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(note)}</p>" for note in notes)]
    for name, lines in tables.items():
        parts.append(f"<h2>{html.escape(name)}</h2><table>")
        for number, line in enumerate(lines):
            tag = "td" if number else "th"
            parts.append("<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line) + "</tr>")
        parts.append("</table>")
    for name, picture in pictures.items():
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" src="data:image/png;base64,{data}">')
    style = ("body{font:15px system-ui;margin:2em auto;max-width:75em}table{border-collapse:collapse}"
             "td,th{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:left}img{max-width:100%}")
    write_bytes(path, f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{style}</style>"
                 f"{''.join(parts)}\n".encode())


def save_png(image: np.ndarray, path: pathlib.Path) -> None:
    """Writes [H, W, 3] uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())


def shrink(source: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a small copy of a picture for a page: at most `PAGE_WIDTH` pixels wide, 128 colours."""
    image = Image.open(source).convert("RGB")
    image.thumbnail((PAGE_WIDTH, image.height))
    buffer = io.BytesIO()
    image.quantize(128).save(buffer, format="PNG", optimize=True)
    write_bytes(target, buffer.getvalue())


def save_figure(figure, path: pathlib.Path) -> None:
    """Writes a matplotlib figure as PNG, whole or not at all, and closes it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    plt.close(figure)
    write_bytes(path, buffer.getvalue())


if __name__ == "__main__":
    shrink(*map(pathlib.Path, sys.argv[1:3]))
