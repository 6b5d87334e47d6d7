"""Starts and methods side by side, the most likely first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QItemSelectionModel, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.phasing_choices import METHODS
from braggscope.widgets.small_table import dress

HEADINGS = ("method", "start", "free", "chi", "R", "chi model", "spread / rad")
TIPS = (
    "", "random start it comes from", "log-likelihood per voxel that was withheld; larger is better",
    "relative L2 difference of the modulus", "relative L1 difference of the modulus",
    "chi with learned coherence and background, of the best only",
    "phase difference to the best start of the same run, rms inside the crystal",
)  # fmt: skip
HINT = "Starts and methods are ranked here; a click shows one."
NONE = "–"


@dataclass(frozen=True, slots=True)
class StartRow:
    """One reconstruction; NaN where something is not known."""

    method: str
    start: int
    free: float
    chi: float
    R: float
    chi_model: float
    spread: float


class PhasingStarts(QWidget):
    """``chosen``: index of the row that the user wants to see. ``clear_requested``: forget all."""

    chosen = pyqtSignal(int)
    clear_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = QTableWidget(0, len(HEADINGS), self)
        self.hint = ElidedLabel(HINT, "muted", self)
        self.clear = QPushButton("Clear", self)
        self.clear.setToolTip("Forget all reconstructions of this pattern")
        self.clear.clicked.connect(lambda _: self.clear_requested.emit())
        self._prepare()
        foot = QHBoxLayout()
        foot.addWidget(self.hint, 1)
        foot.addWidget(self.clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.table, 1)
        column.addLayout(foot)
        self.table.cellClicked.connect(lambda row, _: self.chosen.emit(row))
        self.set_rows(())

    def minimumSizeHint(self) -> QSize:
        """Qt: a few rows."""
        return QSize(200, 100)

    # ---- values in ----

    def set_rows(self, rows: Sequence[StartRow], current: int = -1) -> None:
        """Show reconstructions in this order and mark the one on screen."""
        self.table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            texts = (
                METHODS.get(row.method, row.method), str(row.start + 1), _number(row.free, ".3f"),
                _number(row.chi, ".4f"), _number(row.R, ".4f"), _number(row.chi_model, ".4f"),
                _number(row.spread, ".3f"),
            )  # fmt: skip
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                side = Qt.AlignmentFlag.AlignLeft if column == 0 else Qt.AlignmentFlag.AlignRight
                item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                self.table.setItem(place, column, item)
        self.mark(current)
        self.clear.setEnabled(bool(rows))
        many = f"{len(rows)} reconstructions, the most likely first" if len(rows) > 1 else "1 reconstruction"
        self.hint.setText(many if rows else HINT)

    def mark(self, row: int) -> None:
        """Mark the row on screen."""
        selection = self.table.selectionModel()
        if selection is None:
            return
        self.table.clearSelection()
        if 0 <= row < self.table.rowCount():
            flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            index = self.table.model().index(row, 0)  # type: ignore[union-attr]
            selection.setCurrentIndex(index, flags)

    def texts(self) -> list[list[str]]:
        """The table as it is shown."""
        items = [[self.table.item(r, c) for c in range(len(HEADINGS))] for r in range(self.table.rowCount())]
        return [["" if item is None else item.text() for item in row] for row in items]

    def _prepare(self) -> None:
        table = self.table
        dress(table, HEADINGS, TIPS)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        columns = table.horizontalHeader()
        if columns is not None:
            columns.setMinimumSectionSize(44)
            columns.setHighlightSections(False)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            columns.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)


def _number(value: float, form: str) -> str:
    return format(value, form).replace("-", "−") if math.isfinite(value) else NONE
