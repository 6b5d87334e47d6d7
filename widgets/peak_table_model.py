"""The peak table as Qt sees it: columns stay arrays, only painted cells become text."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt
from PyQt6.QtGui import QColor, QFont
from PyQt6.QtWidgets import QApplication

from braggscope.models.results import COLUMN, COLUMNS, WORDS, PeakTable, Status
from braggscope.widgets import theme

_Role = Qt.ItemDataRole
_ANSWERED = frozenset((_Role.DisplayRole, _Role.TextAlignmentRole, _Role.ForegroundRole, _Role.FontRole))
_DISPLAY, _ALIGNMENT, _FOREGROUND = (
    int(role) for role in (_Role.DisplayRole, _Role.TextAlignmentRole, _Role.ForegroundRole)
)
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
NONE = "–"
_REJECTED = int(Status.REJECTED)
DEFAULT = ("peak", "score", "x", "y", "distance", "fwhm_major", "chi2", "status")
_TITLES = {
    "distance": "Δ / px",
    "fwhm_major": "FWHM",
    "chi2": "χ²",
    "birth": "birth",
    "x": "x",
    "y": "y",
    "q": "q / Å⁻¹",
    "d": "d / Å",
    "two_theta": "2θ / °",
    "azimuth": "azimuth / °",
}
_DEGREES = ("two_theta", "azimuth")  # radians in the table
_DECIMALS = {"chi2": 2, "eta": 2, "angle": 3, "cov_xy": 5, "fwhm_major": 2, "fwhm_minor": 2, "d": 5, "q": 5}


@dataclass(frozen=True, slots=True)
class Field:
    """One column on screen: its name in the table, heading, explanation and way to print a value."""

    name: str
    title: str
    tip: str
    text: Callable[[float], str]


def _printer(name: str) -> Callable[[float], str]:
    column = COLUMN[name]
    if name in WORDS:
        kind = WORDS[name]
        return lambda value: kind(int(value)).label
    if column.dtype == "int64":
        return lambda value: f"{int(value)}"
    if column.unit == "counts":
        return lambda value: f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    if name in _DEGREES:
        return lambda value: f"{math.degrees(value):.4f}"
    decimals = _DECIMALS.get(name, 3)
    return lambda value: f"{value:.{decimals}f}"


def _field(name: str) -> Field:
    column = COLUMN[name]
    unit = f" / {column.unit}" if column.unit and column.unit != "counts" else ""
    title = _TITLES.get(name, name.replace("_", " ") + unit)
    shown = "degrees" if name in _DEGREES else column.unit
    return Field(name, title, column.meaning + (f", in {shown}" if shown else ""), _printer(name))


FIELDS: tuple[Field, ...] = tuple(
    _field(name) for name in (*DEFAULT, *(c.name for c in COLUMNS if c.name not in DEFAULT))
)
POSITION = {field.name: k for k, field in enumerate(FIELDS)}


def sorted_rows(rows: NDArray[np.int64], keys: NDArray, descending: bool) -> NDArray[np.int64]:
    """Rows by their keys, stable, NaN always last."""
    values = np.asarray(keys[rows], np.float64)
    order = np.argsort(-values if descending else values, kind="stable")
    return rows[order]


def sort_keys(table: PeakTable, name: str) -> NDArray:
    """(N,) values a column is ordered by: words by their letters, lacking positions by the pixel."""
    values = table[name]
    if name in WORDS:
        rank = np.argsort(np.argsort([member.label for member in WORDS[name]]))
        return rank[values]
    if name in ("x", "y"):
        return np.where(np.isnan(values), table["col" if name == "x" else "row"], values)
    return values


class PeakTableModel(QAbstractTableModel):
    """A :class:`PeakTable` seen through a permutation: ``rows`` holds the table's row of every line."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table = PeakTable.blank(0)
        self.rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self.status: Status | None = None
        self.sort_field = POSITION["peak"]
        self.descending = False
        self._sorted_by_hand = False
        self._struck = QFont(QApplication.font())
        self._struck.setStrikeOut(True)

    # what is shown

    def set_table(self, table: PeakTable) -> None:
        """Show another table with the present filter and order."""
        rows, before = self._order(table), len(self.rows)
        common = min(before, len(rows))
        if len(rows) > before:  # a reset would lay out and paint everything twice
            self.beginInsertRows(QModelIndex(), before, len(rows) - 1)
        elif len(rows) < before:
            self.beginRemoveRows(QModelIndex(), len(rows), before - 1)
        self.table, self.rows = table, rows
        if len(rows) > before:
            self.endInsertRows()
        elif len(rows) < before:
            self.endRemoveRows()
        if common:
            self.dataChanged.emit(self.index(0, 0), self.index(common - 1, len(FIELDS) - 1))

    def set_status(self, status: Status | None) -> None:
        """Show only peaks of one status; None shows all."""
        self.status = status
        self.refresh()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the lines by a column."""
        self.sort_field, self.descending = column, order == Qt.SortOrder.DescendingOrder
        self._sorted_by_hand = True
        self.refresh()

    def refresh(self) -> None:
        """Compute which rows are shown, and in what order."""
        self.beginResetModel()
        self.rows = self._order(self.table)
        self.endResetModel()

    def _order(self, table: PeakTable) -> NDArray[np.int64]:
        """Rows of a table that pass the filter, as they are ordered."""
        statuses = table["status"]
        rows = np.arange(len(table)) if self.status is None else np.flatnonzero(statuses == self.status)
        if self._sorted_by_hand:
            rows = sorted_rows(rows, sort_keys(table, FIELDS[self.sort_field].name), self.descending)
        return rows

    def line_of(self, row: int) -> int | None:
        """The line that shows a row of the table, or None if it is filtered out."""
        hits = np.flatnonzero(self.rows == row)
        return int(hits[0]) if hits.size else None

    def as_text(self, rows: NDArray[np.int64], names: list[str]) -> str:
        """Tab-separated text of rows of the table, in full precision, with a line of names."""
        part = self.table.take(rows)
        words = [
            part.labels(name).tolist() if name in WORDS else [f"{v:.10g}" for v in part[name].tolist()]
            for name in names
        ]
        return "\n".join("\t".join(line) for line in [names, *zip(*words, strict=True)]) + "\n"

    # Qt

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of lines shown."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008
        """Number of columns, hidden ones too."""
        return 0 if parent.isValid() else len(FIELDS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole) -> object:
        """Headings and what they mean."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        field = FIELDS[section]
        if role == _Role.DisplayRole:
            return field.title
        if role == _Role.ToolTipRole:
            return field.tip
        if role == _Role.TextAlignmentRole:
            return LEFT if field.name in WORDS else RIGHT
        return None

    def data(self, index: QModelIndex, role: int = _Role.DisplayRole) -> object:
        """Text, side, colour and strike-out of one cell."""
        if role not in _ANSWERED or not index.isValid():
            return None
        name = FIELDS[index.column()].name
        if role == _ALIGNMENT:
            return LEFT if name in WORDS else RIGHT
        row = int(self.rows[index.row()])
        if role == _DISPLAY:
            return self.text(row, name)
        if role == _FOREGROUND:
            return self._colour(row, name)
        return self._struck if name != "status" and self.table["status"][row] == _REJECTED else None

    def text(self, row: int, name: str) -> str:
        """What a cell says. A peak without a position is named by its pixel."""
        value = self.table[name][row]
        if name == "peak" and self.table["component"][row]:
            return f"{value}.{self.table['component'][row]}"
        if name == "fwhm_major" and value == value:
            return f"{value:.2f} × {self.table['fwhm_minor'][row]:.2f}"
        if value == value:  # not NaN
            return FIELDS[POSITION[name]].text(value)
        if name in ("x", "y"):
            return f"{self.table['col' if name == 'x' else 'row'][row]}"
        return NONE

    def _colour(self, row: int, name: str) -> QColor | None:
        status = self.table["status"][row]
        if name == "status":
            return _tone(theme.current(), Status(int(status)))
        value = self.table[name][row]
        pale = value != value or status == _REJECTED
        return _colour_of(theme.current().muted) if pale else None


@cache
def _colour_of(code: str) -> QColor:
    return QColor(code)


def _tone(colours: theme.Theme, status: Status) -> QColor:
    """Green where there is a fit, grey where there is nothing to say, amber for reasons, red for failures."""
    roles = {
        Status.OK: colours.good, Status.PENDING: colours.muted, Status.REJECTED: colours.muted,
        Status.FAILED: colours.error,
    }  # fmt: skip
    return _colour_of(roles.get(status, colours.warning))
