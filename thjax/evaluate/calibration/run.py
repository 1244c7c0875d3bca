"""`thjax evaluate --calibrate`: plants every fault, measures it with every metric, and says which cells hold."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from rich.table import Table

from thjax.core.files import write_json
from thjax.evaluate.calibration.cells import cells, checks
from thjax.evaluate.calibration.faults import FAULTS
from thjax.evaluate.calibration.matrix import MATRIX
from thjax.evaluate.calibration.measuring import measure_everything
from thjax.evaluate.calibration.verdicts import Cell
from thjax.evaluate.pictures import save_figure

matplotlib.use("Agg")  # before pyplot is imported: no display is needed
import matplotlib.pyplot as plt

MARKS = {"up": "+", "down": "-", "silent": "0", "free": "."}
COLOURS = {"up": "#8fc98f", "down": "#8fb4d9", "silent": "#eeeeee", "free": "#ffffff"}
BROKEN = "#e06666"


def calibrate(out: Path, workers: int, report: Callable[[int, int], None]) -> tuple[dict, dict, bool]:
    """Measures what is missing in `out`, and writes calibration.json and calibration.png there.

    Args:
        out: folder; finished clips are kept in it, so an interrupted calibration goes on from there.
        workers: processes.
        report: called with (clips done, clips).

    Returns:
        {metric: {fault: Cell}}, the checks, and whether all of them hold.
    """
    measured = measure_everything(out / "clips", workers, report)
    result, beside = cells(measured, MATRIX), checks(measured)
    write_json(out / "calibration.json", {metric: {fault: cell.as_json() for fault, cell in row.items()}
                                          for metric, row in result.items()})
    write_json(out / "checks.json", beside)
    picture(result, out / "calibration.png")
    holds = all(cell.holds for row in result.values() for cell in row.values())
    return result, beside, holds and all(check["holds"] for check in beside.values())


def broken(result: dict[str, dict[str, Cell]]) -> list[str]:
    """A line for each cell that does not hold."""
    return [f"{metric} under {fault}: asked {cell.kind}, Spearman {cell.spearman:.2f}, change {cell.change:.2f}"
            for metric, row in result.items() for fault, cell in row.items() if not cell.holds]


def terminal_table(result: dict[str, dict[str, Cell]]) -> Table:
    """The matrix: + up, - down, 0 silent, . free; ! behind a cell that does not hold; empty where nothing is asked."""
    grid = Table("metric", *(name.replace("_", "\n") for name in FAULTS), padding=(0, 0))
    for metric, row in result.items():
        grid.add_row(metric, *(_mark(row[fault]) if fault in row else "" for fault in FAULTS))
    return grid


def _mark(cell: Cell) -> str:
    return MARKS[cell.kind] + ("" if cell.holds else "!")


def picture(result: dict[str, dict[str, Cell]], path: Path) -> None:
    """Writes the matrix as PNG: what is asked by colour, the rank correlation as a figure, red where it fails."""
    figure, axis = plt.subplots(figsize=(1.6 + 0.62 * len(FAULTS), 1.2 + 0.26 * len(result)))
    colours = [[_colour(row.get(fault)) for fault in FAULTS] for row in result.values()]
    axis.imshow(np.array(colours), aspect="auto")
    for line, row in enumerate(result.values()):
        for column, fault in enumerate(FAULTS):
            if fault in row:
                axis.text(column, line, f"{row[fault].spearman:+.2f}", ha="center", va="center", fontsize=6)
    names = [name.replace("_", " ") for name in FAULTS]
    axis.set_xticks(range(len(FAULTS)), names, rotation=40, ha="right", fontsize=7)
    axis.set_yticks(range(len(result)), list(result), fontsize=7)
    axis.set_title("green up, blue down, grey silent, white free, red fails; figures are rank correlations", fontsize=7)
    save_figure(figure, path)


def _colour(cell: Cell | None) -> tuple[float, float, float]:
    kind = "free" if cell is None else cell.kind
    return matplotlib.colors.to_rgb(BROKEN if cell is not None and not cell.holds else COLOURS[kind])
