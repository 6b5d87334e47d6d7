"""Parameter sets kept side by side, and the button that analyses the series."""

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from braggscope.widgets.icons import icon
from braggscope.widgets.parameter_set_row import ParameterSetRow, SetEntry

__all__ = ["ParameterSetsPanel", "SetEntry"]

EMPTY = "Keep the present thresholds as a set, then analyse the series to compare sets."


class ParameterSetsPanel(QWidget):
    """Sets to compare, and the run of the whole series. All signals but the last two give a set's key."""

    add_requested = pyqtSignal()
    remove_requested = pyqtSignal(str)
    renamed = pyqtSignal(str, str)
    colour_changed = pyqtSignal(str, str)
    visibility_changed = pyqtSignal(str, bool)
    activated = pyqtSignal(str)
    run_requested = pyqtSignal()
    cancel_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[ParameterSetRow] = []
        self._running = False
        self.hint = QLabel(EMPTY, self)
        self.hint.setProperty("role", "muted")
        self.hint.setWordWrap(True)
        self.add = QPushButton(icon("add"), "Add current", self)
        self.add.setToolTip("Keep the present thresholds as a new set")
        self.remove = QPushButton(icon("remove"), "Remove", self)
        self.remove.setToolTip("Forget the marked set and its results")
        self.run = QPushButton(self)
        self.run.setProperty("role", "primary")
        self._list = QVBoxLayout()
        self._list.setSpacing(2)
        buttons = QHBoxLayout()
        buttons.addWidget(self.add, 1)
        buttons.addWidget(self.remove, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.hint)
        column.addLayout(self._list)
        column.addLayout(buttons)
        column.addWidget(self.run)
        column.addStretch(1)
        self.add.clicked.connect(lambda _: self.add_requested.emit())
        self.remove.clicked.connect(lambda _: self._remove_active())
        self.run.clicked.connect(
            lambda _: (self.cancel_requested if self._running else self.run_requested).emit()
        )
        self.set_sets([])
        self.set_running(False)

    def set_sets(self, entries: list[SetEntry]) -> None:
        """Show these sets; a name that is being typed is left alone."""
        while len(self.rows) > len(entries):
            row = self.rows.pop()
            self._list.removeWidget(row)
            row.hide()
            row.deleteLater()
        while len(self.rows) < len(entries):
            self.rows.append(self._new_row())
        for row, entry in zip(self.rows, entries, strict=True):
            if row.entry.key != entry.key:
                row.name.rest()
            row.show_entry(entry)
        self.hint.setVisible(not entries)
        self._update_buttons()

    def set_running(self, running: bool) -> None:
        """The main button starts the analysis, or cancels it while it runs."""
        self._running = running
        self.run.setText("Cancel" if running else "Analyse whole series")
        self._update_buttons()

    def _update_buttons(self) -> None:
        self.remove.setEnabled(not self._running and any(row.entry.active for row in self.rows))

    def _run_or_cancel(self) -> None:
        (self.cancel_requested if self._running else self.run_requested).emit()

    def _remove_active(self) -> None:
        for row in self.rows:
            if row.entry.active:
                self.remove_requested.emit(row.entry.key)
                return

    def _new_row(self) -> ParameterSetRow:
        row = ParameterSetRow(self)
        row.activated.connect(lambda: self.activated.emit(row.entry.key))
        row.name.renamed.connect(lambda name: self.renamed.emit(row.entry.key, name))
        row.colour_picked.connect(lambda colour: self.colour_changed.emit(row.entry.key, colour))
        row.visibility_picked.connect(lambda on: self.visibility_changed.emit(row.entry.key, on))
        self._list.addWidget(row)
        return row
