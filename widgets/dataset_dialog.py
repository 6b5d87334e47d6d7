"""Asks which dataset of a file is the series, and which axis counts its frames."""

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from braggscope.widgets.dataset_tree import DatasetTree, Entry
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import restyle

__all__ = ["DatasetDialog", "Entry"]


class DatasetDialog(QDialog):
    """Emits once, when a usable dataset was chosen; ``location`` is only shown."""

    dataset_chosen = pyqtSignal(str, int)  # path, frame axis

    def __init__(
        self,
        entries: tuple[Entry, ...],
        parent: QWidget | None = None,
        *,
        current: str = "",
        location: str = "",
    ) -> None:
        super().__init__(parent)
        self._path = ""
        self.setWindowTitle("Choose a dataset")
        self.resize(560, 420)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        column.addWidget(QLabel(self._question(entries), self))
        if location:
            column.addWidget(ElidedLabel(location, role="muted", parent=self))
        self.tree = DatasetTree(self)
        self.tree.set_entries("", entries, current)
        column.addWidget(self.tree, 1)
        self.hint = QLabel(self)
        self.hint.setProperty("role", "muted")
        self.hint.setWordWrap(True)
        column.addWidget(self.hint)
        column.addLayout(self._bottom())
        self.tree.currentItemChanged.connect(lambda *_: self._selected())
        self.tree.itemDoubleClicked.connect(lambda *_: self._accept_if_chosen())
        self._selected()
        self.tree.setFocus()

    def dataset(self) -> str:
        """Path of the chosen dataset, empty before one is chosen."""
        return self._path

    def axis(self) -> int:
        """Axis of the stack that counts frames; 0 for stacks of up to three dimensions."""
        return int(self.axis_box.currentData() or 0)

    @staticmethod
    def _question(entries: tuple[Entry, ...]) -> str:
        usable = sum(not entry.problem for entry in entries)
        if usable == 0:
            return "This file holds no dataset that can be shown as frames."
        if usable == 1:
            return "One dataset of this file can be shown as frames."
        return f"This file holds {usable} datasets that can be shown as frames. Which one?"

    def _bottom(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.axis_label = QLabel("Frame axis", self)
        self.axis_box = QComboBox(self)
        self.axis_label.setBuddy(self.axis_box)
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Open | kinds.Cancel, self)
        self.open_button = self.buttons.button(kinds.Open)
        if self.open_button is not None:
            self.open_button.setProperty("role", "primary")
            restyle(self.open_button)
            self.open_button.setDefault(True)
        self.buttons.accepted.connect(self._accept_if_chosen)
        self.buttons.rejected.connect(self.reject)
        row.addWidget(self.axis_label)
        row.addWidget(self.axis_box)
        row.addStretch(1)
        row.addWidget(self.buttons, 0, Qt.AlignmentFlag.AlignRight)
        return row

    def _selected(self) -> None:
        entry = self.tree.focused()
        self.hint.setText(entry.problem if entry is not None else "")
        if entry is not None and entry.problem:
            entry = None
        self._path = entry.path if entry is not None else ""
        if self.open_button is not None:
            self.open_button.setEnabled(entry is not None)
        shape = entry.shape if entry is not None else ()
        self.axis_box.clear()
        for axis, size in enumerate(shape):
            self.axis_box.addItem(f"axis {axis}  ({size:,})", axis)
        for widget in (self.axis_label, self.axis_box):
            widget.setVisible(len(shape) > 3)

    def _accept_if_chosen(self) -> None:
        if self._path:
            self.accept()
            self.dataset_chosen.emit(self._path, self.axis())
