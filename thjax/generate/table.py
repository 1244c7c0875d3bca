"""CSV files of numbers that users bring: strict, and exact about the cell that is wrong."""

import csv
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data_pipelines import media
from data_pipelines.schema import DataError


@dataclasses.dataclass(frozen=True)
class Table:
    """Some columns of a CSV file.

    Attributes:
        path: of the file, for messages.
        rows: [R] int, place of each row in the file as an editor counts; the header is row 1.
        columns: {name: [R] float64}, NaN where a cell is empty.
    """

    path: Path
    rows: np.ndarray
    columns: dict[str, np.ndarray]

    def where(self, index: int, column: str) -> str:
        """How a message names a cell."""
        return f"{self.path}: row {self.rows[index]} (the header is row 1), column {column}"

    def require(self, good: np.ndarray, column: str, rule: str) -> None:
        """Raises DataError for the first cell of a column that is not `good`, [R] bool; `rule` says what is wanted."""
        if not good.all():
            index = int(np.argmin(good))
            value = self.columns[column][index]
            raise DataError(f"{self.where(index, column)}: {'empty' if np.isnan(value) else f'{value:g}'}; {rule}")


def read_table(path: str | Path, kind: str, choose: Callable[[list[str]], Sequence[str]]) -> Table:
    """Reads columns of a CSV file with commas. Blanks around names and numbers, and empty lines, do not matter.

    Args:
        path: of the file.
        kind: what it holds, for messages.
        choose: names of the header -> those to read; raises `ValueError` where the header will not do.

    Raises:
        DataError: no such file, not text, no row, a name that stands twice, a row of another length, a cell that is no
            finite number, or what `choose` says.
    """
    path = media.existing_file(path, kind)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            places = _places(path, header, choose)
            found = [(lines.line_num, _numbers(path, lines.line_num, cells, header, places))
                     for cells in lines if any(cell.strip() for cell in cells)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file ({error}); give {kind} as text with commas") from error
    if not found:
        raise DataError(f"{path}: has a header and no row; give at least one row of numbers")
    values = np.array([numbers for _, numbers in found], np.float64)
    return Table(path, np.array([row for row, _ in found]), dict(zip(places, values.T, strict=True)))


def _places(path: Path, header: list[str], choose: Callable[[list[str]], Sequence[str]]) -> dict[str, int]:
    """Where the columns to be read stand, by name."""
    try:
        names = choose(header)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if twice := [name for name in names if header.count(name) > 1]:
        raise DataError(f"{path}: column {twice[0]} stands {header.count(twice[0])} times; keep one")
    return {name: header.index(name) for name in names}


def _numbers(path: Path, row: int, cells: list[str], header: list[str], places: dict[str, int]) -> list[float]:
    """The chosen cells of a row."""
    if len(cells) != len(header):
        raise DataError(f"{path}: row {row} has {len(cells)} cells and the header {len(header)}; give as many")
    return [_number(path, row, name, cells[place].strip()) for name, place in places.items()]


def _number(path: Path, row: int, column: str, cell: str) -> float:
    if not cell:
        return math.nan
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{path}: row {row} (the header is row 1), column {column}: {cell!r} is no finite number; give "
                        "one with a decimal point, or leave the cell empty")
    return number
