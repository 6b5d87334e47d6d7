"""The same reconstruction for many scans: which, and what came out of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.tips import as_written

HEADINGS = ("scan", "chi", "chi model", "size", "mean strain", "rms strain", "state")
HINT = "All stacks are phased as set on the right, one file for each."
SHORTER = ("Phased as set on the right.", "Phased alike.")


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One scan as texts in the order of HEADINGS, and whether it failed."""

    texts: tuple[str, ...]
    failed: bool = False


class ScansPanel(QWidget):
    """``choose_requested``: ask for stacks; ``named``: a name or a glob was typed; ``start_requested``,
    ``cancel_requested``; ``opened``: row.
    """

    choose_requested = pyqtSignal()
    named = pyqtSignal(str)
    start_requested = pyqtSignal()
    cancel_requested = pyqtSignal()
    opened = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self.table = QTableWidget(0, len(HEADINGS), self)
        self.note = ElidedLabel(HINT, "muted", self)
        self.choose, self.start = QPushButton("Choose scans…", self), QPushButton("Reconstruct all", self)
        self.pattern = QLineEdit(self)
        self.pattern.setPlaceholderText("/data/scan*.h5")
        self.pattern.setToolTip("Files or folders by name or glob; press Enter")
        self.pattern.setAccessibleName("Scans by name or glob")
        self.pattern.setMaximumWidth(180)
        self.pattern.returnPressed.connect(lambda: self.named.emit(self.pattern.text().strip()))
        self.choose.clicked.connect(lambda _: self.choose_requested.emit())
        self.start.clicked.connect(lambda _: self._start_or_cancel())
        self._prepare()
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.note, 1)
        foot.addWidget(self.pattern)
        foot.addWidget(self.choose)
        foot.addWidget(self.start)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.table, 1)
        column.addLayout(foot)
        self.table.cellDoubleClicked.connect(lambda row, _: self.opened.emit(row))
        self.set_rows(())

    def minimumSizeHint(self) -> QSize:
        """Qt: a few rows."""
        return QSize(200, 100)

    def set_rows(self, rows: Sequence[ScanRow], note: str = "") -> None:
        """Show scans in their order."""
        self.table.setRowCount(len(rows))
        for place, row in enumerate(rows):
            for column, text in enumerate(row.texts):
                item = QTableWidgetItem(text)
                left = column in (0, len(HEADINGS) - 1)
                side = Qt.AlignmentFlag.AlignLeft if left else Qt.AlignmentFlag.AlignRight
                item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(as_written(text))
                self.table.setItem(place, column, item)
        self.note.shorter = () if note else SHORTER
        self.note.setText(note or HINT)
        self._update()

    def set_running(self, running: bool) -> None:
        """Whether scans are being phased."""
        self._running = running
        self._update()

    def texts(self) -> list[list[str]]:
        """The table as it is shown."""
        items = [[self.table.item(r, c) for c in range(len(HEADINGS))] for r in range(self.table.rowCount())]
        return [["" if item is None else item.text() for item in row] for row in items]

    def _update(self) -> None:
        self.start.setText("Cancel" if self._running else "Reconstruct all")
        self.start.setEnabled(self._running or self.table.rowCount() > 0)
        for widget in (self.choose, self.pattern):
            widget.setEnabled(not self._running)

    def _start_or_cancel(self) -> None:
        (self.cancel_requested if self._running else self.start_requested).emit()

    def _prepare(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(HEADINGS)
        for column in range(1, len(HEADINGS) - 1):
            heading = table.horizontalHeaderItem(column)
            if heading is not None:
                heading.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for column in (0, len(HEADINGS) - 1):
            heading = table.horizontalHeaderItem(column)
            if heading is not None:
                heading.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setShowGrid(False)
        rows, columns = table.verticalHeader(), table.horizontalHeader()
        if rows is not None and columns is not None:
            rows.setVisible(False)
            rows.setDefaultSectionSize(24)
            columns.setHighlightSections(False)
            columns.setMinimumSectionSize(44)
            columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            columns.setSectionResizeMode(len(HEADINGS) - 1, QHeaderView.ResizeMode.Stretch)
