"""An external axis from a text file: voltage, time, temperature, angle, one value for every frame."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LARGEST = 64 << 20  # bytes; a million frames need a tenth of it


class AxisError(Exception):
    """An axis file cannot be used. One sentence says why."""

    expected = True


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity per frame: ``values`` (F,) float64, NaN where nothing is known; the unit is in the name."""

    name: str
    values: NDArray[np.float64]


def read_axis(path: Path, frames: int) -> Axis:
    """Read one value per frame, or two columns: frame, value. Raises AxisError.

    Columns are separated by commas, semicolons, tabs or blanks; commas beside one of the others, or in a
    single column under a heading of one word, are decimal. Lines that begin with # are left out; a first line
    of words names the columns. ``frames``: of the series. A single column must have exactly as many values;
    of two columns, frames that are not named have no value.
    """
    head, rows = _rows(path)
    if not rows:
        raise AxisError(f"{path} holds no numbers; an axis file has one value per frame, or frame and value.")
    widths = {len(numbers) for _, numbers in rows}
    if widths not in ({1}, {2}):
        raise AxisError(f"{path} has lines of different lengths, or more than two columns; use one or two.")
    data = np.array([numbers for _, numbers in rows])
    name = " ".join(head[data.shape[1] - 1 :]) or path.stem
    if data.shape[1] == 1:
        if len(data) != frames:
            raise AxisError(
                f"{path} has {len(data)} values, and the series has {frames} frames; give one value per "
                "frame, or two columns frame,value."
            )
        return Axis(name, data[:, 0])
    return Axis(name, _by_frame(path, data, frames))


def _by_frame(path: Path, data: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    index = data[:, 0]
    if not (np.isfinite(index).all() and (index == np.rint(index)).all()):
        raise AxisError(f"{path}: the first of two columns must hold the numbers of frames, from 0.")
    if index.min() < 0 or index.max() >= frames:
        wrong = int(index.min() if index.min() < 0 else index.max())
        raise AxisError(f"{path} names frame {wrong}, and the series has frames 0 to {frames - 1}.")
    if len(np.unique(index)) != len(index):
        raise AxisError(f"{path} names a frame twice; give every frame one value.")
    values = np.full(frames, np.nan)
    values[index.astype(np.int64)] = data[:, 1]
    return values


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[float]]]]:
    """Words of the first line, if it is a heading, and the numbers of the others with their line."""
    try:
        if path.stat().st_size > LARGEST:
            raise AxisError(f"{path} is far too large for an axis file; is it the right one?")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise AxisError(f"{path} could not be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise AxisError(f"{path} is not a text file; give a CSV with one value per frame.") from error
    head: list[str] = []
    rows: list[tuple[int, list[float]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line)
        if len(head) == 1 and len(words) == 2 and line.count(",") == 1:  # 3,9 in a column of its own
            words = [line]
        if not words:
            continue
        try:
            rows.append((number, _numbers(words)))
        except ValueError as error:
            if rows or head:
                raise AxisError(f"{path}, line {number}: {line.strip()[:40]!r} is no number.") from error
            head = words
    return head, rows


def _words(line: str) -> list[str]:
    """The cells of a line; a comma separates only where nothing else does."""
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    separator = next((s for s in ";\t" if s in line), ",")
    if separator == "," and not _separates(line):
        return line.split()
    return [word.strip() for word in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _separates(line: str) -> bool:
    """Whether the commas of a line stand between cells, not inside numbers with blanks between them."""
    words = line.split()
    if "," not in line or len(words) == 1:
        return "," in line
    try:
        _numbers(words)
    except ValueError:
        return True
    return False


def _numbers(words: list[str]) -> list[float]:
    return [float(word.replace(",", ".")) for word in words]
