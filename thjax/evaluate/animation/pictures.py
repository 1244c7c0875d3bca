"""What a mapper's evaluation shows: curves of the truth and of motions drawn for the same sound."""

import pathlib

import numpy as np

from data_pipelines.schema import FPS
from thjax.evaluate.animation import lips
from thjax.evaluate.animation.clips import CHANNELS, UNITS, MotionClip
from thjax.evaluate.pictures import plt, save_figure

DRAWN = 3
"""Motions shown beside the truth."""
CURVES = {"opening": "outer-eye distances", "AU01": "0 to 5", "AU45": "0 to 5", "Rx": "rad", "Ry": "rad"}


def motions(clips: list[tuple[MotionClip, np.ndarray]], path: pathlib.Path) -> None:
    """Writes a PNG: a column for each clip, a row for each curve; truth black, draws coloured, speech shaded.

    Args:
        clips: (true clip, motions [S, T, 23] of its sound).
        path: of the PNG.
    """
    figure, axes = plt.subplots(len(CURVES), len(clips), figsize=(5 * len(clips), 7), sharex="col", sharey="row",
                                squeeze=False)
    for column, (clip, drawn) in enumerate(clips):
        seconds = np.arange(clip.frames) / FPS
        for axis, (name, units) in zip(axes[:, column], CURVES.items(), strict=True):
            for motion in drawn[:DRAWN]:
                axis.plot(seconds, _curve(name, motion), linewidth=0.9)
            axis.plot(seconds, _curve(name, clip.vectors), color="black", linewidth=1.1)
            if clip.speech is not None:
                axis.fill_between(seconds, 0, 1, where=clip.speech, transform=axis.get_xaxis_transform(), alpha=0.08,
                                  color="grey", linewidth=0)
            if column == 0:
                axis.set_ylabel(f"{name}\n{units}", fontsize=8)
        axes[0, column].set_title(clip.key, fontsize=8)
        axes[-1, column].set_xlabel("seconds", fontsize=8)
    figure.tight_layout()
    save_figure(figure, path)


def _curve(name: str, vectors: np.ndarray) -> np.ndarray:
    return lips.of_units(vectors[:, UNITS])[0] if name == "opening" else vectors[:, CHANNELS.index(name)]
