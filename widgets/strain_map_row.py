"""Maps side by side, each with the value under the cross-hair, and one colour bar per scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QLayout, QVBoxLayout, QWidget

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.scan_canvas import ScanCanvas
from braggscope.widgets.scan_paint import Line, Rectangle
from braggscope.widgets.strain_scale import ColourBar

DIVERGING, RISING = "crameri:vik", "cividis"
DIGITS = 3
BESIDE, ABOVE = 34, 42  # px around a map
SMALLEST = 40, 30  # px of a map
LEAST = 160, 60  # px of all maps


@dataclass(frozen=True, slots=True)
class MapPicture:
    """One map. ``values, errors`` (R, C) in ``unit``, NaN where nothing is known; ``errors`` may be None.

    Colours run from ``low`` to ``high``. ``axes``: directions of the strain's x and y / rad, None draws none.
    """

    key: str
    title: str
    values: NDArray
    errors: NDArray | None
    unit: str
    low: float
    high: float
    colormap: str = DIVERGING
    axes: tuple[float, float] | None = None
    tip: str = ""

    @property
    def scale(self) -> tuple[float, float, str, str]:
        """Maps of one scale share a colour bar."""
        return self.low, self.high, self.colormap, self.unit


class MapCell(QWidget):
    """Title, value at the cross-hair, map; and its colour bar."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture: MapPicture | None = None
        self.title, self.value = QLabel(self), ElidedLabel(role="muted", parent=self)
        self.value.mode = Qt.TextElideMode.ElideRight
        self.canvas, self.bar = ScanCanvas(self), ColourBar(parent)  # the row places the bar
        self.canvas.setMinimumSize(*SMALLEST)
        self.canvas.covering = False  # the scan beside says the same
        head = QHBoxLayout()
        head.setContentsMargins(10, 0, 4, 0)
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.value, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.canvas, 1)

    def show_picture(self, picture: MapPicture, with_bar: bool) -> None:
        """Show a map."""
        self.picture = picture
        self.title.setText(picture.title)
        self.setToolTip(picture.tip)
        self.canvas.set_values(picture.values, picture.low, picture.high, picture.colormap)
        self.canvas.set_axes(picture.axes)
        self.bar.set_scale(picture.low, picture.high, picture.colormap, picture.unit)
        self.bar.setVisible(with_bar)
        self.show_value()

    def show_value(self) -> None:
        """Write the value under the cross-hair."""
        picture, at = self.picture, self.canvas.position
        text = "" if picture is None or at is None else value_text(picture, *at)
        number, sign, _ = text.partition(" ± ")
        unit = "" if picture is None else picture.unit
        self.value.shorter = (f"{number} {unit}".rstrip(), number) if sign else ()
        self.value.setText(text)


class MapRow(QWidget):
    """Any number of maps of one scan. Signals as of :class:`ScanCanvas`; the cross-hair is in all of them."""

    moved = pyqtSignal(int, int)
    stepped = pyqtSignal(int, int)
    panned = pyqtSignal(int, int)
    region_drawn = pyqtSignal(str, tuple)
    line_drawn = pyqtSignal(tuple)
    tool_dismissed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cells: list[MapCell] = []
        self._shown = 0
        self._columns = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)  # see minimumSizeHint
        self._grid.setSpacing(2)

    def set_pictures(self, pictures: list[MapPicture]) -> None:
        """Show these maps, in this order."""
        while len(self.cells) < len(pictures):
            self._append()
        for k, cell in enumerate(self.cells):
            cell.setVisible(k < len(pictures))
            cell.bar.setVisible(k < len(pictures))
            if k < len(pictures):
                last = k + 1 == len(pictures) or pictures[k + 1].scale != pictures[k].scale
                cell.show_picture(pictures[k], last)
        self._shown, self._columns = len(pictures), 0
        self._lay_out()

    def minimumSizeHint(self) -> QSize:
        """Qt: the same for any maps, so that other ones never push the window apart."""
        return QSize(*LEAST)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: as many rows as make the maps largest."""
        self._lay_out()

    def _lay_out(self) -> None:
        """Cells with a column for bars after each; a bar stands beside all rows of maps of its scale."""
        shape = self.cells[0].canvas.viewport.shape if self.cells else (1, 1)
        columns = best_columns(self._shown, shape, (self.width(), self.height()))
        if columns == self._columns or not self._shown:
            return
        self._columns = columns
        for k, cell in enumerate(self.cells[: self._shown]):
            row, column = divmod(k, columns)
            first = next(j for j in range(k + 1) if self._scale(j) == self._scale(k)) // columns
            self._grid.addWidget(cell, row, 2 * column)
            self._grid.addWidget(cell.bar, first, 2 * column + 1, row - first + 1, 1)
        for column in range(len(self.cells)):
            self._grid.setColumnStretch(2 * column, int(column < columns))
            self._grid.setRowStretch(column, int(column < -(-self._shown // columns)))

    def _scale(self, k: int) -> object:
        picture = self.cells[k].picture
        return None if picture is None else picture.scale

    def set_position(self, position: tuple[int, int] | None) -> None:
        """Cross-hair at (row, column)."""
        for cell in self.cells:
            cell.canvas.set_position(position)
            cell.show_value()

    def set_regions(self, regions: dict[str, Rectangle]) -> None:
        """Rectangles by kind; the first map names them."""
        for k, cell in enumerate(self.cells):
            cell.canvas.named = k == 0
            cell.canvas.set_regions(regions)

    def set_line(self, line: Line | None) -> None:
        """Profile line in scan pixels."""
        for cell in self.cells:
            cell.canvas.set_line(line)

    def set_step(self, step: tuple[float, str] | None) -> None:
        """Distance of two positions, for the scale bar of the first map."""
        for cell in self.cells[:1]:
            cell.canvas.set_step(step)

    def set_tool(self, kind: str) -> None:
        """Draw on any of the maps."""
        for cell in self.cells:
            cell.canvas.set_tool(kind)

    def _append(self) -> None:
        cell = MapCell(self)
        canvas = cell.canvas
        first = self.cells[0].canvas if self.cells else canvas
        canvas.set_position(first.position)
        canvas.set_line(first.line)
        canvas.named = not self.cells
        canvas.set_regions(first.regions)
        for name in ("moved", "stepped", "panned", "region_drawn", "line_drawn", "tool_dismissed"):
            _forward(canvas, self, name)
        self.cells.append(cell)


def best_columns(count: int, shape: tuple[int, int], room: tuple[int, int]) -> int:
    """Columns in which ``count`` maps of a shape (rows, columns) are largest; no row is left half empty."""
    width, height = room
    rows, columns = shape

    def scale(across: int) -> float:
        down = count // across
        wide, high = width / across - BESIDE, height / down - ABOVE
        return min(wide / columns, high / rows)

    whole = [across for across in range(count, 0, -1) if count % across == 0]
    return max(whole, key=scale, default=1)


def _forward(sender: QObject, receiver: QObject, name: str) -> None:
    getattr(sender, name).connect(getattr(receiver, name))


def value_text(picture: MapPicture, row: int, column: int) -> str:
    """``−1.234 ± 0.012 %``, or that there is no value."""
    rows, columns = picture.values.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return ""
    value = float(picture.values[row, column])
    if not np.isfinite(value):
        return "no value"
    text = f"{value:.{DIGITS if picture.unit else 0}f}".replace("-", "−")  # without a unit they are counted
    error = np.nan if picture.errors is None else float(picture.errors[row, column])
    if np.isfinite(error):
        text += f" ± {error:.{DIGITS}f}"
    return f"{text} {picture.unit}".rstrip()
