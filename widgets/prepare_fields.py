"""The small inputs of the Prepare panel. Setters never emit, only gestures do."""

import math
import re
from collections.abc import Sequence
from pathlib import PurePath

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.icons import icon
from braggscope.widgets.tips import as_written

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")  # 60,000 but not 7,5


class NumberField(QLineEdit):
    """A number that may be absent: an empty field means none."""

    entered = pyqtSignal(object)  # float | None
    refused = pyqtSignal(str)  # one sentence

    def __init__(self, name: str, placeholder: str = "none", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._shown = ""
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(name)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setMinimumWidth(44)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.editingFinished.connect(self._finished)

    def set_value(self, value: float | None) -> None:
        """Show a number, or nothing."""
        self._shown = "" if value is None else f"{value:.10g}"
        self.setText(self._shown)
        self.setCursorPosition(0)  # of a long number the first digits are seen, not the last

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: Escape takes the edit back."""
        if event is not None and event.key() == Qt.Key.Key_Escape and self.text() != self._shown:
            self.setText(self._shown)
            return
        super().keyPressEvent(event)

    def _finished(self) -> None:
        text = self.text().strip()
        if text == self._shown:
            return
        if text.lower() in ("", "none", "off"):
            self.entered.emit(None)
            return
        try:
            value = float(text.replace(",", "") if _GROUPED.fullmatch(text) else text)
        except ValueError:
            self.refused.emit(f"{self.name}: “{text}” is not a number; type one, or leave the field empty.")
            return
        if not math.isfinite(value):
            self.setText(self._shown)
            self.refused.emit(f"{self.name}: “{text}” is not finite; type a number, or leave it empty.")
            return
        self.entered.emit(value)


class FileRow(QWidget):
    """Name of a kind of file, the file in use, and buttons to choose and to clear it."""

    choose_requested = pyqtSignal()
    cleared = pyqtSignal()

    def __init__(self, name: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        label = QLabel(name, self)
        label.setProperty("role", "muted")
        label.setMinimumWidth(34)
        self.file = ElidedLabel("none", role="muted", parent=self)
        self.file.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.choose = small_button("open", f"Choose {tip}", self)
        self.choose.clicked.connect(lambda: self.choose_requested.emit())
        self.clear = small_button("close", f"Use no {name.lower()} file", self)
        self.clear.clicked.connect(lambda: self.cleared.emit())
        row.addWidget(label)
        row.addWidget(self.file, 1)
        row.addWidget(self.choose)
        row.addWidget(self.clear)

    def set_file(self, path: str | None) -> None:
        """Show a file by its name; the tooltip has the path."""
        self.file.setText(PurePath(path).name if path else "none")
        self.file.setProperty("role", "value" if path else "muted")
        restyle(self.file)
        self.file.setToolTip(as_written(path or ""))
        self.clear.setVisible(bool(path))


class Segmented(QWidget):
    """One of a few choices, side by side."""

    chosen = pyqtSignal(object)

    def __init__(
        self, choices: Sequence[tuple[object, str]], name: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._values = [value for value, _ in choices]
        self.group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for number, (_, text) in enumerate(choices):
            button = QPushButton(text, self)
            button.setCheckable(True)
            button.setStyleSheet("padding-left: 4px; padding-right: 4px;")
            button.setAccessibleName(f"{name}: {text}")
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            self.group.addButton(button, number)
            row.addWidget(button)
        self.group.idClicked.connect(lambda number: self.chosen.emit(self._values[number]))

    def button(self, value: object) -> QPushButton:
        """The button of a choice."""
        found = self.group.button(self._values.index(value))
        assert isinstance(found, QPushButton)
        return found

    def set_value(self, value: object) -> None:
        """Show a choice."""
        self.button(value).setChecked(True)

    def value(self) -> object:
        """The choice shown."""
        return self._values[max(self.group.checkedId(), 0)]


class FieldGrid(QWidget):
    """Muted labels on the left, inputs on the right, aligned."""

    def __init__(self, parent: QWidget | None = None, label_width: int = 0) -> None:
        super().__init__(parent)
        self._rows = 0
        self._labels: dict[QWidget, list[QLabel]] = {}
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnMinimumWidth(0, label_width)

    def add(self, name: str, field: QWidget, unit: str = "", tip: str = "") -> None:
        """Append a labelled input."""
        if isinstance(field, QComboBox):
            field.setMinimumContentsLength(8)  # or the longest entry makes the page wider than its dock
        label = QLabel(name, self)
        label.setProperty("role", "muted")
        label.setBuddy(field)
        for widget in (label, field):
            widget.setToolTip(tip)
        self._grid.addWidget(label, self._rows, 0)
        self._grid.addWidget(field, self._rows, 1, 1, 1 if unit else 2)
        self._labels[field] = [label]
        if unit:
            suffix = QLabel(unit, self)
            suffix.setProperty("role", "muted")
            self._grid.addWidget(suffix, self._rows, 2)
            self._labels[field].append(suffix)
        self._rows += 1

    def show_row(self, field: QWidget, visible: bool) -> None:
        """Show or hide an input with its label."""
        for widget in (field, *self._labels[field]):
            widget.setVisible(visible)


def small_button(icon_name: str, tip: str, parent: QWidget) -> QToolButton:
    """Flat button with an icon; the tip is also its accessible name."""
    button = QToolButton(parent)
    button.setIcon(icon(icon_name))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setAutoRaise(True)
    return button


def restyle(widget: QWidget) -> None:
    """Make the style sheet look again at a dynamic property."""
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)
